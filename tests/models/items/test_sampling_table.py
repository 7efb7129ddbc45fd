from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.models.compute.snapshot_buffer import SnapshotBuffer
from nextclick.models.items import sampling_table
from nextclick.models.items.sampling_table import BLOCK, GROUP, SamplingTable
from nextclick.models.items.vocabulary import NO_ITEM

CPU = torch.device("cpu")

rows = st.integers(1, 3 * GROUP) | st.integers(1, 2 * BLOCK) | st.integers(GROUP - 1, GROUP + 1)
weights = st.integers(0, 3) | st.integers(0, 1 << 40)
steps = st.lists(
    st.tuples(st.just("set"), st.dictionaries(rows, weights, max_size=30))
    | st.tuples(st.just("drop"), st.dictionaries(rows, st.just(0), max_size=3))
    | st.tuples(st.just("refresh"), st.just({})),
    max_size=12,
)


@pytest.fixture(params=["compiled", "torch"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By the compiled loops, and as on a GPU."""
    if request.param == "torch":
        monkeypatch.setattr(sampling_table, "on_host", lambda _: False)
    return str(request.param)


def set_weights(table: SamplingTable, changes: dict[int, float]) -> None:
    table.reserve(max(changes, default=0) + 1)
    for row, weight in changes.items():
        table.weights[row] = weight
    table.note(torch.tensor(list(changes), dtype=torch.int64))


def table_of(changes: dict[int, float]) -> SamplingTable:
    table = SamplingTable(CPU)
    set_weights(table, changes)
    table.refresh()
    return table


@given(steps, st.integers(0, 10_000))
def test_a_number_draws_what_one_cumulative_sum_over_all_rows_draws(
    steps: list[tuple[str, dict[int, int]]], seed: int
) -> None:
    table = SamplingTable(CPU)
    # As of the last refresh; whether a row was dropped since; and now.
    kept: NDArray[Any] = np.zeros(1)
    gone: NDArray[Any] = np.zeros(1, np.bool_)
    present: NDArray[Any] = np.zeros(1)
    for kind, changes in steps:
        if kind == "refresh":
            if len(table):
                table.refresh()
            kept, gone = present.copy(), np.zeros_like(gone)
            continue
        most = max([*changes, len(present) - 1])
        present, gone = (np.pad(of, (0, most + 1 - len(of))) for of in (present, gone))
        if kind == "set":
            set_weights(table, dict(changes))
        elif changes and len(table):
            table.reserve(most + 1)
            table.drop(torch.tensor(list(changes), dtype=torch.int64))
            gone[list(changes)] = True
        else:
            continue
        present[list(changes)] = list(changes.values())
    if not len(table):
        return
    sums = np.pad(kept, (0, len(present) - len(kept))).cumsum()  # Whole numbers: exact.
    draws = np.random.default_rng(seed).random(200)
    if sums[-1]:
        ends = sums / sums[-1]
        draws = np.concatenate([draws, [0.0, np.nextafter(1, 0)], ends[ends < 1][:200]])
        shares = draws * sums[-1]
        expected = np.searchsorted(sums, shares, side="right")
        expected = np.minimum(expected, np.searchsorted(sums, sums[-1]))
        expected[gone[expected]] = NO_ITEM
    else:
        expected = np.full(len(draws), NO_ITEM)
    assert table.draw(torch.from_numpy(draws)).tolist() == expected.tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling_table, "on_host", lambda _: False)
        assert table.draw(torch.from_numpy(draws)).tolist() == expected.tolist()


@given(st.lists(st.dictionaries(rows, st.floats(0, 1e6), max_size=40), max_size=6))
def test_sums_renewed_in_part_are_to_the_last_bit_those_of_all_weights(
    changes: list[dict[int, float]],
) -> None:
    table, weights = SamplingTable(CPU), {1: 1.0}
    set_weights(table, weights)
    for change in changes:
        set_weights(table, change)
        weights |= change
        table.refresh()
    whole = table_of(weights)
    table.refresh()
    size = len(whole)
    arrays, others = table.state(SnapshotBuffer()), whole.state(SnapshotBuffer())
    assert torch.equal(arrays["sums"][:size], others["sums"])
    assert not arrays["sums"][size:].any()
    assert table.total == whole.total


def test_a_refresh_reads_only_the_blocks_of_rows_that_were_noted(by: str) -> None:
    table = table_of(dict.fromkeys(range(1, 3 * GROUP), 1.0))
    table.weights[BLOCK + 1] = 1e9  # Nobody is told.
    set_weights(table, {2 * GROUP + 5: 4.0})
    table.refresh()
    assert table.total == 3 * GROUP - 1 + 3


def test_new_weights_are_drawn_by_after_the_refresh_not_before(by: str) -> None:
    table = table_of({1: 1.0})
    numbers = torch.tensor([0.1, 0.9], dtype=torch.float64)
    set_weights(table, {2: 1.0, GROUP + 1: 2.0})
    assert table.draw(numbers).tolist() == [1, 1]
    table.refresh()
    assert table.draw(numbers).tolist() == [1, GROUP + 1]


def test_no_item_is_drawn_for_a_dropped_row_until_the_refresh(by: str) -> None:
    table = table_of({1: 1.0, 2: 1.0})
    numbers = torch.tensor([0.1, 0.9], dtype=torch.float64)
    table.drop(torch.tensor([2]))
    set_weights(table, {2: 5.0})  # Another item has the row.
    assert table.draw(numbers).tolist() == [1, NO_ITEM]
    table.refresh()
    assert table.draw(numbers).tolist() == [1, 2]


def test_where_all_weight_is_gone_no_item_is_drawn(by: str) -> None:
    table = table_of({1: 1.0, GROUP + 7: 2.0})
    table.drop(torch.tensor([1, GROUP + 7]))
    table.refresh()
    assert table.draw(torch.tensor([0.0, 0.5], dtype=torch.float64)).tolist() == [NO_ITEM] * 2


@given(st.dictionaries(rows, st.floats(1e-9, 1e9), min_size=1, max_size=60))
def test_a_row_without_weight_is_never_drawn_whatever_is_rounded(
    changes: dict[int, float],
) -> None:
    table = table_of(changes)
    ends = torch.tensor(list(changes.values()), dtype=torch.float64).cumsum(0)
    near = ends / ends[-1]
    numbers = torch.cat([near, torch.nextafter(near, near.new_zeros(()))])
    numbers = torch.cat([numbers[numbers < 1], torch.tensor([0.0, 1 - 2**-53])])
    assert set(table.draw(numbers).tolist()) <= set(changes)


def test_a_restored_table_draws_the_same_and_goes_on_to_the_last_bit(by: str) -> None:
    draws = np.random.default_rng(0)
    table = table_of({int(row): draws.random() for row in draws.integers(1, 9000, 500)})
    weights = table.weights.clone()
    table.drop(torch.tensor([int(weights.argmax())]))
    set_weights(table, {3: 0.3, 4: 0.1})
    restored = SamplingTable(CPU)
    restored.restore(table.state(SnapshotBuffer()))
    restored.weights[:] = table.weights
    numbers = torch.from_numpy(draws.random(500))
    for _ in range(2):
        assert torch.equal(restored.draw(numbers), table.draw(numbers))
        assert restored.total == table.total
        table.refresh()
        restored.refresh()
