"""Bytes cut into records of delimited text, whose quoted fields may hold line breaks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .lines import LineCutter, Lines

LONGEST_RECORD = 1 << 20
"""Bytes of a record of several lines at most."""

Split = Callable[[bytes], int]
"""Returns the number of a record's columns; -1 if its quotes do not pair up, -2 if the last of them
is left open, 0 if a record with so many is none."""

OPEN, UNFIT = -2, 0


class RecordCutter(LineCutter):
    r"""Cuts a stream of bytes into blocks of whole records, as RFC 4180 has them.

    Lines belong together where a quoted field is open at the end of the first, the next line with
    an odd number of quotes closes it, and the whole has the columns that it needs. Any other line
    is a record of its own, so a stray quote costs its own line only.

    Parameters
    ----------
    split
        Counts the columns of a record.
    line, offset, crc
        See `LineCutter`.

    Examples
    --------
    >>> cutter = RecordCutter(lambda record: -2 if record.count(b'"') % 2 else 2)
    >>> [block.split() for block in cutter.feed(b'a,b\n"c\nd",e\nf,g\n')]
    [[b'a,b', b'"c\nd",e', b'f,g']]

    """

    def __init__(self, split: Split, line: int = 0, offset: int = 0, crc: int = 0) -> None:
        super().__init__(line, offset, crc)
        self._split = split

    def feed(self, chunk: bytes) -> list[Lines]:
        """Take the next bytes; return the records that they complete."""
        return [block for block in super().feed(chunk) if len(block)]

    def finish(self, damage: str | None = None) -> list[Lines]:
        """Return what is left: lines whose quotes no line has closed, and the last line."""
        blocks = []
        cut = self._begun.rfind(b"\n") + 1
        if cut and self._long_crc is None:
            data, rest = bytes(self._begun[:cut]), bytes(self._begun[cut:])
            if damage is None:
                data, rest = data + rest, b""
            self._begun.clear()
            self._size = 0
            blocks.append(self._whole(data, last=True))
            self._begin(rest)
        return blocks + super().finish(damage)

    def _whole(self, data: bytes, last: bool = False) -> Lines:
        if b'"' not in data:
            return super()._whole(data)
        codes = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(codes == ord("\n")) + 1
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
            last = True
        quotes = np.diff(np.searchsorted(np.flatnonzero(codes == ord('"')), ends), prepend=0)
        odd = np.flatnonzero(quotes % 2).tolist()
        joined, kept = self._joined(data, ends.tolist(), odd, last)
        if not joined and kept == len(ends):
            return super()._whole(data)
        inside = np.zeros(len(ends), dtype=np.bool_)
        for first, end in joined:
            inside[first:end] = True
        numbers = np.flatnonzero(~inside[:kept]) + 1
        cut = int(ends[kept - 1]) if kept else 0
        if not kept:
            block = self._block(b"", np.zeros(0, dtype=np.int64), 0, self.crc, None)
            self._begin(data)
            return block
        block = super()._whole(data[:cut])
        block = self._regrouped(block, ends[:kept][~inside[:kept]], numbers)
        self._begin(data[cut:])
        return block

    def _joined(
        self, data: bytes, ends: list[int], odd: list[int], last: bool
    ) -> tuple[list[tuple[int, int]], int]:
        """Return which lines belong together, and how many lines are whole records."""
        joined: list[tuple[int, int]] = []
        at = 0
        while at < len(odd):
            first = odd[at]
            start = ends[first - 1] if first else 0
            at += 1
            if self._split(_bare(data[start : ends[first]])) != OPEN:
                continue
            if at == len(odd):
                if not last and len(data) - start <= LONGEST_RECORD:
                    return joined, first
                break
            end = odd[at]
            if ends[end] - start > LONGEST_RECORD:
                continue
            if self._split(_bare(data[start : ends[end]])) > UNFIT:
                joined.append((first, end))
                at += 1
        return joined, len(ends)

    def _regrouped(self, block: Lines, ends: np.ndarray, numbers: np.ndarray) -> Lines:
        return Lines(
            block.data,
            ends,
            block.line,
            block.offset,
            block.crc,
            block.end_offset,
            block.end_crc,
            numbers=np.append(0, numbers),
        )


def _bare(record: bytes) -> bytes:
    return record.removesuffix(b"\n").removesuffix(b"\r")


def header_end(data: bytes, last: bool) -> int:
    r"""Return where the first record ends, its line break included; 0 where more is needed.

    Parameters
    ----------
    data
        The first bytes of a file.
    last
        Whether these are all.

    Examples
    --------
    >>> header_end(b'a,"b\nc"\nd', False), header_end(b"a,b", False), header_end(b"a,b", True)
    (8, 0, 3)

    """
    end = first = data.find(b"\n") + 1
    while end and data.count(b'"', 0, end) % 2:
        end = data.find(b"\n", end) + 1
    if end <= LONGEST_RECORD and (end or not (last or len(data) > LONGEST_RECORD)):
        return end
    return first or (len(data) if last else 0)
