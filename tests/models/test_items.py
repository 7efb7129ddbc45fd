from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models.items import TABLES, ItemTable
from nextclick.models.vocabulary import NO_ITEM

WEIGHTS = [name for name in TABLES if name != "births"]


def table(size: int = 5, spread: float = 0.2, seed: int = 0) -> ItemTable:
    generator = torch.Generator().manual_seed(seed)
    return ItemTable(size, spread, torch.device("cpu"), torch.float64, generator)


def draw(items: ItemTable, rows: list[int], used: int | None = None) -> None:
    items.draw(torch.tensor(rows, dtype=torch.int64), used or max(rows, default=0) + 1)


def learn(items: ItemTable, rows: list[int], seed: int = 0) -> None:
    """Put something into rows, as an optimizer would."""
    random = torch.Generator().manual_seed(seed)
    for name in WEIGHTS:
        weights = getattr(items, name)
        shape = (len(rows), *weights.shape[1:])
        weights[rows] = torch.rand(shape, generator=random, dtype=torch.float64) + 1


def check_items(items: ItemTable, rows: list[int]) -> None:
    """Check that exactly these rows can be scored."""
    assert torch.equal(items.embedding[0], torch.zeros(items.size).double())
    held = items.bias > -torch.inf
    assert held.nonzero().ravel().tolist() == sorted(rows)


def test_new_rows_are_uniform_with_no_bias_and_no_memory() -> None:
    items = table(size=50, spread=0.2)
    draw(items, list(range(1, 2001)))
    drawn = items.embedding[1:2001]
    assert drawn.abs().max() <= 0.2
    quarters = torch.histc(drawn, 4, -0.2, 0.2) / drawn.numel()
    assert (quarters - 0.25).abs().max() < 0.01
    assert not items.bias[1:2001].any()
    assert not items.embedding_memory.any()
    assert not items.bias_memory.any()
    check_items(items, list(range(1, 2001)))


def test_an_empty_table_holds_no_item() -> None:
    items = table()
    check_items(items, [])
    draw(items, [])
    check_items(items, [])


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 20))
def test_what_an_item_begins_with_depends_only_on_its_place_among_the_births(
    counts: list[int], size: int
) -> None:
    at_once, by_parts, elsewhere = table(size), table(size), table(size)
    total = sum(counts)
    draw(at_once, list(range(1, total + 1)))
    draw(elsewhere, list(range(total, 0, -1)))
    first = 1
    for count in counts:
        draw(by_parts, list(range(first, first + count)), first + count)
        first += count
    assert at_once.born == by_parts.born == total
    for name in TABLES:
        rows = getattr(at_once, name)[1 : total + 1]
        assert torch.equal(rows, getattr(by_parts, name)[1 : total + 1]), name
        assert torch.equal(rows, getattr(elsewhere, name)[1 : total + 1].flip(0)), name


@given(st.lists(st.sampled_from([1, 500, 1022, 1023, 1024, 3000]), min_size=2, max_size=5))
@settings(max_examples=20)
def test_growing_keeps_what_was_learned(counts: list[int]) -> None:
    items = table(size=2)
    used = 1
    for seed, count in enumerate(counts):
        learn(items, list(range(1, used)), seed)
        before = items.state(used)
        draw(items, list(range(used, used + count)))
        for name, old in before.items():
            assert torch.equal(getattr(items, name)[:used], old), name
        used += count
        check_items(items, list(range(1, used)))


def test_growth_seldom_copies_the_tables() -> None:
    items = table(size=1)
    places = []
    for row in range(1, 10_000):
        draw(items, [row])
        places.append(items.embedding.data_ptr())
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
    items = table(size=2)
    draw(items, [], used=13)
    holder: dict[int, int] = {}  # Row to the item in it: items are numbered by birth.
    kept: list[tuple[int, int, int]] = []
    born = 0
    for begin, end in stream:
        draw(items, begin, used=13)
        for row in begin:
            born += 1
            holder[row] = born
        if holder:
            rows = list(holder)
            stamps = items.stamp(torch.tensor(rows)).tolist()
            kept += zip(stamps, rows, holder.values(), strict=True)
        check_items(items, list(holder))

        items.clear(torch.tensor(end, dtype=torch.int64))
        for row in end:
            holder.pop(row, None)
        check_items(items, list(holder))
        found = items.unstamp(torch.tensor([stamp for stamp, _, _ in kept], dtype=torch.int64))
        assert found.tolist() == [
            row if holder.get(row) == item else NO_ITEM for _, row, item in kept
        ]


def test_no_item_stamped_is_no_item() -> None:
    items = table()
    draw(items, [1, 2])
    stamps = items.stamp(torch.tensor([NO_ITEM, 2]))
    assert stamps[0] == 0  # What a place that was never filled holds.
    assert items.unstamp(stamps).tolist() == [NO_ITEM, 2]


@given(st.lists(st.integers(1, 20), unique=True, min_size=1))
def test_a_row_used_again_keeps_nothing_of_the_item_before(rows: list[int]) -> None:
    items, fresh = table(seed=1), table(seed=2)
    draw(items, list(range(1, 21)))
    learn(items, list(range(1, 21)))
    before = items.state(21)
    items.clear(torch.tensor(rows))
    items._generator.manual_seed(2)
    draw(items, rows, used=21)
    draw(fresh, rows, used=21)
    others = [row for row in range(21) if row not in rows]
    for name in WEIGHTS:
        assert torch.equal(getattr(items, name)[rows], getattr(fresh, name)[rows]), name
        assert torch.equal(getattr(items, name)[others], before[name][others]), name
    assert torch.equal(items.births[others], before["births"][others])


@pytest.mark.parametrize("other_rows", [0, 5, 3000])
@pytest.mark.parametrize("count", [0, 8, 1500])
def test_a_restored_table_goes_on_the_same(count: int, other_rows: int) -> None:
    """Whatever the table held that takes the state."""
    items, other = table(size=2), table(size=2, seed=5)
    rows = list(range(1, count + 1))
    draw(items, rows)
    learn(items, rows)
    items.clear(torch.tensor(rows[::3], dtype=torch.int64))
    stamps = items.stamp(torch.arange(count + 1))
    state, born, random = items.state(count + 1), items.born, items._generator.get_state()
    assert {name: len(array) for name, array in state.items()} == dict.fromkeys(TABLES, count + 1)
    kept = {name: array.clone() for name, array in state.items()}
    draw(other, list(range(1, other_rows + 1)))
    learn(other, list(range(1, other_rows + 1)))
    other.restore(state, born)
    other._generator.set_state(random)
    check_items(other, [row for row in rows if row not in rows[::3]])
    for both in (items, other):
        draw(both, [*rows[:1], count + 1, count + 2])
    for name in TABLES:
        ours, theirs = (getattr(both, name)[: count + 3] for both in (items, other))
        assert torch.equal(ours, theirs), name
        assert torch.equal(state[name], kept[name]), name  # A copy, on both ways.
    assert torch.equal(items.unstamp(stamps), other.unstamp(stamps))
    assert items.born == other.born


def test_a_state_is_not_shared_with_the_table() -> None:
    items = table()
    draw(items, [1, 2, 3])
    state = items.state(4)
    kept = {name: array.clone() for name, array in state.items()}
    learn(items, [1, 2, 3])
    items.clear(torch.tensor([1]))
    items.restore(state, items.born)
    learn(items, [1, 2, 3], seed=1)
    items.clear(torch.tensor([2]))
    for name, array in kept.items():
        assert torch.equal(state[name], array), name


def test_tables_have_the_type_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    items = ItemTable(4, 0.2, torch.device("cpu"), torch.float32, generator)
    rows = list(range(1, 2001))
    draw(items, rows)
    assert {getattr(items, name).dtype for name in WEIGHTS} == {torch.float32}
    assert items.births.dtype == torch.int64
    exact = table(size=4)
    draw(exact, rows)
    assert torch.equal(items.embedding[:2001], exact.embedding[:2001].float())
