"""A click log as a source."""

from __future__ import annotations

import os

import msgspec
import numpy as np

from ..clicks import Clicks, Position
from ..decoding.blocks import Decoded, PollBuffer
from ..decoding.log_format import LogFormat
from ..source import REMEDIES, SourceError, check_kind
from .arrow_reader import ArrowReader
from .avro_reader import AvroReader
from .chained_reader import ChainedReader, Together
from .content import Content, look_into
from .parquet_reader import ParquetReader
from .reader import Reader
from .sorted_reader import SortedReader
from .storage.log_file import LogFile, as_log_file
from .storage.zip_archive import zip_members
from .text_reader import TextReader
from .time_order import TimeOrder
from .translation import translated

AnyPath = str | os.PathLike[str] | LogFile

OUT_OF_ORDER = "read it with --sort"
"""What helps where a log is not in the order of time."""


class LogSource:
    r"""A click log: delimited text, JSON Lines, Parquet or Avro, detected from the file's content.

    Every line but the header becomes a click or a rejected record. `poll` gives exactly as many
    clicks as asked for until the log ends or 1,000 records in a row had to be rejected.

    Parameters
    ----------
    path
        Delimited text or JSON Lines, plain or compressed with gzip or zstd; or Parquet or Avro. The
        name's ending decides where the content says nothing.
    form
        Where the log keeps what a click is made of; by default columns ``session_id``,
        ``item_id`` and ``timestamp``. What the preset ``recbole`` has is added for its files.

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
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "clicks.csv"
    >>> _ = path.write_text("session_id,item_id,timestamp\nanna,shoes,1.5\nanna,,2.5\n")
    >>> source = LogSource(path)
    >>> clicks = source.poll(128)
    >>> clicks.items, clicks.rejected[0].reason, source.poll(128)
    (['shoes'], 'no_item', None)

    """

    def __init__(self, path: AnyPath | list[LogFile], form: LogFormat | None = None) -> None:
        files = path if isinstance(path, list) else [_only_file(as_log_file(path))]
        self.path = files[0] if len(files) == 1 else Together(files)
        form = form if form is not None else LogFormat()
        files = [translated(file, form.published) for file in files]
        content = look_into(files[0], form)
        self._notes = list(content.notes)
        if len(files) == 1:
            self._reader = _open(files[0], content)
        else:
            self._reader = self._open_sorted(files, msgspec.structs.replace(form, sort=True))
        self._order = None if content.form.sort else TimeOrder(str(path), OUT_OF_ORDER)
        self._block = Decoded([], [], np.zeros(0))
        self._before_block: float | None = 0.0
        self._read_share: float | None = 0.0
        self.gap = content.form.gap if self._reader.by_user else None

    @property
    def warnings(self) -> list[str]:
        """What a person should know, such as where a damaged file ends."""
        order = self._order.warning if self._order is not None else None
        notes = [*self._notes, *self._reader.notes]
        return [*notes, *([order] if order else []), *self._reader.warnings]

    @property
    def share(self) -> float | None:
        """How much of the log has been given, from 0 to 1, about; None where that is not known."""
        before, after = self._before_block, self._read_share
        if before is None or after is None:
            return None
        records = len(self._block.items) + len(self._block.rejected)
        return before + (after - before) * (self._block.given / records if records else 1.0)

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Read on; a log never waits. See `Source.poll`."""
        gathering = PollBuffer(limit)
        while not gathering.full:
            if self._block.exhausted:
                block = self._reader.read()
                if self._order is not None:
                    self._order.note(block.times) if block else self._order.finish()
                if block is None:
                    break
                self._before_block, self._block = self._read_share, block
                self._read_share = self._reader.share
            gathering.take(self._block)
        if gathering.empty:
            return None
        place = self._reader.position(*self._block.place)
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
                f"the snapshot was taken on the log {name}, and {self.path} does not begin with "
                f"the same content: {REMEDIES}"
            ) from error
        self._block = Decoded([], [], np.zeros(0))
        self._before_block = self._read_share = self._reader.share

    def commit(self, position: Position) -> None:
        """Do nothing: nobody outside keeps a log's position."""

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _open_sorted(self, files: list[LogFile], form: LogFormat) -> Reader:
        def read(file: LogFile) -> Reader:
            content = look_into(file, form)
            return _open_unsorted(file, content)

        return SortedReader(ChainedReader(files, read), self.path)


def _only_file(file: LogFile) -> LogFile:
    """Return the log in an archive, if it holds one; other files as they are."""
    members = zip_members(file)
    if members is None:
        return file
    if len(members) > 1:
        names = ", ".join(each.name for each in members[:5])
        raise SourceError(f"{file} holds {len(members)} files: {names}: read it with open_source")
    return members[0]


def _open(path: LogFile, content: Content) -> Reader:
    reader = _open_unsorted(path, content)
    return SortedReader(reader, path) if content.form.sort else reader


def _open_unsorted(path: LogFile, content: Content) -> Reader:
    reader: Reader
    if content.kind == "parquet":
        reader = ParquetReader(path, content.form)
    elif content.kind == "arrow":
        reader = ArrowReader(path, content.form)
    elif content.kind == "avro":
        reader = AvroReader(path, content.form)
    else:
        delimiter = content.delimiter if content.kind == "text" else None
        reader = TextReader(path, content.form, delimiter)
    return reader
