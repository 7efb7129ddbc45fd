from __future__ import annotations

import json

import numpy as np
import pytest

from nextclick.models import State
from nextclick.stream.recommendations.preference import Preference, wilson


def covered(draw: np.random.Generator, sessions: int, lists: int, spread: float) -> bool:
    """Whether the interval of a simulated preference holds the true one.

    Each session prefers the first model by its own share of lists, around the true one.
    """
    preference = Preference()
    true = float(draw.uniform(0.3, 0.7))
    for session in range(sessions):
        own = np.clip(true + draw.choice([-spread, spread]), 0.0, 1.0)
        for won in draw.random(int(draw.integers(1, lists + 1))) < own:
            preference.credit(session, bool(won))
    found = preference.results()
    return bool(found["low"] <= true <= found["high"])


@pytest.mark.parametrize(
    ("sessions", "lists", "spread"), [(10, 1, 0.0), (200, 1, 0.0), (60, 8, 0.3), (300, 5, 0.2)]
)
def test_the_interval_holds_the_true_preference_as_often_as_it_promises(
    sessions: int, lists: int, spread: float
) -> None:
    draw = np.random.default_rng(sessions)
    held = np.mean([covered(draw, sessions, lists, spread) for _ in range(600)])
    # The standard deviation of the share is 0.009.
    assert held > 0.92


def test_lists_of_one_session_count_for_less_than_those_of_many() -> None:
    many, few = Preference(), Preference()
    for number in range(400):
        won = number % 40 < 24
        many.credit(number, won)
        few.credit(number % 40, won)
    one, other = many.results(), few.results()
    assert one["preference"] == other["preference"] == 0.6
    assert other["high"] - other["low"] > 2 * (one["high"] - one["low"])


def test_nothing_is_said_before_a_list_is_decided() -> None:
    preference = Preference()
    preference.credit(1, None)
    found = preference.results()
    assert (found["ties"], found["wins"], found["losses"]) == (1, 0, 0)
    assert found["preference"] is found["low"] is found["high"] is None
    preference.credit(1, True)
    found = preference.results()
    assert found["preference"] == 1.0
    assert found["low"] < 0.5 < found["high"]


def test_it_goes_on_from_a_snapshot_to_the_last_digit() -> None:
    draw = np.random.default_rng(1)
    whole, part = Preference(), Preference()
    for _ in range(500):
        session, won = int(draw.integers(40)), [True, False, None][int(draw.integers(3))]
        whole.credit(session, won)
        part.credit(session, won)
        if draw.random() < 0.1:
            whole.forget([session])
            part.forget([session])
            resumed = Preference()
            resumed.restore(State({}, json.loads(json.dumps(part.state().values))))
            part = resumed
    assert part.results() == whole.results()


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    # A. Agresti, B. A. Coull (1998): 0 of 10 and 5 of 10.
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
