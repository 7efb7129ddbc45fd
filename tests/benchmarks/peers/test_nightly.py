from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.nightly import Days, Nights, figures_of, judged, write

OPTIONS: dict[str, Any] = {"n_epochs": 3}


def days_of(clicks: list[tuple[int, int, int]]) -> Days:
    """Return a log of clicks, each a day, a session and an item."""
    return Days(*np.array(clicks)[:, [1, 2, 0]].T)


def test_a_night_s_model_is_judged_on_known_items_that_follow_a_known_one() -> None:
    days = days_of([(0, 0, 0), (0, 0, 1), (1, 1, 2), (1, 1, 0), (1, 1, 2), (1, 1, 1), (1, 2, 1)])
    # On day 1 session 1 clicks 2 (unknown), 0 (nothing known before it), 2 (unknown), 1.
    assert judged(days, 0, 0, 1).tolist() == [5]
    assert judged(days, 0, 1, 1).tolist() == [3, 4, 5]


LOG = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=60
)


@given(LOG)
def test_what_is_judged_is_what_the_official_evaluation_is_asked(
    clicks: list[tuple[int, int, int]],
) -> None:
    days = days_of(sorted(clicks, key=lambda click: click[0]))
    for day in range(1, days.n_days):
        known = set(days.items[days.days < day].tolist())
        # It drops clicks on unknown items, then asks for all but the first of each session.
        seen: set[int] = set()
        asked = []
        for click in np.flatnonzero(days.days == day).tolist():
            if int(days.items[click]) in known:
                session = int(days.sessions[click])
                if session in seen:
                    asked.append(click)
                seen.add(session)
        assert judged(days, 0, day - 1, day).tolist() == asked


def test_the_official_format_has_a_line_a_click(tmp_path: Path) -> None:
    days = days_of([(0, 3, 7), (0, 4, 8), (1, 3, 9)])
    write(days, days.between(0, 0), tmp_path / "train.tsv")
    text = (tmp_path / "train.tsv").read_text()
    assert text == "SessionId\tItemId\tTime\n3\t7\t0\n4\t8\t1\n"


def test_a_rank_beyond_20_is_a_miss() -> None:
    assert figures_of(np.array([1, 20, 21, 0])) == (0.5, (1 + 1 / 20) / 4)


def nights(file: Path) -> Nights:
    return Nights(days_of([(0, 0, 0), (1, 1, 0), (2, 2, 0)]), file, OPTIONS)


def test_a_week_s_figures_over_all_clicks_count_the_others_as_misses(tmp_path: Path) -> None:
    found = nights(tmp_path / "found.json")
    found.found["nextclick"] = {
        "tests": {"all 1": [0.5, 0.4, 10], "all 2": [0.6, 0.5, 20]}
        | {"0-0 1": [0.7, 0.6, 8], "0-0 2": [0.8, 0.7, 10], "0-1 2": [0.9, 0.8, 15]}
    }
    found.found["nights"] = {
        "0-0": {"seconds": 30.0, "tests": {"1": [0.5, 0.25, 8], "2": [0.4, 0.2, 10]}},
        "0-1": {"seconds": 50.0, "tests": {"2": [0.6, 0.4, 15]}},
    }
    daily = found.week([(0, 0), (0, 1)])
    assert daily["known"] == [[0.5, 0.25], [0.6, 0.4]]
    assert np.allclose(daily["all"], [[0.4, 0.2], [0.45, 0.3]])
    assert daily["beside"] == [[0.7, 0.6], [0.9, 0.8]]
    assert daily["seconds"] == [30.0, 50.0]
    # A frozen model is trained once.
    assert found.week([(0, 0), (0, 0)])["seconds"] == [30.0, 0.0]


def test_what_was_found_is_not_done_again(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    first = nights(file)
    first.found["nights"]["0-0"] = {"seconds": 1.0}
    first.save()
    again = nights(file)
    again.train(0, 0, Path("/nowhere"), Path("/nowhere"))
    assert again.found["nights"] == {"0-0": {"seconds": 1.0}}


def test_a_file_of_other_options_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    file.write_text(json.dumps({"options": {"n_epochs": 10}, "nights": {}}))
    with pytest.raises(SystemExit, match="other options"):
        nights(file)
