"""Which source clicks in memory become."""

from __future__ import annotations

import os
from collections.abc import Iterable, Set
from typing import Any

import numpy as np

from ..clicks import Clicks
from ..decoding.blocks import Decoded
from ..decoding.log_format import LogFormat
from ..files.log import OUT_OF_ORDER, LogSource
from ..files.reader import Reader
from ..files.sorted_reader import SortedReader
from ..files.time_order import TimeOrder
from ..source import Source, SourceError
from .iterable_reader import IterableReader
from .table_reader import InMemory, TableReader, as_table, is_table


class MemorySource(LogSource):
    """Clicks in memory as a source: polled, checked and resumed as those of a log are.

    Parameters
    ----------
    clicks
        A table, or an iterable of clicks.
    form
        The format.

    Raises
    ------
    SourceError
        It is neither, or lacks a column; the message names the remedy.

    Examples
    --------
    >>> source = MemorySource([("anna", "hat", 1.0), {"session_id": "anna", "timestamp": 2}])
    >>> clicks = source.poll(10)
    >>> clicks.items, clicks.rejected[0].detail
    (['hat'], "there is no 'item_id'")

    """

    def __init__(self, clicks: Any, form: LogFormat | None = None) -> None:
        form = form if form is not None else LogFormat()
        name = given_name(clicks)
        self.path = InMemory(name)
        self._live: IterableReader | None = None
        self._reader: Reader
        if is_table(clicks):
            self._reader = TableReader(as_table(clicks, name), name, form)
        elif isinstance(clicks, Iterable) and not isinstance(clicks, str | bytes | Set):
            self._reader = self._live = IterableReader(clicks, name, form)
        else:
            raise SourceError(
                "a source is given as a str or a Path, as a table, as an iterable of clicks in the "
                f"order of time, or as a Source, not as {clicks!r:.80}"
            )
        if form.sort:
            self._reader = SortedReader(self._reader, self.path)
            self._live = None
        self._notes: list[str] = []
        remedy = OUT_OF_ORDER.replace("--sort", "--sort (sort=True)")
        self._order = None if form.sort else TimeOrder(name, remedy)
        self._block = Decoded([], [], np.zeros(0))
        self._before_block: float | None = 0.0
        self._read_share: float | None = 0.0
        self.gap = form.gap if self._reader.by_user else None

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Read on; see `Source.poll`."""
        if self._live is not None:
            self._live.size = limit
        return super().poll(limit, wait)


def is_named(given: Any) -> bool:
    """Whether a source is given by names: paths, addresses, or several of them.

    Examples
    --------
    >>> is_named("clicks.csv"), is_named(["a.csv", "b.csv"]), is_named([("anna", "hat", 1.0)])
    (True, True, False)

    """
    if isinstance(given, list | tuple):
        return any(isinstance(each, str | bytes | os.PathLike) for each in given)
    return isinstance(given, str | bytes | os.PathLike)


def is_source(given: Any) -> bool:
    """Whether something is a source, as `Source` describes it."""
    return hasattr(given, "poll") and not isinstance(given, type)


def given_name(given: Any) -> str:
    """Return what results and messages call clicks in memory, or a source of one's own.

    Examples
    --------
    >>> given_name([]), given_name({"item_id": [1]}), given_name(iter(()))
    ('list', 'dict', 'tuple_iterator')

    """
    kind = type(given)
    library = kind.__module__.partition(".")[0]
    return kind.__name__ if library == "builtins" else f"{library}.{kind.__name__}"


def open_given(given: Any, form: LogFormat | None = None) -> Source:
    """Return a source of clicks in memory; one of one's own as it is.

    Raises
    ------
    SourceError
        It is none.

    """
    if is_source(given):
        source: Source = given
        return source
    return MemorySource(given, form)
