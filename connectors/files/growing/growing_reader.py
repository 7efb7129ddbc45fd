"""Reading a log of text lines while it grows."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

from ...clicks import Position
from ...decoding.blocks import Decoded
from ...decoding.csv_records import RecordCutter, Split, header_end
from ...decoding.lines import LONGEST_LINE, LineCutter, Lines
from ...decoding.record_lines import delimited_decoder, json_decoder
from ...source import SourceError
from ..content import Content
from ..reader import changed
from .rotation import START_BYTES

CHUNK = 1 << 20
"""Bytes read at a time, at most."""

COMPARED = 256
"""Bytes before the place of reading that must stay the same: else the log was written anew."""


class TruncatedError(Exception):
    """The log was cut, or written anew, before the place where it is read."""


class GrowingReader:
    """Reads the whole lines of a plain text log, as far as it has come.

    A line is read once its line break is there. Positions are those of `TextReader`.

    Parameters
    ----------
    path
        The file, for messages.
    descriptor
        It, opened; closed by `close`.
    content
        How it is read.
    most
        Returns up to which byte it may be read; None: to its end.

    Raises
    ------
    SourceError
        It lacks a column.

    """

    def __init__(
        self,
        path: Path,
        descriptor: int,
        content: Content,
        most: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.path = path
        self.descriptor = descriptor
        self._most = most
        self._at = 0
        self._before = b""
        self._after_unended_line = False
        self._part = 0
        self._split: Split | None = None
        self._cutter = LineCutter()
        self._waiting: list[Lines] = []
        if content.kind == "json":
            self._decoder = json_decoder(content.form, str(path))
        else:
            header, rest = self._read_header() if content.form.header else (b"", b"")
            bare = header.rstrip(b"\r\n") if content.form.header else None
            self._decoder = delimited_decoder(content.form, content.delimiter, bare, str(path))
            self._split = self._decoder.count_columns
            self._cutter = self._cut_from(header.count(b"\n"), len(header), zlib.crc32(header))
            self._waiting += self._cutter.feed(rest)
        self.by_user = self._decoder.by_user

    def read(self) -> Decoded | None:
        """Return the next block; None where there is no further whole line yet.

        Raises
        ------
        TruncatedError
            What was read before is no longer there.

        """
        while not self._waiting:
            chunk = self._next_bytes()
            if not chunk:
                return None
            self._waiting += self._cutter.feed(chunk)
        return self._decode(self._waiting.pop(0))

    def finish(self) -> Decoded | None:
        """Return the last line if it has no line break; for a file that grows no more."""
        last = self._cutter.finish()
        return self._decode(last[0]) if last else None

    @property
    def notes(self) -> list[str]:
        """What was told by the content, such as the unit of the times."""
        return self._decoder.scale.note(str(self.path))

    def position(self, given: int, part: int = 0) -> Position:
        """Return the position after the first `given` lines of the block read last."""
        return self._decoder.position(self._lines, given, part)

    @property
    def place(self) -> str:
        """Where it has been read to, in words."""
        return f"line {self._cutter.line:,}, byte {self._at:,}"

    @property
    def unread(self) -> int:
        """How many bytes of the file have not been read."""
        return self.status.st_size - self._at

    @property
    def status(self) -> os.stat_result:
        """The file's size, last write and identity."""
        return os.fstat(self.descriptor)

    @property
    def start(self) -> bytes:
        """Its first bytes."""
        return os.pread(self.descriptor, START_BYTES, 0)

    def seek(self, position: Position) -> None:
        """Go on from a position, having made sure that the text before it is the same.

        Raises
        ------
        SourceError
            It is not.

        """
        try:
            line, offset, crc = (int(position[key]) for key in ("line", "offset", "crc"))
        except (KeyError, TypeError, ValueError) as error:
            other = "it was then read with other options, or as another kind of file"
            raise changed(self.path, other) from error
        found, at = 0, 0
        while at < offset:
            part = os.pread(self.descriptor, min(CHUNK, offset - at), at)
            if not part:
                had = f"it had {offset:,} bytes of text and has {at:,}"
                raise changed(self.path, had)
            found, at = zlib.crc32(part, found), at + len(part)
        if found != crc:
            raise changed(self.path, f"its first {line:,} lines are not the same")
        start = max(0, offset - COMPARED)
        self._at, self._before = offset, os.pread(self.descriptor, offset - start, start)
        # The last line may have had no line break when it was read: one that comes is no line.
        self._after_unended_line = offset > 0 and not self._before.endswith(b"\n")
        self._waiting, self._cutter = [], self._cut_from(line, offset, crc)
        self._part = int(position.get("part", 0))
        self._decoder.scale.restore(position.get("unit", "s") if offset else None)

    def close(self) -> None:
        """Close the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _decode(self, lines: Lines) -> Decoded:
        self._lines = lines
        decoded = self._decoder.decode(lines)
        decoded.skip(self._part)
        self._part = 0
        return decoded

    def _cut_from(self, line: int, offset: int, crc: int) -> LineCutter:
        """Cut lines, or of delimited text records, which may have several."""
        if self._split is None:
            return LineCutter(line, offset, crc)
        return RecordCutter(self._split, line, offset, crc)

    def _next_bytes(self) -> bytes:
        size, most = CHUNK, self._most()
        if most is not None:
            size = max(0, min(size, most - self._at))
        start = self._at - len(self._before)
        data = os.pread(self.descriptor, len(self._before) + size, start)
        if not data.startswith(self._before):
            raise TruncatedError
        chunk = data[len(self._before) :]
        if chunk and self._after_unended_line:
            return self._end_line(chunk)
        self._advance(data, len(chunk))
        return chunk

    def _advance(self, data: bytes, size: int) -> None:
        self._at += size
        self._before = data[-COMPARED:]

    def _end_line(self, chunk: bytes) -> bytes:
        """Skip the line break of a line that was read without one; return nothing."""
        end = next((end for end in (b"\r\n", b"\n") if chunk.startswith(end)), None)
        if end is None:
            if chunk == b"\r":
                return b""
            raise changed(self.path, f"line {self._cutter.line:,}, its last, is longer now")
        crc = zlib.crc32(end, self._cutter.crc)
        self._advance(self._before + end, len(end))
        self._cutter = self._cut_from(self._cutter.line, self._at, crc)
        self._after_unended_line = False
        return self._next_bytes()

    def _read_header(self) -> tuple[bytes, bytes]:
        """Return the first record, with its line break, and what was read after it."""
        data = b""
        while not (end := header_end(data, False)):
            chunk = self._next_bytes()
            if not chunk:
                raise SourceError(f"{self.path} has no header: its first line is not whole")
            data += chunk
        if end > LONGEST_LINE:
            raise SourceError(
                f"{self.path} has no header: its first line has more than {LONGEST_LINE:,} bytes"
            )
        return data[:end], data[end:]
