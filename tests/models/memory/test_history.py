from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.models.compute.snapshot_buffer import SnapshotBuffer
from nextclick.models.items.item_table import SHIFT
from nextclick.models.memory import history
from nextclick.models.memory.evidence import Evidence
from nextclick.models.memory.history import Clicks
from nextclick.models.memory.layout import (
    AFTER,
    BEFORE,
    CLICK,
    EARLIER_CLICKS,
    EVIDENCE,
    ITEM_FACTS,
    LAST,
    LOOKBACK,
    NEIGHBOUR_CLICKS,
    RECENT,
    SESSION_ITEMS,
    TARGET,
    microseconds,
)
from nextclick.models.memory.memory import Memory
from nextclick.models.memory.weights import WEIGHTS

ITEMS = 7
# Row 0, no item; the others were admitted in order.
ADMISSIONS = np.arange(ITEMS + 1)
Click = tuple[int, int, float | None]
"""Session, row, and the time in seconds where it is known."""

moments = st.none() | st.integers(0, 10_000).map(lambda tenths: tenths / 10)
clicks = st.lists(st.tuples(st.integers(0, 3), st.integers(0, ITEMS), moments), max_size=60)


def at_no_time(clicks: list[tuple[int, int]]) -> list[Click]:
    return [(session, item, None) for session, item in clicks]


def special(evidence: Evidence, moment: int) -> list[int]:
    """Return the row of each piece of evidence of a moment, 0 where it is void."""
    begin, _ = evidence.spans[moment]
    places = evidence.place_of[moment].tolist()
    return [int(evidence.rows[begin + at]) if at >= 0 else 0 for at in places]


class Reader:
    """Reads batches of (session, row, time), each session in a slot of its own number."""

    def __init__(self, bound: int = 1000) -> None:
        self.memory = Memory(bound, 0.1)
        self.admissions = ADMISSIONS.copy()
        self.live: set[int] = set()

    def lookup(self, batch: list[Click], after: bool = False) -> Evidence:
        sessions = list(dict.fromkeys(session for session, _, _ in batch))
        rows = np.array([row for _, row, _ in batch], np.int64)
        times = [math.nan if time is None else time for _, _, time in batch]
        clicks = Clicks(
            slots=np.array([one if one in self.live else -1 for one in sessions], np.int64),
            group=np.array([sessions.index(session) for session, _, _ in batch], np.int64),
            keys=rows + (self.admissions[rows] << SHIFT),
            times=microseconds(np.array(times), len(batch)),
            scored=np.arange(len(batch)),
            after=after,
        )
        return self.memory.lookup(clicks, self.admissions)

    def read(self, batch: list[Click]) -> Evidence:
        evidence = self.lookup(batch)
        sessions = list(dict.fromkeys(session for session, _, _ in batch))
        self.memory.commit(np.array(sessions, np.int64))
        self.live |= set(sessions)
        return evidence

    def state(self, sessions: Iterable[int]) -> dict[str, NDArray[Any]]:
        return self.memory.state(np.array([*sessions], np.int64), ITEMS + 1, SnapshotBuffer())


def log_odds(rate: float) -> float:
    return math.log(rate / (1 - rate))


class Plain:
    """Reads clicks one by one into plain lists, and derives each moment from these."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.done: list[Click] = []
        self.kinds: list[tuple[int, int, bool, bool]] = []  # Session, last item, repeat, return.
        self.log: list[tuple[int, int]] = []

    def of(self, session: int) -> list[int]:
        return [item for own, item, _ in self.done if own == session]

    def own(self, session: int) -> list[int]:
        distinct = list(dict.fromkeys(reversed(self.of(session))))
        return [item for place, item in enumerate(distinct) if item or not place][:SESSION_ITEMS]

    def item_facts(self, session: int, item: int) -> list[float]:
        """Count the item in all clicks before this moment."""
        own = [(at, time) for at, (_, one, time) in enumerate(self.done) if one == item]
        if not own:
            return [0.0] * ITEM_FACTS
        moment = [time for one, _, time in self.done if one == session][-1]
        seconds = [
            max(0.0, moment - time) if moment is not None and time is not None else 0.0
            for time in (own[-1][1], own[0][1])
        ]
        since = [len(self.done) - own[-1][0], len(self.done) - own[0][0]]
        return [len(own), *since, *seconds]

    def click(self, session: int, item: int, time: float | None) -> None:
        before = self.of(session)
        repeat = bool(before) and item == before[-1] > 0
        if before:
            back = not repeat and item > 0 and item in self.own(session)
            self.kinds.append((session, before[-1], repeat, back))
        if not repeat:
            self.log.append((session, item))
        self.done.append((session, item, time))

    def facts(self, session: int) -> list[float]:
        before = self.of(session)
        kinds = [(repeat, back) for own, _, repeat, back in self.kinds if own == session]
        repeats = [repeat for _, _, repeat, _ in self.kinds]
        returns = [back for _, _, _, back in self.kinds]
        again = [repeat for _, item, repeat, _ in self.kinds if item == before[-1] > 0]
        run = 0
        while run < len(kinds) and kinds[-1 - run][0]:
            run += 1
        usual = (sum(repeats) + 1) / (len(repeats) + 4)
        usual_return = (sum(returns) + 1) / (len(repeats) + 10)
        return [
            1,
            math.log(len(before)),
            float(len(before) == 1),
            math.log1p(run),
            log_odds((sum(again) + 2 * usual) / (len(again) + 2)),
            log_odds((sum(repeat for repeat, _ in kinds) + usual) / len(before)),
            log_odds((sum(back for _, back in kinds) + usual_return) / len(before)),
            math.log1p(len(again)),
            float(len(kinds) > run and kinds[-1 - run][1]),
            math.log(max(1, len(self.own(session)))),
        ]

    def in_sight(self) -> range:
        return range(max(0, len(self.log) - self.bound), len(self.log))

    def before(self, number: int, steps: int) -> list[int]:
        """Return the clicks before one in its session, nearest first, up to one out of sight."""
        mine = [n for n in range(number) if self.log[n][0] == self.log[number][0]]
        found: list[int] = []
        for one in reversed(mine):
            # A link is not made to a click that was out of sight by then.
            if one not in self.in_sight() or one < (found or [number])[-1] - self.bound:
                break
            found.append(one)
        return found[:steps]

    def after(self, number: int, steps: int) -> list[int]:
        session = self.log[number][0]
        found = [number]
        for one in range(number + 1, len(self.log)):
            if self.log[one][0] == session:
                if found[-1] < one - self.bound:
                    break
                found.append(one)
        return found[1 : steps + 1]

    def evidence(self, session: int) -> tuple[list[int], list[bool]]:
        rows, match = [0] * EVIDENCE, [False] * EARLIER_CLICKS
        own = [n for n in self.in_sight() if self.log[n][0] == session][-1:]
        own += self.before(own[0], len(LOOKBACK)) if own else []
        place = 0
        for turn, reach in enumerate(LOOKBACK):
            if turn < len(own):
                item = self.log[own[turn]][1]
                last = self.log[own[turn + 1]][1] if turn + 1 < len(own) else 0
                found = [n for n in reversed(self.in_sight()) if self.log[n][1] == item > 0]
                for at, number in enumerate(found[:reach]):
                    for step, near in enumerate(self.after(number, AFTER)):
                        rows[(place + at) * (AFTER + BEFORE) + step] = self.log[near][1]
                    for step, near in enumerate(self.before(number, BEFORE)):
                        rows[(place + at) * (AFTER + BEFORE) + AFTER + step] = self.log[near][1]
                    match[place + at] = rows[(place + at) * (AFTER + BEFORE) + AFTER] == last > 0
            place += reach
        for at, row in enumerate(self.own(session)[1:]):
            rows[NEIGHBOUR_CLICKS + at] = row
        for at, number in enumerate(reversed(self.in_sight()[-RECENT:])):
            rows[NEIGHBOUR_CLICKS + SESSION_ITEMS - 1 + at] = self.log[number][1]
        return rows, match


def batches(stream: list[Click], size: int) -> Iterator[list[Click]]:
    for start in range(0, len(stream), size):
        yield stream[start : start + size]


@given(clicks, st.integers(1, 9), st.integers(1, 40))
@settings(max_examples=120)
def test_the_evidence_is_that_of_a_plain_reading_of_the_clicks(
    stream: list[Click], size: int, bound: int
) -> None:
    reader, plain = Reader(bound), Plain(bound)
    for batch in batches(stream, size):
        clues = reader.read(batch)
        for at, (session, item, time) in enumerate(batch):
            if plain.of(session):
                rows, match = plain.evidence(session)
                found = special(clues, at)
                assert found[:EVIDENCE] == rows
                assert found[LAST] == plain.of(session)[-1]
                assert found[TARGET] == item
                assert clues.match[at].tolist() == match
                assert clues.session_features[at].tolist() == pytest.approx(plain.facts(session))
                own = slice(*clues.spans[at].tolist())
                assert sorted(clues.rows[own].tolist()) == sorted({*found} - {0})
                for row, facts in zip(clues.rows[own].tolist(), clues.item_facts[own], strict=True):
                    assert facts.tolist() == pytest.approx(plain.item_facts(session, row), rel=1e-5)
            plain.click(session, item, time)


@given(clicks, st.integers(1, 9), st.integers(1, 40))
@settings(max_examples=60)
def test_however_a_stream_is_cut_each_click_has_the_same_evidence(
    stream: list[Click], size: int, bound: int
) -> None:
    whole, cut = Reader(bound), Reader(bound)
    expected = whole.read(stream)
    at = 0
    for batch in batches(stream, size):
        clues = cut.read(batch)
        for own in range(len(batch)):
            assert special(clues, own) == special(expected, at)
            assert np.array_equal(clues.session_features[own], expected.session_features[at])
            assert np.array_equal(clues.match[own], expected.match[at])
            of, of_whole = slice(*clues.spans[own]), slice(*expected.spans[at])
            assert np.array_equal(clues.item_facts[of], expected.item_facts[of_whole])
            at += 1


@given(clicks, clicks, st.integers(1, 40))
@settings(max_examples=60)
def test_a_batch_that_is_rolled_back_has_never_been(
    stream: list[Click], tried: list[Click], bound: int
) -> None:
    reader = Reader(bound)
    reader.read(stream)
    before = reader.state(sorted(reader.live))
    reader.lookup(tried)
    for _ in range(2):  # The second has nothing to undo.
        reader.memory.rollback()
        after = reader.state(sorted(reader.live))
        for name, column in before.items():
            assert np.array_equal(column, after[name]), name


def test_an_interrupt_during_a_lookup_can_be_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    reader.read(at_no_time([(1, 5), (2, 6)]))
    before = reader.state([1, 2])

    def interrupted(*arguments: Any) -> None:
        history.append_clicks(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nextclick.models.memory.memory.append_clicks", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reader.lookup(at_no_time([(1, 6), (3, 5)]))
    reader.memory.rollback()
    for name, column in reader.state([1, 2]).items():
        assert np.array_equal(column, before[name]), name


def test_a_batch_is_committed_once() -> None:
    reader = Reader()
    reader.read(at_no_time([(1, 5)]))
    with pytest.raises(RuntimeError, match="no batch has been looked up"):
        reader.memory.commit(np.array([1]))


@given(clicks, clicks, st.integers(1, 40))
@settings(max_examples=60)
def test_restored_it_goes_on_as_before(stream: list[Click], rest: list[Click], bound: int) -> None:
    reader, other = Reader(bound), Reader(bound)
    # Restored, the live sessions' slots are 0, 1, ….
    stream = [*at_no_time([(0, 1), (1, 2), (2, 3), (3, 4)]), *stream]
    reader.read(stream)
    other.memory.restore(reader.state(range(4)))
    other.live = reader.live
    clues, again = reader.read(rest), other.read(rest)
    for part in Evidence._fields:
        assert np.array_equal(getattr(clues, part), getattr(again, part)), part
    for name, column in reader.state(range(4)).items():
        assert np.array_equal(column, other.state(range(4))[name]), name


def test_a_repeat_is_counted_and_not_logged() -> None:
    reader = Reader()
    reader.read(at_no_time([(2, 1), (2, 1), (3, 1), (2, 1), (2, 2), (2, 1)]))
    state = reader.state([2, 3])
    assert state["places"][:, CLICK].tolist() == [3, 1]
    assert len(state["log"]) == 4


def test_evidence_after_a_click_counts_the_click() -> None:
    clues = Reader().lookup(at_no_time([(2, 1), (2, 1), (3, 1)]), after=True)
    assert np.expm1(clues.session_features[:, 3]).tolist() == pytest.approx([0, 1, 0])
    assert [special(clues, at)[LAST] for at in range(3)] == [1, 1, 1]


def test_an_item_that_has_left_is_no_evidence_and_its_row_is_counted_anew() -> None:
    reader = Reader()
    reader.read(at_no_time([(1, 5), (1, 5), (1, 5), (1, 6)]))
    reader.admissions[5] = 9
    clues = reader.read(at_no_time([(2, 5), (2, 6), (1, 6)]))
    assert math.expm1(clues.session_features[1, 7]) == pytest.approx(0)
    # What the first item in the row led to is not evidence for the second.
    assert not any(special(clues, 1)[:NEIGHBOUR_CLICKS])
    # To the session it is no longer there.
    assert 5 not in special(clues, 2)[NEIGHBOUR_CLICKS : NEIGHBOUR_CLICKS + SESSION_ITEMS - 1]


def test_a_session_that_goes_on_from_an_item_that_has_left_takes_no_other_items_counts() -> None:
    reader = Reader()
    reader.read(at_no_time([(1, 5)]))
    reader.admissions[5] = 9
    reader.read(at_no_time([(2, 5), (2, 5), (2, 5)]))
    reader.read(at_no_time([(1, 6)]))
    clues = reader.read(at_no_time([(3, 5), (3, 6)]))
    assert math.expm1(clues.session_features[1, 7]) == pytest.approx(2)


def test_rates_stay_finite_however_many_clicks_agree() -> None:
    reader = Reader()
    reader.read(at_no_time([(1, 5), (1, 5)]))
    reader.memory._totals[:2] = 10**12
    reader.memory._places[1, 2] = reader.memory._places[1, 4] = 10**12
    assert np.isfinite(reader.read(at_no_time([(1, 5)])).session_features).all()


def test_an_item_that_has_come_back_is_counted_anew() -> None:
    reader = Reader()
    reader.read([(1, 5, 10.0), (1, 5, 20.0), (1, 6, 30.0)])
    reader.admissions[5] = 9
    clues = reader.read([(2, 5, 40.0), (1, 6, 50.0), (2, 6, 60.0)])
    begin, _ = clues.spans[2]
    place = clues.place_of[2, LAST]
    assert clues.item_facts[begin + place].tolist() == [1, 2, 2, 0, 0]


def test_a_snapshot_from_before_items_were_counted_is_read() -> None:
    reader, other = Reader(), Reader()
    reader.read(at_no_time([(0, 1), (0, 2), (0, 1)]))
    state = reader.state([0])
    state["items"], state["totals"] = state["items"][:, :4], state["totals"][:4]
    state["places"] = state["places"][:, :8]
    state["weights"], state["sums"] = state["weights"][:WEIGHTS], state["sums"][:WEIGHTS]
    assert set(other.memory.upgraded(state, "")) == set(state) - {"log", "own"}
    other.memory.restore(state | other.memory.upgraded(state, ""))
    other.live = reader.live
    clues, again = (one.read(at_no_time([(0, 2)])) for one in (reader, other))
    assert np.array_equal(clues.place_of, again.place_of)
    assert np.array_equal(clues.session_features, again.session_features)
    assert again.item_facts.max() == 0
