"""Rows brought into the processor's cache before a compiled loop comes to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

AHEAD = 3
"""A row is fetched this many rows before the loop comes to it."""

LINE = 64
"""Bytes of a cache line."""


def _fetch(typing: Any, table: Any, row: Any) -> tuple[Any, Callable[..., Any]]:
    """Emit the code of `prefetch_row`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(table)(context, builder, arguments[0])
        columns = builder.extract_value(array.shape, 1)
        first, step = columns.type(0), columns.type(LINE // (table.dtype.bitwidth // 8))
        pointer, word = cgutils.voidptr_t, cgutils.int32_t
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        with cgutils.for_range_slice(builder, first, columns, step, columns.type) as (column, _):
            place = cgutils.get_item_pointer(context, builder, table, array, [arguments[1], column])
            # To be read and written; kept in all caches; data, not code.
            builder.call(prefetch, [builder.bitcast(place, pointer), word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(table, types.intp), generate


prefetch_row = cast(Callable[[NDArray[Any], int], None], intrinsic(_fetch))
"""Fetch a row of a table into the cache, while the compiled loop that calls this goes on.

A processor foresees what a loop reads from one place on, not rows here and there.
"""
