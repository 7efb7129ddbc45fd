from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models.compute.snapshot_buffer import SnapshotBuffer
from nextclick.models.items.item_table import ItemTable
from nextclick.models.items.table import Table
from nextclick.models.items.vocabulary import NO_ITEM
from nextclick.models.optim import make_rule

CPU = torch.device("cpu")
INPUTS = [None, 1, 3]
"""Sizes of the inputs: tied, or of their own."""


def table(
    size: int = 5,
    inputs: int | None = None,
    *,
    spread: float = 0.2,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> ItemTable:
    generator = torch.Generator().manual_seed(seed)
    rule = make_rule("adam", 0.1, momentum=0.5)  # Of all rules it remembers the most.
    return ItemTable(size, inputs, spread, rule, CPU, dtype, generator)


def parts(items: ItemTable) -> list[Table]:
    return list(dict.fromkeys([items.embedding, items.inputs, items.bias]))


def weights(items: ItemTable) -> dict[str, torch.Tensor]:
    """List what is learned and remembered of every row, in place."""
    return {
        f"table {number}, tensor {place}": tensor
        for number, part in enumerate(parts(items))
        for place, tensor in enumerate([part.values, *part.optimizer_state])
    }


def draw(items: ItemTable, rows: list[int], used: int | None = None) -> None:
    items.draw(torch.tensor(rows, dtype=torch.int64), used or max(rows, default=0) + 1)


def learn(items: ItemTable, rows: list[int], seed: int = 0) -> None:
    """Put something into rows, as an optimizer would."""
    random = torch.Generator().manual_seed(seed)
    for tensor in weights(items).values():
        shape = (len(rows), *tensor.shape[1:])
        tensor[rows] = torch.rand(shape, generator=random, dtype=torch.float64) + 1


def check_items(items: ItemTable, rows: list[int]) -> None:
    """Check that exactly these rows can be scored."""
    for part in (items.embedding, items.inputs):
        assert torch.equal(part.values[0], torch.zeros_like(part.values[0]))
    held = items.bias.values > -torch.inf
    assert held.nonzero().ravel().tolist() == sorted(rows)


@pytest.mark.parametrize("inputs", [None, 60])
def test_new_rows_are_uniform_with_no_bias_and_no_memory(inputs: int | None) -> None:
    items = table(50, inputs, spread=0.2)
    draw(items, list(range(1, 2001)))
    for part in (items.embedding, items.inputs):
        drawn = part.values[1:2001]
        assert drawn.abs().max() <= 0.2
        quarters = torch.histc(drawn, 4, -0.2, 0.2) / drawn.numel()
        assert (quarters - 0.25).abs().max() < 0.01
    assert not items.bias.values[1:2001].any()
    assert not any(memory.any() for part in parts(items) for memory in part.optimizer_state)
    check_items(items, list(range(1, 2001)))


def test_tied_inputs_are_the_embeddings_and_others_are_drawn_apart() -> None:
    tied, apart = table(5), table(5, 5)
    assert tied.tied
    assert tied.inputs is tied.embedding
    assert not apart.tied
    for items in (tied, apart):
        draw(items, [1, 2, 3])
    assert not (apart.inputs.values[1:4] == apart.embedding.values[1:4]).any()
    assert table(5, 12).inputs.values.shape[1] == 12


def test_an_empty_table_holds_no_item() -> None:
    items = table()
    check_items(items, [])
    draw(items, [])
    check_items(items, [])


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 20), st.sampled_from([None, 1, 7]))
def test_what_an_item_begins_with_depends_only_on_its_place_among_the_births(
    counts: list[int], size: int, inputs: int | None
) -> None:
    at_once, by_parts, elsewhere = (table(size, inputs) for _ in range(3))
    total = sum(counts)
    draw(at_once, list(range(1, total + 1)))
    draw(elsewhere, list(range(total, 0, -1)))
    first = 1
    for count in counts:
        draw(by_parts, list(range(first, first + count)), first + count)
        first += count
    assert at_once.n_generations == by_parts.n_generations == total
    for name, rows in at_once.state(total + 1, SnapshotBuffer()).items():
        assert torch.equal(rows[1:], by_parts.state(total + 1, SnapshotBuffer())[name][1:]), name
        assert torch.equal(
            rows[1:], elsewhere.state(total + 1, SnapshotBuffer())[name][1:].flip(0)
        ), name


@given(
    st.lists(st.sampled_from([1, 500, 1022, 1023, 1024, 3000]), min_size=2, max_size=5),
    st.sampled_from(INPUTS),
)
@settings(max_examples=20)
def test_growing_keeps_what_was_learned(counts: list[int], inputs: int | None) -> None:
    items = table(2, inputs)
    used = 1
    for seed, count in enumerate(counts):
        learn(items, list(range(1, used)), seed)
        before = items.state(used, SnapshotBuffer())
        draw(items, list(range(used, used + count)))
        after = items.state(used, SnapshotBuffer())
        for name, old in before.items():
            assert torch.equal(after[name], old), name
        used += count
        check_items(items, list(range(1, used)))


def test_growth_seldom_copies_the_tables() -> None:
    items = table(1)
    places = []
    for row in range(1, 10_000):
        draw(items, [row])
        places.append((items.embedding.values.data_ptr(), items.generation.data_ptr()))
    assert sum(a != b for a, b in pairwise(places)) <= 10


lives = st.lists(
    st.tuples(
        st.lists(st.integers(1, 12), unique=True, max_size=6),
        st.lists(st.integers(1, 12), unique=True, max_size=6),
    ),
    min_size=1,
    max_size=8,
)


@given(lives)
def test_a_stamp_is_of_an_item_and_not_of_its_row(
    stream: list[tuple[list[int], list[int]]],
) -> None:
    items = table(2)
    draw(items, [], used=13)
    holder: dict[int, int] = {}  # Row to the item in it: items are numbered by birth.
    kept: list[tuple[int, int, int]] = []
    n_generations = 0
    for begin, end in stream:
        draw(items, begin, used=13)
        for row in begin:
            n_generations += 1
            holder[row] = n_generations
        if holder:
            rows = list(holder)
            stamps = items.keys_of(torch.tensor(rows)).tolist()
            kept += zip(stamps, rows, holder.values(), strict=True)
        check_items(items, list(holder))

        items.clear(torch.tensor(end, dtype=torch.int64))
        for row in end:
            holder.pop(row, None)
        check_items(items, list(holder))
        found = items.rows_of(torch.tensor([stamp for stamp, _, _ in kept], dtype=torch.int64))
        assert found.tolist() == [
            row if holder.get(row) == item else NO_ITEM for _, row, item in kept
        ]


def test_no_item_stamped_is_no_item() -> None:
    items = table()
    draw(items, [1, 2])
    stamps = items.keys_of(torch.tensor([NO_ITEM, 2]))
    assert stamps[0] == 0  # What a place that was never filled holds.
    assert items.rows_of(stamps).tolist() == [NO_ITEM, 2]


@given(st.lists(st.integers(1, 20), unique=True, min_size=1), st.sampled_from(INPUTS))
@settings(max_examples=50)
def test_a_row_used_again_keeps_nothing_of_the_item_before(
    rows: list[int], inputs: int | None
) -> None:
    items, fresh = table(inputs=inputs, seed=1), table(inputs=inputs, seed=2)
    draw(items, list(range(1, 21)))
    learn(items, list(range(1, 21)))
    before = items.state(21, SnapshotBuffer())
    items.clear(torch.tensor(rows))
    items._generator.manual_seed(2)
    draw(items, rows, used=21)
    draw(fresh, rows, used=21)
    others = [row for row in range(21) if row not in rows]
    after, new = items.state(21, SnapshotBuffer()), fresh.state(21, SnapshotBuffer())
    for name, old in before.items():
        if name != "births":
            assert torch.equal(after[name][rows], new[name][rows]), name
        assert torch.equal(after[name][others], old[others]), name


@pytest.mark.parametrize("inputs", [None, 3])
@pytest.mark.parametrize("other_rows", [0, 5, 3000])
@pytest.mark.parametrize("count", [0, 8, 1500])
def test_a_restored_table_goes_on_the_same(count: int, other_rows: int, inputs: int | None) -> None:
    """Whatever the table held that takes the state."""
    items, other = table(2, inputs), table(2, inputs, seed=5)
    rows = list(range(1, count + 1))
    draw(items, rows)
    learn(items, rows)
    items.clear(torch.tensor(rows[::3], dtype=torch.int64))
    stamps = items.keys_of(torch.arange(count + 1))
    state, n_generations, random = (
        items.state(count + 1, SnapshotBuffer()),
        items.n_generations,
        items._generator.get_state(),
    )
    assert {len(array) for array in state.values()} == {count + 1}
    # As many arrays as the tables have, and the births.
    assert len(state) == len(weights(items)) + 1
    kept = {name: array.clone() for name, array in state.items()}
    draw(other, list(range(1, other_rows + 1)))
    learn(other, list(range(1, other_rows + 1)))
    other.restore(state, n_generations)
    other._generator.set_state(random)
    check_items(other, [row for row in rows if row not in rows[::3]])
    for both in (items, other):
        draw(both, [*rows[:1], count + 1, count + 2])
    ours, theirs = (
        items.state(count + 3, SnapshotBuffer()),
        other.state(count + 3, SnapshotBuffer()),
    )
    for name, array in ours.items():
        assert torch.equal(array, theirs[name]), name
        assert torch.equal(state[name], kept[name]), name  # A copy, on both ways.
    assert torch.equal(items.rows_of(stamps), other.rows_of(stamps))
    assert items.n_generations == other.n_generations


@pytest.mark.parametrize("inputs", [None, 3])
def test_a_state_is_not_shared_with_the_table(inputs: int | None) -> None:
    items = table(inputs=inputs)
    draw(items, [1, 2, 3])
    state = items.state(4, SnapshotBuffer())
    kept = {name: array.clone() for name, array in state.items()}
    learn(items, [1, 2, 3])
    items.clear(torch.tensor([1]))
    items.restore(state, items.n_generations)
    learn(items, [1, 2, 3], seed=1)
    items.clear(torch.tensor([2]))
    for name, array in kept.items():
        assert torch.equal(state[name], array), name


def test_tables_have_the_type_asked_for() -> None:
    items, exact = table(4, 3, dtype=torch.float32), table(4, 3)
    rows = list(range(1, 2001))
    for both in (items, exact):
        draw(both, rows)
    assert {tensor.dtype for tensor in weights(items).values()} == {torch.float32}
    assert items.generation.dtype == torch.int64
    assert torch.equal(items.embedding.values[:2001], exact.embedding.values[:2001].float())
    assert torch.equal(items.inputs.values[:2001], exact.inputs.values[:2001].float())
