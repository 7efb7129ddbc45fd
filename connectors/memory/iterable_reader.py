"""Reading clicks that Python gives one by one."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sized
from functools import partial
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from ..clicks import Position
from ..decoding.blocks import Decoded, Decoding, Entry
from ..decoding.log_format import LogFormat
from ..decoding.record_lines import check_json
from ..decoding.record_reader import RecordReader
from ..decoding.time_unit import TimeScale
from ..decoding.values import UnusableError
from ..files.reader import changed
from .table_reader import InMemory

BLOCK = 64
"""Clicks read at a time: no more than the engine asks for, since a generator may be live."""


class IterableReader:
    """Reads clicks from an iterable: `Click` objects, dicts, or tuples of session, item and time.

    Fields of dicts are read as those of JSON Lines. A position is ``{"record": records before,
    "crc": the CRC-32 of what they became}``: whoever goes on from there gives an iterable that
    begins with the same clicks.

    Parameters
    ----------
    clicks
        The clicks.
    name
        What messages call it.
    form
        The format.

    """

    share: float | None = None

    def __init__(self, clicks: Iterable[Any], name: str, form: LogFormat) -> None:
        check_json(form, name)
        self._path = InMemory(name)
        self._clicks = list(clicks) if form.sort and iter(clicks) is clicks else clicks
        self._names = (str(form.session or form.user), form.item, form.time)
        self._keep_raw = form.keep_raw
        self._scale = TimeScale(form.unit)
        self._reader = RecordReader(form, self._scale)
        self.by_user = form.session is None
        self.warnings: list[str] = []
        self.size = BLOCK
        self._record, self._part = 0, 0
        self._sums: list[int] = [0]
        self.rewind()

    @property
    def notes(self) -> list[str]:
        """What the clicks have told, such as the unit of their times."""
        return self._scale.note(str(self._path))

    def read(self) -> Decoded | None:
        """Return the next block; None at the end."""
        records = list(islice(self._iterator, self.size))
        if not records:
            return None
        self._record += len(self._sums) - 1
        self._sums = self._sums[-1:]
        decoding = Decoding(self._keep_raw)
        for at, given in enumerate(records):
            record, entries = self._entries(given)
            line = self._record + at + 1
            decoding.record(entries, partial(self._origin, record, line))
            told = [str(each) if isinstance(each, UnusableError) else each for each in entries]
            self._sums.append(zlib.crc32(repr(told).encode("utf-8", "replace"), self._sums[-1]))
        decoded = decoding.done()
        decoded.skip(self._part)
        self._part = 0
        if isinstance(self._clicks, Sized):
            self.share = (self._record + len(records)) / len(self._clicks)
        return decoded

    def position(self, given: int, part: int = 0) -> Position:
        """Return the position after the first `given` clicks of the block read last."""
        place = {"record": self._record + given, "crc": self._sums[given]}
        return place | ({"part": part} if part else {}) | self._scale.state

    def seek(self, position: Position) -> None:
        """Go on from a position, having made sure that the clicks before it are the same."""
        if position.keys() - {"part", "unit"} != {"record", "crc"}:
            raise changed(self._path, "it was then read with other options, or in another form")
        self.rewind()
        wanted, size = int(position["record"]), self.size
        while (here := self._record + len(self._sums) - 1) < wanted:
            self.size = min(size, wanted - here)
            if self.read() is None:
                raise changed(self._path, f"it had {wanted:,} clicks, and gives {here:,}")
        self.size = size
        if self._sums[-1] != position["crc"]:
            raise changed(self._path, "its first clicks are not the same")
        self._part = int(position.get("part", 0))

    def rewind(self) -> None:
        """Go back to the start; an iterator goes on where it is."""
        self._iterator: Iterator[Any] = iter(self._clicks)
        self._record, self._part = 0, 0
        self._sums = [0]
        self._scale.restore(None)

    def digest(self) -> int:
        """Return the CRC-32 of what all clicks became, once they were read."""
        return self._sums[-1]

    def close(self) -> None:
        """Do nothing: the iterable is not ours to close."""

    def _entries(self, given: Any) -> tuple[Any, list[Entry]]:
        """Return a click as a record, and what becomes of that."""
        if isinstance(given, msgspec.Struct):
            given = tuple(getattr(given, name, None) for name in ("session", "item", "time"))
        elif hasattr(given, "_asdict"):
            given = given._asdict()
        if isinstance(given, Mapping):
            record = {name: _plain(value) for name, value in given.items()}
        elif isinstance(given, tuple | list) and len(given) == 3:
            record = dict(zip(self._names, map(_plain, given), strict=True))
        else:
            detail = (
                f"{given!r:.80} is no click: give a Click, a dict, or session, item and time in a "
                "tuple"
            )
            return {}, [UnusableError("wrong_type", detail)]
        return record, list(self._reader.read(record))

    def _origin(self, record: Any, line: int) -> tuple[Position, bytes, int, None]:
        raw = msgspec.json.encode(record, enc_hook=str) if self._keep_raw else b""
        return {"file": str(self._path), "line": line}, raw, len(raw), None


def _plain(value: Any) -> Any:
    """Return a value of numpy or pandas as Python has it; what stands for none is None."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else value.astype("datetime64[us]").item()
    if isinstance(value, np.generic):
        return value.item()
    # As pandas writes that there is none.
    return None if type(value).__name__ in ("NAType", "NaTType") else value
