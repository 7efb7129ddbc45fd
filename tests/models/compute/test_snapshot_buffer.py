from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from nextclick.models.compute.snapshot_buffer import LARGE, SnapshotBuffer

PAGEMAP = Path("/proc/self/pagemap")

ROWS = LARGE // 400
"""Of 100 numbers in float32: one row more makes a large array."""


def table(rows: int = ROWS + 1) -> Tensor:
    return torch.arange(rows * 100, dtype=torch.float32).view(rows, 100)


def resident(piece: NDArray[np.uint8]) -> float:
    """Return the share of a piece of RAM whose pages this process has been given."""
    first = -(-piece.ctypes.data // 4096)
    pages = (piece.ctypes.data + len(piece)) // 4096 - first
    with PAGEMAP.open("rb") as pagemap:
        pagemap.seek(8 * first)
        entries = np.fromfile(pagemap, np.uint64, pages)
    return float((entries >> np.uint64(63)).mean())


def state(copies: SnapshotBuffer, *tensors: Tensor) -> list[Tensor]:
    copies.begin()
    return [copies.copy(tensor) for tensor in tensors]


@pytest.mark.parametrize("rows", [3, ROWS + 1])
def test_a_copy_stays_as_it_is(rows: int) -> None:
    source = table(rows)
    before = source.clone()
    (held,) = state(SnapshotBuffer(), source)
    source.zero_()
    assert torch.equal(held, before)


@given(st.lists(st.integers(0, ROWS), max_size=5), st.sampled_from([torch.float64, torch.int64]))
def test_rows_are_copied_in_the_order_wanted(rows: list[int], dtype: torch.dtype) -> None:
    source, chosen = table().to(dtype), np.array(rows, np.int64)
    copied = SnapshotBuffer().copy(source, chosen)
    assert torch.equal(copied, source[chosen])
    assert copied.dtype == dtype


def test_many_rows_are_copied_in_the_order_wanted() -> None:
    source, rows = table(), np.arange(ROWS, -1, -1)
    assert torch.equal(SnapshotBuffer().copy(source, rows), source.flip(0))


def test_memory_is_used_again_when_nobody_holds_the_copies() -> None:
    copies = SnapshotBuffer()
    places = []
    for value in range(4):
        one, other = state(copies, table().fill_(value), table().fill_(-value))
        assert (one == value).all()
        assert (other == -value).all()
        places.append((one.data_ptr(), other.data_ptr()))
        del one, other
    # The first state found no room for its second copy.
    assert len(set(places[1:])) == 1


@given(st.lists(st.booleans(), max_size=6))
def test_a_held_copy_is_never_written_over(holds: list[bool]) -> None:
    copies, held = SnapshotBuffer(), []
    for value, holding in enumerate(holds):
        (made,) = state(copies, table().fill_(value))
        # A view holds the memory, however far from the copy itself.
        held += [(value, made.numpy()[5:, 1:])] if holding else []
        del made
    assert all((view == value).all() for value, view in held)


Turn = tuple[int, list[int], bool]
turns: st.SearchStrategy[list[Turn]] = st.lists(
    st.tuples(
        st.integers(0, 3 * LARGE), st.lists(st.integers(0, 2 * LARGE), max_size=3), st.booleans()
    ),
    max_size=8,
)


@given(turns)
@settings(max_examples=50)
def test_memory_made_ready_ahead_touches_nothing_that_is_held(turns: list[Turn]) -> None:
    copies = SnapshotBuffer()
    copies.begin()
    held: list[Tensor] = []
    for size, lengths, holding in turns:
        if lengths:
            made = state(
                copies, *(torch.full((length,), 255, dtype=torch.uint8) for length in lengths)
            )
            held += made if holding else []
            latest = made
            del made
        copies.prepare(size)
        if copies._toucher:
            copies._toucher.join()
        if lengths:
            assert all((copy == 255).all() for copy in latest)
            del latest
        assert all((copy == 255).all() for copy in held)


def test_where_no_thread_can_begin_copies_are_made_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    copies = SnapshotBuffer()
    state(copies, table())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        copies.prepare(8 * LARGE)
    (copy,) = state(copies, table())
    assert torch.equal(copy, table())


@pytest.mark.skipif(not PAGEMAP.exists(), reason="needs Linux' page map")
def test_memory_is_made_ready_once_a_state_was_asked_for() -> None:
    copies = SnapshotBuffer()
    copies.prepare(8 * LARGE)
    assert not copies.wanted
    assert not len(copies._piece[0])
    state(copies)
    copies.prepare(8 * LARGE)
    copies.begin()
    piece = copies._piece[0]
    assert len(piece) >= 8 * LARGE
    assert resident(piece[: 8 * LARGE]) == 1
    # What is ready is not made ready again, nor what is too little to be worth it.
    copies.prepare(8 * LARGE)
    copies.prepare(LARGE - 1)
    assert copies._toucher is None
    one, other = (copies.allocate((LARGE,), torch.int32) for _ in range(2))
    assert one.data_ptr() == piece.ctypes.data
    assert other.data_ptr() == piece.ctypes.data + 4 * LARGE


def test_copies_of_every_type_lie_where_a_processor_reads_them_at_once() -> None:
    copies = SnapshotBuffer()
    copies.begin()
    for dtype in (torch.bool, torch.float64, torch.uint8, torch.int64):
        for shape in ((3, 5), (0,), (1,)):
            source = torch.ones(shape, dtype=dtype)
            copy = copies.copy(source)
            assert copy.dtype == dtype
            assert torch.equal(copy, source)
            assert not copy.numel() or copy.data_ptr() % 16 == 0


def test_a_table_may_grow_and_shrink() -> None:
    copies = SnapshotBuffer()
    for rows in (ROWS + 1, 5 * ROWS, 2, 2 * ROWS):
        (made,) = state(copies, table(rows))
        assert torch.equal(made, table(rows))


def test_no_memory_goes_along_into_a_pickle_or_a_copy() -> None:
    copies = SnapshotBuffer()
    state(copies, table())
    assert len(pickle.dumps(copies)) < 200
    assert not len(copy.deepcopy(copies)._piece[0])


def test_what_is_learned_is_copied_without_its_gradient() -> None:
    weight = torch.nn.Parameter(table(2))
    assert not SnapshotBuffer().copy(weight).requires_grad
