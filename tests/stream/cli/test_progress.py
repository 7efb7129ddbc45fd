from __future__ import annotations

import io
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nextclick.models.compute import jit
from nextclick.stream import RunConfig, run
from nextclick.stream.cli.progress import LiveLine, Progress, duration, fitting, summary
from nextclick.stream.cli.terminal import console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def engine(clicks: int, share: float | None = None) -> Any:
    """Stand in for an engine of a long run."""
    figures = SimpleNamespace(sliding=lambda: {"recall@20": 0.7077, "mrr@20": 0.3786})
    return SimpleNamespace(
        clicks=clicks,
        batch=64,
        source=SimpleNamespace(share=share),
        figures=figures,
        model=SimpleNamespace(n_items=21_282),
        sessionizer=SimpleNamespace(live=59_020),
    )


def lines(file: io.StringIO) -> list[str]:
    """Return what a terminal has shown, line by line."""
    plain = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", file.getvalue())
    return [line.rstrip() for line in re.split("[\r\n]+", plain) if line.strip()]


def test_the_live_line_fits_80_columns_and_shows_share_and_time_left(
    clock: SimpleNamespace,
) -> None:
    file = io.StringIO()
    terminal = console(file=file, force_terminal=True, width=80)
    with Progress(terminal) as progress:
        assert "reading the first clicks" in file.getvalue()
        progress(engine(1_000_000, share=0.25))
        clock.now += 600
        progress(engine(2_000_000, share=0.5))
    shown = lines(file)[-1]
    assert shown.startswith("2,000,000 clicks · 50% · 1,667/s · 20 min left · Recall@20 0.708")
    assert max(map(len, lines(file))) <= 80


@example(0, 31_235, 2.2250738585072014e-308, 20)
@given(
    st.integers(0, 10**15),
    st.integers(1, 10**7),
    st.floats(0, 1) | st.none(),
    st.integers(20, 200),
)
def test_no_line_is_wider_than_the_terminal(
    clicks: int, seconds: int, share: float | None, width: int
) -> None:
    file = io.StringIO()
    live = LiveLine(console(file=file, force_terminal=True, width=width))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 0.0)
        live.update(0, lambda: 0.0, list)
        patch.setattr(time, "monotonic", lambda: float(seconds) + live._began)
        with live:
            live.update(clicks, lambda: share, lambda: ["Recall@20 0.500", "x" * 300])
    assert max(map(len, lines(file))) <= width


def test_what_is_to_stop_at_gives_the_share_where_the_source_has_no_end(
    clock: SimpleNamespace,
) -> None:
    file = io.StringIO()
    with Progress(console(file=file), max_clicks=1_000) as progress:
        progress(engine(64))
        clock.now += 10
        progress(engine(500))
    assert lines(file)[-1].startswith("500 clicks · 50% · 50/s · ")


def test_without_an_end_there_is_no_share_and_no_time_left(clock: SimpleNamespace) -> None:
    file = io.StringIO()
    with Progress(console(file=file)) as progress:
        progress(engine(64))
        clock.now += 10
        progress(engine(500))
    (shown,) = lines(file)
    assert "%" not in shown
    assert "left" not in shown
    assert shown.endswith("21,282 items · 59,020 live sessions")


def test_a_run_that_goes_on_tells_the_time_left_from_its_own_pace(clock: SimpleNamespace) -> None:
    file = io.StringIO()
    with Progress(console(file=file)) as progress:
        progress(engine(900, share=0.9))
        clock.now += 50
        progress(engine(950, share=0.95))
    assert "95% · 2/s · 50 s left" in lines(file)[-1]


def test_a_part_that_does_not_fit_is_left_out_with_all_after_it() -> None:
    assert fitting(["one", "two", "three"], 9) == "one · two"
    assert fitting(["a very long start"], 6) == "a very"


def test_days_are_shown_as_days() -> None:
    assert duration(3 * 86_400 + 7_200) == "3 d 2 h"


def test_the_line_says_that_loops_are_compiled_while_they_are() -> None:
    file = io.StringIO()
    terminal = console(file=file, force_terminal=True, width=100)
    with LiveLine(terminal):
        tell = jit._listeners[0]
        tell()
        assert lines(file)[-1].startswith("compiling for this machine, once")
    assert jit._listeners == []


def test_the_table_tells_the_rate_without_compiling() -> None:
    result = run("sim:clicks=300", RunConfig(learner="markov"))
    result |= {"seconds": 40.0, "clicks_per_second": 7.5, "compiling_seconds": 30.0}
    rows = table_rows(result)
    assert rows["  compiling, once"] == "30.0"
    assert rows["clicks/s"] == "8"
    assert rows["  without compiling"] == "30"
    assert (
        not {"  compiling, once", "  without compiling"}
        & table_rows(result | {"compiling_seconds": 0.4}).keys()
    )


def table_rows(result: dict[str, Any]) -> dict[str, str]:
    labels, cells = (column.cells for column in summary(result).columns)
    return dict(zip(map(str, labels), map(str, cells), strict=True))
