from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from nextclick.models.compute.jit import compiled
from nextclick.models.compute.prefetch import AHEAD, prefetch_row


@compiled
def total(table: NDArray[Any], rows: NDArray[np.int64]) -> float:
    found = 0.0
    for at in range(len(rows)):
        if at + AHEAD < len(rows):
            prefetch_row(table, rows[at + AHEAD])
        for place in range(table.shape[1]):
            found += table[rows[at], place]
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32])
@pytest.mark.parametrize("columns", [0, 1, 15, 16, 17, 100])
def test_a_loop_that_fetches_ahead_finds_what_it_would_without(dtype: Any, columns: int) -> None:
    # Rows that lie apart, and begin anywhere.
    table = np.arange(60 * 210).reshape(60, 210).astype(dtype)[3::2, 5 : 5 + columns]
    before = table.copy()
    rows = np.array([27, 0, 27, 13, 5, 5, 1, 26], np.int64)
    for some in (rows, rows[:1], rows[:0]):
        assert total(table, some) == table[some].sum()
    assert (table == before).all()


def test_the_processor_is_asked_to_fetch() -> None:
    # Of code that was kept, numba does not tell.
    kept: Any = total
    made: Any = numba.njit(nogil=True)(kept.py_func)
    assert made(np.ones((9, 40), np.float32), np.arange(9)) == 360
    code = "".join(made.inspect_asm().values())
    assert "prefetch" in code or "prfm" in code
