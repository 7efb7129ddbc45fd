"""A state does not know the number of workers: any number goes on from any other's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models.workers.pool import Pool
from tests.models.workers.shared import (
    assert_same_lists,
    assert_same_states,
    drive,
    one_process,
    part,
    sharded,
    stream,
)

OPTIONS: list[dict[str, Any]] = [
    {"memory": 300},
    {"embedding": "separate", "optimizer": "adam", "momentum": 0.5, "bias": True},
    {"embedding": "one-hot", "cell": "lstm", "optimizer": "row-adagrad", "dropout": 0.3},
]
CLICKS = stream(480, seed=2)
STEP = 80


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_number_of_workers_can_change_at_every_snapshot(
    options: dict[str, Any], pool: Pool
) -> None:
    model = one_process(**options)
    state = None
    for turn, size in enumerate((1, 2, 3, 1, 5, 2)):
        clicks = part(CLICKS, turn * STEP, (turn + 1) * STEP)
        ranks, lists = drive(model, clicks, start=turn * STEP)
        with pool.group(size) as group:
            shared = sharded(group, **options)
            if state:
                shared.restore(state)
            found_ranks, found_lists = drive(shared, clicks, start=turn * STEP)
            assert found_ranks == ranks
            assert_same_lists(found_lists, lists)
            state = shared.state()
            assert_same_states(model.state(), state)


def test_one_process_goes_on_from_workers_and_workers_from_it(pool: Pool) -> None:
    first, whole = one_process(memory=300), one_process(memory=300)
    expected = drive(whole, part(CLICKS, 0, 240))[0]
    found = drive(first, part(CLICKS, 0, 80))[0]
    with pool.group(3) as group:
        shared = sharded(group, memory=300)
        shared.restore(first.state())
        found += drive(shared, part(CLICKS, 80, 160), start=80)[0]
        state = shared.state()
    last = one_process(memory=300)
    last.restore(state)
    found += drive(last, part(CLICKS, 160, 240), start=160)[0]
    assert found == expected
    assert_same_states(whole.state(), last.state())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_same_number_of_workers_gives_the_same_digits(
    size: int, dtype: str, pool: Pool
) -> None:
    states = []
    for stops in ((240,), (240,), (80, 160, 240)):
        state, begin = None, 0
        for end in stops:
            with pool.group(size) as group:
                shared = sharded(group, dtype, memory=300)
                if state:
                    shared.restore(state)
                drive(shared, part(CLICKS, begin, end), start=begin)
                state = shared.state()
            begin = end
        assert state
        states.append(state)
    assert_same_states(states[0], states[1], tolerance=0)
    assert_same_states(states[0], states[2], tolerance=0)


def test_a_model_that_goes_back_to_a_state_goes_on_from_there(pool: Pool) -> None:
    with pool.group(3) as group:
        shared = sharded(group, memory=300)
        drive(shared, part(CLICKS, 0, 160))
        state = shared.state()
        first = drive(shared, part(CLICKS, 160, 320), start=160)
        after = shared.state()
        shared.restore(state)
        assert drive(shared, part(CLICKS, 160, 320), start=160) == first
        assert_same_states(after, shared.state(), tolerance=0)
