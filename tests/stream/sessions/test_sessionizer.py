from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.recommender import Id, State
from nextclick.stream.sessions import event_clock
from nextclick.stream.sessions.sessionizer import Assigned, Sessionizer

Stream = list[tuple[Id, float]]
Outcome = tuple[list[int], list[bool], list[bool], list[int]]
"""Handles, first, late, ended."""

SMALL_BLOCK = 4


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    """Shorten the blocks, so that short streams span many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_clock, "BLOCK", SMALL_BLOCK)
        yield


def assign(sessionizer: Sessionizer, stream: Stream) -> Assigned:
    return sessionizer.assign([key for key, _ in stream], np.array([time for _, time in stream]))


def outcome(parts: list[Assigned]) -> Outcome:
    return (
        [handle for part in parts for handle in part.handles.tolist()],
        [first for part in parts for first in part.first.tolist()],
        [late for part in parts for late in part.late.tolist()],
        [handle for part in parts for handle in part.ended],
    )


@dataclass
class Live:
    latest: float
    handle: int
    block: int
    touched: int


def naive(stream: Stream, gap: float, lateness: float, bound: int) -> tuple[Outcome, int]:
    """Follow the rules word by word, searching all sessions every time."""
    live: dict[Id, Live] = {}
    marks: list[tuple[int, float]] = []
    block_times: list[list[float]] = [[]]
    clock = -math.inf
    handles: list[int] = []
    firsts: list[bool] = []
    ended: list[int] = []
    for number, (key, time) in enumerate(stream):
        block = len(block_times) - 1
        session = live.get(key)
        if session and session.latest - time > lateness:
            handles.append(-1)
            firsts.append(False)
            continue
        starts = session is None or time - session.latest > gap
        if session is None or starts:
            if session:
                ended.append(session.handle)
            session = live[key] = Live(time, sum(firsts), block, number)
        session.latest = max(session.latest, time)
        session.block, session.touched = block, number
        handles.append(session.handle)
        firsts.append(starts)
        if len(live) > bound:
            oldest = min(live, key=lambda key: live[key].touched)
            ended.append(live.pop(oldest).handle)
        block_times[-1].append(time)
        if len(block_times[-1]) == SMALL_BLOCK:
            clock = max(clock, float(np.median(block_times[-1])))
            if not marks or clock - marks[-1][1] >= (gap + lateness) / 8:
                marks.append((block, clock))
            past = [mark for mark, then in marks if clock - then > gap + lateness]
            idle = [key for key in live if any(live[key].block < mark for mark in past)]
            idle.sort(key=lambda key: live[key].touched)
            ended += [live.pop(key).handle for key in idle]
            block_times.append([])
    return (handles, firsts, [handle < 0 for handle in handles], ended), len(live)


keys = st.one_of(st.integers(0, 6), st.sampled_from(["0", "1", "anna", "бэла"]))
steps = st.one_of(st.integers(-8, 12), st.sampled_from([0.0, 0.5, 60.0, 10.0**9, -(10.0**9)]))


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Clicks whose times mostly rise, with leaps that last for one click."""
    time, stream = 0.0, []
    for key, step in draw(st.lists(st.tuples(keys, steps), max_size=120)):
        stream.append((key, time + step))
        if abs(step) < 100:
            time += step
    return stream


options = st.tuples(
    st.sampled_from([3.0, 10.0, 40.0, math.inf]), st.sampled_from([0.0, 5.0]), st.integers(1, 8)
)


@given(streams(), options, st.lists(st.integers(0, 120)), st.data())
def test_follows_the_rules_however_cut_and_restored(
    stream: Stream, options: tuple[float, float, int], cuts: list[int], data: st.DataObject
) -> None:
    expected, live = naive(stream, *options)
    sessionizer = Sessionizer(*options)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    parts = []
    for begin, end in pairwise(edges):
        parts.append(assign(sessionizer, stream[begin:end]))
        if data.draw(st.booleans()):
            state = sessionizer.state()
            values = json.loads(json.dumps(state.values))
            sessionizer = Sessionizer(*options)
            sessionizer.restore(State(state.arrays, values))
    assert outcome(parts) == expected
    assert sessionizer.live == live


@given(streams(), options)
def test_every_session_ends_once_or_lives(
    stream: Stream, options: tuple[float, float, int]
) -> None:
    sessionizer = Sessionizer(*options)
    result = assign(sessionizer, stream)
    started = result.handles[result.first].tolist()
    assert started == list(range(len(started)))
    assert len(set(result.ended)) == len(result.ended)
    assert set(result.ended) <= set(started)
    assert len(started) - len(result.ended) == sessionizer.live <= options[2]


def test_a_gap_must_be_exceeded() -> None:
    result = assign(Sessionizer(30, 0, 9), [("a", 0), ("a", 30), ("a", 60.001)])
    assert result.first.tolist() == [True, False, True]
    assert result.ended == [0]


def test_a_late_click_changes_nothing() -> None:
    sessionizer = Sessionizer(30, 5, 2)
    assign(sessionizer, [("a", 100), ("b", 100)])
    before = sessionizer.state()
    result = assign(sessionizer, [("a", 94.9)])
    assert result.late.tolist() == [True]
    assert result.handles.tolist() == [-1]
    after = sessionizer.state()
    assert after.values == before.values
    assert all(np.array_equal(after.arrays[name], before.arrays[name]) for name in after.arrays)
    assert assign(sessionizer, [("c", 100)]).ended == [0]


def test_a_click_within_the_lateness_counts_and_moves_no_time_back() -> None:
    result = assign(Sessionizer(30, 5, 9), [("a", 100), ("a", 95), ("a", 94), ("a", 130)])
    assert result.late.tolist() == [False, False, True, False]
    assert result.handles.tolist() == [0, 0, -1, 0]


def test_idle_sessions_end_though_nobody_continues_them() -> None:
    sessionizer = Sessionizer(30, 0, 1000)
    assign(sessionizer, [("idle", 0.0)])
    result = assign(sessionizer, [("busy", float(time)) for time in range(60)])
    assert result.ended == [0]
    assert sessionizer.live == 1


def test_idle_is_longer_than_gap_and_lateness_since_the_block_after_the_last_click() -> None:
    def block(time: float) -> Stream:
        return [("busy", time)] * SMALL_BLOCK

    sessionizer = Sessionizer(20, 10, 1000)
    assign(sessionizer, [("idle", 0.0), *block(0)[1:]])
    assert assign(sessionizer, block(30 / 8)).ended == []
    assert assign(sessionizer, block(15) + block(30 + 30 / 8)).ended == []
    assert assign(sessionizer, block(30.5 + 30 / 8)).ended == [0]


def test_absurd_times_end_nobody() -> None:
    sessionizer = Sessionizer(30, 5, 1000)
    absurd: Stream = [("future", 1e11), ("past", -1e11)]
    for time in range(1000):
        clicks: Stream = [("a", float(time)), ("b", time + 0.1), ("c", time + 0.2)]
        result = assign(sessionizer, clicks + (absurd[time % 2 :][:1] if time % 3 == 0 else []))
        if time:
            assert result.handles.tolist()[:3] == [0, 1, 2]


def test_a_session_with_a_far_future_time_goes_when_idle() -> None:
    sessionizer = Sessionizer(30, 0, 1000)
    assign(sessionizer, [("absurd", 1e11)])
    assert assign(sessionizer, [("a", float(time)) for time in range(100)]).ended == [0]


def test_one_who_lags_behind_the_others_keeps_the_session() -> None:
    sessionizer = Sessionizer(30, 5, 1000)
    for time in range(500):
        ahead: Stream = [(key, time + 1e6) for key in "abc"]
        result = assign(sessionizer, [*ahead, ("lagging", float(time))])
        assert result.ended == []


def test_equal_looking_keys_of_two_types_are_two_sessions() -> None:
    assert assign(Sessionizer(30, 0, 9), [(1, 0), ("1", 0)]).handles.tolist() == [0, 1]


def test_no_clicks() -> None:
    result = Sessionizer(30, 0, 9).assign([], np.zeros(0))
    assert result.handles.dtype == np.int64
    assert result.first.dtype == result.late.dtype == np.bool_
    assert len(result.handles) == 0
