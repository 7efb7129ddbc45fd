from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models.habits import NOWHERE, OWN, Habits, Place

Id = str | int
clicks = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), max_size=60)


def log_odds(rate: float) -> float:
    return math.log(rate / (1 - rate))


@given(clicks, st.integers(1, 9))
@settings(max_examples=100)
def test_each_moment_is_told_as_a_plain_reading_of_the_clicks_has_it(
    stream: list[tuple[int, int]], batch: int
) -> None:
    habits, places, count = Habits(), dict[Id, Place](), 0
    done: list[tuple[int, int]] = []
    followed: dict[int, list[bool]] = {}
    repeats: list[bool] = []
    returns: list[bool] = []
    of_session: dict[int, list[tuple[bool, bool]]] = {}
    for start in range(0, len(stream), batch):
        part = stream[start : start + batch]
        sessions: list[Id] = [session for session, _ in part]
        trace = habits.trace(sessions, [item for _, item in part], places, count)
        for at, (session, item) in enumerate(part):
            before = [other for own, other in done if own == session]
            kinds = of_session.setdefault(session, [])
            if not before:
                assert trace.own[at] == NOWHERE
                assert not trace.items[at].any()
            else:
                last = before[-1]
                distinct = list(dict.fromkeys(reversed(before)))
                known = [other for place, other in enumerate(distinct) if other or not place]
                assert trace.items[at].tolist() == (known + [0] * OWN)[:OWN]
                run = 0
                while kinds and run < len(kinds) and kinds[-1 - run][0]:
                    run += 1
                usual = (sum(repeats) + 1) / (len(repeats) + 4)
                usual_return = (sum(returns) + 1) / (len(repeats) + 10)
                own = followed.get(last, []) if last else []
                back = kinds[-1 - run][1] if len(kinds) > run else False
                expected = [
                    1,
                    math.log(len(before)),
                    float(len(before) == 1),
                    math.log1p(run),
                    log_odds((sum(own) + 2 * usual) / (len(own) + 2)),
                    log_odds((sum(again for again, _ in kinds) + usual) / len(before)),
                    log_odds((sum(ret for _, ret in kinds) + usual_return) / len(before)),
                    math.log1p(len(own)),
                    float(back),
                    math.log(max(1, min(len(known), OWN))),
                ]
                assert trace.facts[at].tolist() == pytest.approx(expected)
                repeat = item == last > 0
                returned = not repeat and item > 0 and item in known[:OWN]
                kinds.append((repeat, returned))
                if last:
                    followed.setdefault(last, []).append(repeat)
                repeats.append(repeat)
                returns.append(returned)
            done.append((session, item))
        count += len(trace.logged)
        places.update(trace.ends)
        habits.settle(trace)


def test_a_repeat_is_counted_and_not_logged() -> None:
    trace = Habits().trace([7, 7, 8, 7, 7, 7], [1, 1, 1, 1, 2, 1], {}, 0)
    assert trace.logged.tolist() == [0, 2, 4, 5]
    assert trace.before.tolist() == [NOWHERE, NOWHERE, 0, 2]
    assert trace.own.tolist() == [NOWHERE, 0, NOWHERE, 0, 0, 2]
    assert trace.now.tolist() == [0, 1, 1, 2, 2, 3]
    assert trace.ends == {
        7: Place(3, 1, 5, 0, 2, 1, True, (1, 2)),
        8: Place(1, 1, 1, 0, 0, 0, False, (1,)),
    }


def test_after_tells_how_things_stand_when_the_click_is_there() -> None:
    trace = Habits().trace([7, 7, 8], [1, 1, 1], {}, 0, after=True)
    assert trace.own.tolist() == [0, 0, 1]
    assert trace.now.tolist() == [1, 1, 2]
    assert np.expm1(trace.facts[:, 3]).tolist() == pytest.approx([0, 1, 0])


def test_an_item_that_comes_back_in_its_row_is_counted_anew() -> None:
    habits = Habits()
    first, second = (1 << 31) + 5, (9 << 31) + 5
    habits.settle(habits.trace([1, 1, 1], [first, first, first], {}, 0))
    fresh = habits.trace([2, 2, 3, 3], [first, 7, second, 7], {}, 1)
    assert fresh.facts[1, 7] == pytest.approx(math.log1p(2))
    assert fresh.facts[3, 7] == 0


def test_a_session_that_goes_on_from_an_item_that_has_left_takes_no_other_items_counts() -> None:
    habits = Habits()
    first, second = (1 << 31) + 5, (9 << 31) + 5
    left = habits.trace([1], [first], {}, 0)
    habits.settle(habits.trace([2, 2, 2], [second, second, second], {}, 1))
    habits.settle(habits.trace([1], [7], left.ends, 2))
    fresh = habits.trace([3, 3], [second, 7], {}, 3)
    assert fresh.facts[1, 7] == pytest.approx(math.log1p(2))


@given(clicks, clicks)
@settings(max_examples=30)
def test_restored_it_goes_on_as_before(
    stream: list[tuple[int, int]], rest: list[tuple[int, int]]
) -> None:
    habits = Habits()
    habits.settle(habits.trace([s for s, _ in stream], [i for _, i in stream], {}, 0))
    other = Habits()
    other.restore(*habits.state())
    told, again = (
        one.trace([s for s, _ in rest], [i for _, i in rest], {}, 0) for one in (habits, other)
    )
    assert np.array_equal(told.facts, again.facts)
    assert told.totals == again.totals
