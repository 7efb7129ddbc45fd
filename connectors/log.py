"""A click log as a source."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from .blocks import Decoded, Gathering
from .clicks import Clicks, Position
from .compression import COMPRESSIONS
from .formats import PRESETS, LogFormat
from .parquet import ParquetReader
from .reader import Reader
from .sorting import SortedReader
from .source import REMEDIES, SourceError, check_kind
from .text import TextReader

DELIMITERS = {".csv": ",", ".tsv": "\t", ".dat": ",", ".inter": "\t"}
"""File name endings of delimited text, and what usually parts their columns."""


class LogSource:
    r"""A click log: delimited text, JSON Lines or Parquet, told by the file's name.

    Every line but the header becomes a click or a rejected record. `poll` gives exactly as many
    clicks as asked for until the log ends or 1,000 records in a row had to be rejected.

    Parameters
    ----------
    path
        ``.csv``, ``.tsv``, ``.dat``, ``.inter`` or ``.jsonl``, plain, ``.gz`` or ``.zst``; or
        ``.parquet``.
    form
        Where the log keeps what a click is made of; by default columns ``session_id``,
        ``item_id`` and ``timestamp``, and the preset ``recbole`` for ``.inter``.

    Attributes
    ----------
    gap
        Seconds without a click that end a session, where the clicks' sessions are users; else
        None.
    warnings
        Sentences on what a person should know, such as where a damaged file ends.

    Raises
    ------
    SourceError
        The file cannot be opened or lacks a column; the message names the remedy.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "clicks.csv"
    >>> _ = path.write_text("session_id,item_id,timestamp\nanna,shoes,1.5\nanna,,2.5\n")
    >>> source = LogSource(path)
    >>> clicks = source.poll(128)
    >>> clicks.items, clicks.rejected[0].reason, source.poll(128)
    (['shoes'], 'no_item', None)

    """

    def __init__(self, path: str | os.PathLike[str], form: LogFormat | None = None) -> None:
        self.path = Path(path)
        self._reader = _open(self.path, form)
        self._block = Decoded([], [], np.zeros(0))
        form = form if form is not None else _default_format(self.path)
        self.gap = form.gap if self._reader.by_user else None

    @property
    def warnings(self) -> list[str]:
        """What a person should know, such as where a damaged file ends."""
        return self._reader.warnings

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Read on; a log never waits. See `Source.poll`."""
        gathering = Gathering(limit)
        while not gathering.full:
            if self._block.exhausted:
                block = self._reader.read()
                if block is None:
                    break
                self._block = block
            gathering.take(self._block)
        if gathering.empty:
            return None
        place = self._reader.position(self._block.given)
        return gathering.clicks({"kind": "log", "name": self.path.name, **place})

    def seek(self, position: Position) -> None:
        """Go on from a position that an earlier `poll` gave.

        Raises
        ------
        SourceError
            It is one in another source, or the log before the position is not what it was; it
            may have grown.

        """
        check_kind(position, "log", f"the log {self.path}")
        name = position.get("name", self.path.name)
        place = {key: value for key, value in position.items() if key not in ("kind", "name")}
        try:
            self._reader.seek(place)
        except SourceError as error:
            if name == self.path.name:
                raise
            raise SourceError(
                f"the snapshot was taken on the log {name}, and {self.path} does not begin as that "
                f"did: {REMEDIES}"
            ) from error
        self._block = Decoded([], [], np.zeros(0))

    def commit(self, position: Position) -> None:
        """Do nothing: nobody outside keeps a log's position."""

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def _kind(path: Path) -> str:
    """Give the ending that tells a log's kind, without that of its compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _default_format(path: Path) -> LogFormat:
    return PRESETS["recbole"] if _kind(path) == ".inter" else LogFormat()


def _open(path: Path, form: LogFormat | None) -> Reader:
    kind = _kind(path)
    form = form if form is not None else _default_format(path)
    reader: Reader
    if path.is_dir():
        raise SourceError(f"{path} is a folder: name one log file in it")
    if kind == ".parquet" and path.suffix.lower() == ".parquet":
        reader = ParquetReader(path, form)
    elif kind == ".jsonl":
        reader = TextReader(path, form, None)
    elif kind in DELIMITERS:
        reader = TextReader(path, form, form.delimiter or DELIMITERS[kind])
    else:
        raise SourceError(
            f"{path}: what kind of log this is cannot be told from its name; it must end in "
            f"{', '.join([*DELIMITERS, '.jsonl'])} (also with .gz or .zst), or .parquet"
        )
    return SortedReader(reader, path) if form.sort else reader
