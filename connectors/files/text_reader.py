"""Reading a log of text lines, and resuming it."""

from __future__ import annotations

import zlib

from ..clicks import Position
from ..decoding.blocks import Decoded
from ..decoding.csv_records import RecordCutter, Split, header_end
from ..decoding.lines import LONGEST_LINE, LineCutter, Lines
from ..decoding.log_format import LogFormat
from ..decoding.record_lines import delimited_decoder, json_decoder
from ..source import SourceError
from .reader import changed
from .storage.decompression import Decompressed
from .storage.log_file import LogFile


class TextReader:
    """Reads a log of lines: delimited text or JSON Lines, perhaps compressed.

    A position is ``{"line": lines before, "offset": bytes before, "crc": their CRC-32}``,
    counted in the decompressed text; with ``part`` inside a line, the entries before of it, and
    with ``unit`` where the times' unit was told by their size and is not the second.

    Parameters
    ----------
    path
        The file.
    form
        The format.
    delimiter
        Of delimited text; None for JSON Lines.

    Raises
    ------
    SourceError
        The file cannot be opened, has no header, or lacks a column.

    """

    def __init__(self, path: LogFile, form: LogFormat, delimiter: str | None) -> None:
        self._path = path
        self._split: Split | None = None
        self._header = delimiter is not None and form.header
        self._part = 0
        self.warnings: list[str] = []
        self._start()
        try:
            if delimiter is None:
                self._decoder = json_decoder(form, str(path))
            else:
                header, rest = self._read_header() if self._header else (None, b"")
                bare = None if header is None else header.rstrip(b"\r\n")
                self._decoder = delimited_decoder(form, delimiter, bare, str(path))
                self._split = self._decoder.count_columns
                self._begin(header, rest)
        except SourceError:
            self.close()
            raise
        self.by_user = self._decoder.by_user

    def read(self) -> Decoded | None:
        """Return the next block; None at the end."""
        lines = self._next_lines()
        if lines is None:
            return None
        self._lines = lines
        decoded = self._decoder.decode(lines)
        decoded.skip(self._part)
        self._part = 0
        return decoded

    @property
    def share(self) -> float | None:
        """How much of the file has been read, from 0 to 1; None where its size is not known."""
        return self._bytes.share

    @property
    def notes(self) -> list[str]:
        """What was told by the content, such as the unit of the times."""
        return self._decoder.scale.note(str(self._path))

    def position(self, given: int, part: int = 0) -> Position:
        """Return the position after the first `given` lines of the block read last."""
        return self._decoder.position(self._lines, given, part)

    def seek(self, position: Position) -> None:
        """Go on from a position, having made sure that the text before it is the same."""
        try:
            line, offset, crc = (int(position[key]) for key in ("line", "offset", "crc"))
        except (KeyError, TypeError, ValueError) as error:
            other = "it was then read with other options, or as another kind of file"
            raise changed(self._path, other) from error
        self._part = int(position.get("part", 0))
        if offset == 0:
            self.rewind()
            return
        self._decoder.scale.restore(position.get("unit", "s"))
        self.close()
        self._start()
        rest, last = self._skip(offset, crc, line)
        if last != b"\n":
            # The last line had no newline when it was read. One that has come since is no line.
            while rest in (b"", b"\r") and (chunk := next(self._chunks, b"")):
                rest += chunk
            end = next((ending for ending in (b"\r\n", b"\n") if rest.startswith(ending)), b"")
            if rest and not end:
                raise changed(self._path, f"line {line}, its last, is longer now")
            rest = rest[len(end) :]
            offset, crc = offset + len(end), zlib.crc32(end, crc)
        self._cutter = self._cut_from(line, offset, crc)
        self._waiting += self._cutter.feed(rest)

    def rewind(self) -> None:
        """Go back to the start."""
        self.close()
        self._start()
        self._decoder.scale.restore(None)
        if self._header:
            self._begin(*self._read_header())

    def digest(self) -> int:
        """Return the CRC-32 of the whole text, once all was read."""
        return self._cutter.crc

    def close(self) -> None:
        """Close the file."""
        self._bytes.close()

    def _start(self) -> None:
        self._bytes = Decompressed(self._path)
        self._chunks = self._bytes.chunks()
        self._cutter = self._cut_from(0, 0, 0)
        self._waiting: list[Lines] = []
        self._finished = False
        self.warnings.clear()

    def _cut_from(self, line: int, offset: int, crc: int) -> LineCutter:
        """Cut lines, or of delimited text, once it is known, records."""
        if self._split is None:
            return LineCutter(line, offset, crc)
        return RecordCutter(self._split, line, offset, crc)

    def _begin(self, header: bytes | None, rest: bytes) -> None:
        """Go on with the first line after the header."""
        before = header or b""
        self._cutter = self._cut_from(before.count(b"\n"), len(before), zlib.crc32(before))
        self._waiting += self._cutter.feed(rest)

    def _next_lines(self) -> Lines | None:
        while not self._waiting and not self._finished:
            chunk = next(self._chunks, None)
            if chunk is not None:
                self._waiting += self._cutter.feed(chunk)
                continue
            self._finished = True
            self.close()
            self._waiting += self._cutter.finish(self._bytes.damage)
            if self._bytes.damage is not None:
                self.warnings.append(
                    f"{self._path} ends at line {self._cutter.line}: {self._bytes.damage}; the "
                    f"whole lines before the damage were read"
                )
        return self._waiting.pop(0) if self._waiting else None

    def _read_header(self) -> tuple[bytes, bytes]:
        """Return the first record, with its line break, and what was read after it."""
        data, ended = b"", False
        while not (end := header_end(data, ended)) and not ended and len(data) <= LONGEST_LINE:
            chunk = next(self._chunks, None)
            data, ended = data + (chunk or b""), chunk is None
        header = data[:end]
        damage = self._bytes.damage
        if not header or (damage is not None and not header.endswith(b"\n")):
            long = f"its first line has more than {LONGEST_LINE:,} bytes"
            why = damage or (long if data else "the file is empty")
            raise SourceError(f"{self._path} has no header: {why}")
        return header, data[end:]

    def _skip(self, offset: int, crc: int, line: int) -> tuple[bytes, bytes]:
        """Go through the first `offset` bytes; return the chunk's rest and the last byte before."""
        left, found, last = offset, 0, b""
        for chunk in self._chunks:
            part = chunk[:left]
            left -= len(part)
            found, last = zlib.crc32(part, found), part[-1:]
            if not left:
                break
        if left:
            raise changed(self._path, f"it had {offset:,} bytes of text and has {offset - left:,}")
        if found != crc:
            raise changed(self._path, f"its first {line:,} lines are not the same")
        return chunk[len(part) :], last
