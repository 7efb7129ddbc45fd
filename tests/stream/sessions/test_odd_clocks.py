"""A clock that is wrong costs its own clicks, and nobody else theirs."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models import GRU4RecConfig
from nextclick.models.recommender import Id, State
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from nextclick.stream.sessions.sessionizer import Assigned, Sessionizer
from nextclick.stream.snapshots.resume import check_fixed

Stream = list[tuple[Id, float]]

DAY = 86_400.0
YEAR = 365 * DAY


def sessionizer(gap: float = 1800.0, max_ahead: float = 30 * DAY) -> Sessionizer:
    return Sessionizer(gap, 60.0, 100_000, max_ahead)


def assign(one: Sessionizer, stream: Stream) -> Assigned:
    return one.assign([key for key, _ in stream], np.array([time for _, time in stream]))


def shop(count: int, visitors: int = 20, first: float = 0.0, step: float = 1.0) -> Stream:
    draw = random.Random(count)
    return [(draw.randrange(visitors), first + step * number) for number in range(count)]


def without(stream: Stream, odd: set[int]) -> Stream:
    return [click for at, click in enumerate(stream) if at not in odd]


def assert_others_unmoved(stream: Stream, odd: set[int], gap: float = 1800.0) -> None:
    """Assert that all but the odd clicks are what they are without the odd ones."""
    found, wanted = assign(sessionizer(gap), stream), assign(sessionizer(gap), without(stream, odd))
    assert set(np.flatnonzero(found.ahead).tolist()) == odd
    assert not found.late.any()
    kept = ~found.ahead
    assert found.handles[kept].tolist() == wanted.handles.tolist()
    assert found.first[kept].tolist() == wanted.first.tolist()
    assert found.ended == wanted.ended


@pytest.mark.parametrize("visitor", ["new", 3])
def test_one_click_a_year_ahead_is_left_out_and_not_the_visitor(visitor: Id) -> None:
    stream = shop(2000)
    stream[50] = (visitor, stream[50][1] + YEAR)
    stream[51:400] = [(visitor, time) for _, time in stream[51:400]]
    assert_others_unmoved(stream, {50})


@pytest.mark.parametrize("visitors", [1, 2, 20])
@pytest.mark.parametrize("ahead", [40 * DAY, YEAR, 1e11])
def test_a_stream_whose_first_click_is_the_odd_one_recovers(visitors: int, ahead: float) -> None:
    stream = shop(350, visitors)
    stream[0] = (0, ahead)
    result = assign(sessionizer(), stream)
    assert not result.late.any()
    assert not result.ahead.any()
    assert result.first.sum() == visitors


@pytest.mark.parametrize("ahead", [300.0, 3600.0, DAY])
def test_a_clock_that_was_a_little_ahead_shuts_its_visitor_out_for_two_clicks(ahead: float) -> None:
    stream = shop(2000)
    stream[50] = ("anna", stream[50][1] + ahead)
    stream[100:400] = [("anna", time) for _, time in stream[100:400]]
    result = assign(sessionizer(), stream)
    assert not result.ahead.any()
    assert np.flatnonzero(result.late).tolist() == [100, 101]


def test_a_click_far_behind_is_late_and_its_visitor_stays() -> None:
    stream = shop(2000)
    stream[700] = (stream[699][0], stream[700][1] - YEAR)
    result = assign(sessionizer(), stream)
    assert np.flatnonzero(result.late).tolist() == [700]
    assert result.first.sum() == 20


@pytest.mark.parametrize("count", [1100, 5000])
@pytest.mark.parametrize("visitors", [1, 2000])
@pytest.mark.parametrize("mixed", [False, True])
def test_many_clicks_a_year_ahead_end_nobody_and_expiry_goes_on(
    count: int, visitors: int, mixed: bool
) -> None:
    one = sessionizer()
    right = shop(20_000, 100)
    odd: Stream = [(f"odd {number % visitors}", YEAR + number) for number in range(count)]
    result = assign(one, right[:5000])
    active = set(result.handles[-3000:].tolist())
    if mixed:
        # One in four is odd.
        rest = iter(right[5000:])
        during = [click for strange in odd for click in (strange, *(next(rest) for _ in range(3)))]
        rest_of: Stream = list(rest)
    else:
        during, rest_of = odd, right[5000:]
    middle = assign(one, during)
    assert not active & set(middle.ended)
    if mixed:
        is_odd = np.array([str(key).startswith("odd") for key, _ in during])
        assert not middle.ahead[~is_odd].any()
        assert middle.ahead[is_odd].mean() > 0.9
    else:
        assert middle.ahead.sum() >= 5
    assert not middle.late.any()
    after = assign(one, rest_of)
    assert not after.ahead.any()
    assert not after.late.any()
    # Two hours later the old sessions, odd ones too, have gone.
    later = assign(one, [(f"later {key}", time + 30_000.0) for key, time in shop(20_000, 50)])
    assert one.live <= 50
    assert not later.late.any()
    assert one.clock < YEAR / 2


def test_a_stream_that_begins_with_many_odd_clicks_recovers() -> None:
    one = sessionizer()
    assign(one, [(f"odd {number}", YEAR + number) for number in range(1100)])
    result = assign(one, shop(20_000, 50))
    assert not result.late.any()
    assert not result.ahead.any()
    assert one.clock < 20_000
    assert one.live <= 50


@pytest.mark.parametrize("visitors", [1, 4, 100])
def test_a_silence_costs_a_handful_of_clicks(visitors: int) -> None:
    weeks = [shop(30_000, visitors, first, step=10.0) for first in (0.0, YEAR, 2 * YEAR)]
    one = sessionizer()
    counts = [int(assign(one, week).ahead.sum()) for week in weeks]
    assert counts[0] == 0
    assert all(5 <= count <= 12 for count in counts[1:])
    assert one.clock > 2 * YEAR
    assert one.live == visitors
    # A shop that is closed for three weeks loses none.
    one = sessionizer()
    closed = [*shop(3000, visitors), *shop(3000, visitors, 21 * DAY)]
    assert not assign(one, closed).ahead.any()


GAPS = st.floats(0.0, 4000.0)


@st.composite
def streams_with_odd_clicks(draw: st.DrawFn) -> tuple[Stream, set[int]]:
    """Draw a stream of which now and then a click is far ahead."""
    count = draw(st.integers(20, 150))
    keys = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    gaps = draw(st.lists(GAPS, min_size=count, max_size=count))
    times = np.cumsum(gaps).tolist()
    stream: Stream = list(zip(keys, times, strict=True))
    odd = set()
    at = 8
    while (at := at + draw(st.integers(3, 40))) < count:
        odd.add(at)
        stream[at] = (stream[at][0], stream[at][1] + draw(st.floats(31 * DAY, 1e11)))
    return stream, odd


@given(streams_with_odd_clicks())
def test_never_more_than_the_odd_clicks_are_lost(case: tuple[Stream, set[int]]) -> None:
    assert_others_unmoved(*case)


WILD = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0, 50.0, 3000.0, 1e5, 1e8, -100.0, -1e8])),
    max_size=150,
)


@given(WILD, st.sampled_from([5.0, 2e4, 1e7]), st.lists(st.integers(0, 150)), st.data())
def test_it_does_not_depend_on_cuts_and_stops(
    steps: list[tuple[int, float]], max_ahead: float, cuts: list[int], data: st.DataObject
) -> None:
    time = 0.0
    stream: Stream = []
    for key, step in steps:
        stream.append((key, time + step))
        if data.draw(st.booleans()):
            time += step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nextclick.stream.sessions.event_clock.BLOCK", 4)
        whole = sessionizer(100.0, max_ahead)
        wanted = assign(whole, stream)
        one = sessionizer(100.0, max_ahead)
        parts = []
        edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
        for begin, end in pairwise(edges):
            parts.append(assign(one, stream[begin:end]))
            state = one.state()
            one = sessionizer(100.0, max_ahead)
            one.restore(State(state.arrays, json.loads(json.dumps(state.values))))
    for name in ("handles", "first", "late", "ahead"):
        found = [value for part in parts for value in getattr(part, name).tolist()]
        assert found == getattr(wanted, name).tolist()
    assert [handle for part in parts for handle in part.ended] == wanted.ended
    assert one.clock == whole.clock


def test_a_state_from_before_there_was_such_a_bound_is_taken_back() -> None:
    one = sessionizer()
    stream = shop(5000)
    assign(one, stream[:3000])
    state = one.state()
    for name in ("recent", "late", "upper", "astray"):
        del state.values[name]
    del state.arrays["before"]
    other = sessionizer()
    other.restore(state)
    assert (
        assign(other, stream[3000:]).handles.tolist() == assign(one, stream[3000:]).handles.tolist()
    )
    assert assign(other, [(0, 100.0)]).late.tolist() == [True]


def write_log(path: Path, stream: Stream) -> Path:
    rows = [f"{key},{number % 7},{time!r}\n" for number, (key, time) in enumerate(stream)]
    path.write_text("session_id,item_id,timestamp\n" + "".join(rows))
    return path


def test_a_run_counts_and_leaves_out_what_is_too_far_ahead(tmp_path: Path) -> None:
    small: dict[str, Any] = {"model": GRU4RecConfig(hidden=8, n_negatives=8), "device": "cpu"}
    stream = shop(600, 30)
    clean = run(str(write_log(tmp_path / "clean.csv", stream)), RunConfig(**small))
    odd = list(stream)
    odd[100] = (odd[100][0], odd[100][1] + YEAR)
    log = str(write_log(tmp_path / "odd.csv", odd))
    result = run(log, RunConfig(**small))
    assert (clean["ahead"], result["ahead"], result["late"]) == (0, 1, 0)
    assert result["learned"] == clean["learned"] - 1
    assert result["usable"] == result["scored"] + result["first"] + result["late"] + 1
    # With a bound so wide it is one click like all others.
    assert run(log, RunConfig(**small, max_ahead="3650d"))["ahead"] == 0
    # What is left out stays so over a stop.
    folder = str(tmp_path / "s")
    run(log, RunConfig(**small, snapshots=folder, max_clicks=300))
    resumed = run(log, RunConfig(**small, snapshots=folder))
    assert resumed["ahead"] == 1
    assert resumed["recall@20"] == result["recall@20"]


def test_a_run_from_before_the_option_goes_on_with_its_default() -> None:
    before = RunConfig().public()
    del before["max_ahead"]
    check_fixed(before, RunConfig().public(), Path("s"))
    check_fixed(before, RunConfig(max_ahead="720h").public(), Path("s"))
    with pytest.raises(ConfigError, match="--max-ahead"):
        check_fixed(before, RunConfig(max_ahead="1d").public(), Path("s"))


def test_the_bound_is_a_duration() -> None:
    assert RunConfig(max_ahead="12h").max_ahead_seconds == 43_200
    assert math.isfinite(RunConfig().max_ahead_seconds)
    for wrong in ("soon", 0, -1):
        with pytest.raises(ConfigError, match="--max-ahead"):
            RunConfig(max_ahead=wrong)
