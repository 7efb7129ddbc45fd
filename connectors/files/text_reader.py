"""Reading a log of text lines, and resuming it."""

from __future__ import annotations

import zlib

from ..clicks import Position
from ..decoding.blocks import Decoded
from ..decoding.delimited import DelimitedDecoder
from ..decoding.json_lines import JsonLinesDecoder
from ..decoding.lines import LineCutter, Lines
from ..decoding.log_format import LogFormat
from ..source import SourceError
from .decompression import Decompressed
from .log_file import LogFile
from .reader import changed


class TextReader:
    """Reads a log of lines: delimited text or JSON Lines, perhaps compressed.

    A position is ``{"line": lines before, "offset": bytes before, "crc": their CRC-32}``,
    counted in the decompressed text.

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
        self._header = delimiter is not None and form.header
        self.warnings: list[str] = []
        self._start()
        self._decoder: DelimitedDecoder | JsonLinesDecoder
        try:
            if delimiter is None:
                self._decoder = JsonLinesDecoder(form, str(path))
            else:
                header = self._read_header() if self._header else None
                self._decoder = DelimitedDecoder(form, delimiter, header, str(path))
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
        return self._decoder.decode(lines)

    @property
    def share(self) -> float | None:
        """How much of the file has been read, from 0 to 1; None where its size is not known."""
        return self._bytes.share

    def position(self, given: int) -> Position:
        """Return the position after the first `given` lines of the block read last."""
        offset, crc = self._lines.after(given)
        return {"line": self._lines.line + given, "offset": offset, "crc": crc}

    def seek(self, position: Position) -> None:
        """Go on from a position, having made sure that the text before it is the same."""
        try:
            line, offset, crc = (int(position[key]) for key in ("line", "offset", "crc"))
        except (KeyError, TypeError, ValueError) as error:
            other = "it was then read with other options, or as another kind of file"
            raise changed(self._path, other) from error
        if offset == 0:
            self.rewind()
            return
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
        self._cutter = LineCutter(line, offset, crc)
        self._waiting += self._cutter.feed(rest)

    def rewind(self) -> None:
        """Go back to the start."""
        self.close()
        self._start()
        if self._header:
            self._read_header()

    def digest(self) -> int:
        """Return the CRC-32 of the whole text, once all was read."""
        return self._cutter.crc

    def close(self) -> None:
        """Close the file."""
        self._bytes.close()

    def _start(self) -> None:
        self._bytes = Decompressed(self._path)
        self._chunks = self._bytes.chunks()
        self._cutter = LineCutter()
        self._waiting: list[Lines] = []
        self._finished = False
        self.warnings.clear()

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

    def _read_header(self) -> bytes:
        lines = self._next_lines()
        damage = self._bytes.damage
        if lines is None or lines.fault is not None:
            why = damage or (lines.fault[1] if lines and lines.fault else "the file is empty")
            raise SourceError(f"{self._path} has no header: {why}")
        if len(lines) > 1:
            self._waiting.insert(0, lines.rest(1))
        return lines.split()[0]

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
