"""Bytes cut into blocks of whole lines."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LONGEST_LINE = 16 << 20
"""Bytes of a line that are held in RAM at most."""

LONG = 64 << 10
"""Bytes of an unusable line that are held in RAM at most."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Lines:
    """Whole lines, and their place in the stream.

    Parameters
    ----------
    data
        The lines' bytes. Of a line that cannot be used, only the start.
    ends
        int64, shape (n,): where each line ends in `data`, its newline included.
    line
        Lines before these.
    offset, crc
        Bytes before these lines, and their CRC-32.
    end_offset, end_crc
        The same after these lines.
    fault
        The reason and detail why these lines, then a single one, cannot be used.
    numbers
        int64, shape (n + 1,): of records that may have several lines, how many lines are before
        each and before the end; None where each is one line.

    """

    data: bytes
    ends: NDArray[np.int64]
    line: int
    offset: int
    crc: int
    end_offset: int
    end_crc: int
    fault: tuple[str, str] | None = None
    numbers: NDArray[np.int64] | None = None
    _mark: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        """Stand at the start of these lines."""
        self._mark = 0, self.crc

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.ends)

    def before(self, count: int) -> int:
        """Return the number of lines of the stream before the line or record at a place."""
        return self.line + (count if self.numbers is None else int(self.numbers[count]))

    def split(self) -> list[bytes]:
        """Return each line without its ending, and without the mark that may start a file."""
        data = self.data.removeprefix(BYTE_ORDER_MARK) if self.offset == 0 else self.data
        if self.numbers is not None:
            shift = len(self.data) - len(data)
            starts = [0, *(self.ends[:-1] - shift).tolist()]
            records = [data[a:b] for a, b in zip(starts, (self.ends - shift).tolist(), strict=True)]
            return [record.removesuffix(b"\n").removesuffix(b"\r") for record in records]
        lines = data.split(b"\n")
        if data.endswith(b"\n"):
            lines.pop()
        return [line.removesuffix(b"\r") for line in lines]

    def raw(self, index: int) -> tuple[bytes, int]:
        """Return one line as it was read, without its newline, and its size.

        Of a line that cannot be used the bytes are only the start.
        """
        start = int(self.ends[index - 1]) if index else 0
        line = self.data[start : int(self.ends[index])].removesuffix(b"\n")
        return line, len(line) if self.fault is None else self.end_offset - self.offset

    def after(self, count: int) -> tuple[int, int]:
        """Return the offset and the CRC-32 after the first `count` lines."""
        if count == len(self):
            return self.end_offset, self.end_crc
        end = int(self.ends[count - 1]) if count else 0
        # Reading on, only the bytes since the last answer are summed.
        start, crc = self._mark if self._mark[0] <= end else (0, self.crc)
        crc = zlib.crc32(memoryview(self.data)[start:end], crc)
        self._mark = end, crc
        return self.offset + end, crc

    def rest(self, count: int) -> Lines:
        """Return these lines without the first `count`."""
        offset, crc = self.after(count)
        cut = offset - self.offset
        return Lines(
            self.data[cut:],
            self.ends[count:] - cut,
            self.before(count),
            offset,
            crc,
            self.end_offset,
            self.end_crc,
            numbers=None if self.numbers is None else self.numbers[count:] - self.numbers[count],
        )


class LineCutter:
    r"""Cuts a stream of bytes, which comes in chunks of any size, into blocks of whole lines.

    A line longer than `LONGEST_LINE` is not held in RAM: it gives a block of its own, with
    a fault.

    Parameters
    ----------
    line, offset, crc
        Where the stream starts: lines and bytes before, and the CRC-32 of these bytes. As
        attributes, `line` and `crc` describe the lines cut so far.

    Examples
    --------
    >>> cutter = LineCutter()
    >>> [block.split() for block in cutter.feed(b"a,b\nc,")]
    [[b'a,b']]
    >>> [block.split() for block in cutter.feed(b"d\ne")]
    [[b'c,d']]
    >>> [block.split() for block in cutter.finish()]
    [[b'e']]

    """

    def __init__(self, line: int = 0, offset: int = 0, crc: int = 0) -> None:
        self.line, self.crc = line, crc
        self._offset = offset
        # The line whose end has not come yet: its bytes, or the first of them where it is long.
        self._begun = bytearray()
        self._size = 0
        self._long_crc: int | None = None

    @property
    def unfinished(self) -> bytes:
        """The line whose end has not come yet; of a long one, the start."""
        return bytes(self._begun)

    def feed(self, chunk: bytes) -> list[Lines]:
        """Take the next bytes; return the lines that they complete."""
        blocks: list[Lines] = []
        if len(chunk) > LONGEST_LINE:
            # In a shorter chunk only the first line can be too long.
            for start in range(0, len(chunk), LONGEST_LINE):
                blocks += self.feed(chunk[start : start + LONGEST_LINE])
            return blocks
        end = chunk.find(b"\n") + 1
        if end and self._size + end - 1 > LONGEST_LINE:
            self._begin(chunk[:end])
            blocks.append(self._too_long())
            chunk = chunk[end:]
        cut = chunk.rfind(b"\n") + 1
        if cut:
            blocks.append(self._whole(bytes(self._begun) + chunk[:cut]))
        self._begin(chunk[cut:])
        return blocks

    def finish(self, damage: str | None = None) -> list[Lines]:
        """Return the last line where no newline ends it; it is no good where damage cut it off."""
        if not self._size:
            return []
        if damage is not None:
            return [self._faulty("truncated", f"the line is cut off: {damage}")]
        if self._size > LONGEST_LINE:
            return [self._too_long()]
        return [self._whole(bytes(self._begun))]

    def _begin(self, part: bytes) -> None:
        self._size += len(part)
        if self._long_crc is not None:
            self._long_crc = zlib.crc32(part, self._long_crc)
            return
        self._begun += part
        if self._size > LONGEST_LINE:
            self._long_crc = zlib.crc32(self._begun, self.crc)
            del self._begun[LONG:]

    def _whole(self, data: bytes) -> Lines:
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")) + 1
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        return self._block(data, ends, len(data), zlib.crc32(data, self.crc), None)

    def _too_long(self) -> Lines:
        detail = f"the line has {self._size:,} bytes; {LONGEST_LINE:,} are allowed"
        return self._faulty("line_too_long", detail)

    def _faulty(self, reason: str, detail: str) -> Lines:
        crc = self._long_crc
        if crc is None:
            crc = zlib.crc32(self._begun, self.crc)
        data = bytes(self._begun[:LONG])
        return self._block(data, np.array([len(data)]), self._size, crc, (reason, detail))

    def _block(
        self,
        data: bytes,
        ends: NDArray[np.int64],
        size: int,
        crc: int,
        fault: tuple[str, str] | None,
    ) -> Lines:
        """Make a block, and advance to its end."""
        end = self._offset + size
        block = Lines(data, ends, self.line, self._offset, self.crc, end, crc, fault)
        self.line, self._offset, self.crc = self.line + len(ends), end, crc
        self._begun.clear()
        self._size, self._long_crc = 0, None
        return block
