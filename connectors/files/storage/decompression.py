"""The bytes of a file, decompressed, as far as they can be read."""

from __future__ import annotations

import bz2
import codecs
import lzma
import os
import zlib
from collections.abc import Iterator
from typing import Protocol

import zstandard

from .log_file import LogFile, as_log_file

CHUNK = 1 << 20
"""Bytes given at a time, about."""

SNIFFED = 512
"""Bytes from which the compression is detected."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}
"""File name endings of compressed text."""

XZ_MEMORY = 1 << 30
"""Bytes that an xz file may ask for to be decompressed."""


class Decompressed:
    """A file's bytes, decompressed where they are compressed, whatever the file's name.

    A damaged file gives every byte that can be decompressed before the damage; `damage` then
    says what is wrong. Several compressed members, one after the other, are one stream.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    compression
        One of the values of `COMPRESSIONS`, or None.
    damage
        What is wrong, once it was met.

    Raises
    ------
    SourceError
        The file cannot be opened.

    """

    def __init__(self, path: str | os.PathLike[str] | LogFile) -> None:
        self.path = as_log_file(path)
        self.damage: str | None = None
        self.compression: str | None = None
        self._file = self.path.open()
        self.compression = self._find_compression()

    def chunks(self) -> Iterator[bytes]:
        """Return the bytes in order, about 1 MiB at a time; to be called once."""
        pieces: list[bytes] = []
        size = 0
        for piece in self._pieces():
            pieces.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield b"".join(pieces)
                pieces, size = [], 0
        if size:
            yield b"".join(pieces)

    def head(self, size: int) -> bytes:
        """Return at most `size` of the first bytes; to be called in place of `chunks`."""
        head = b""
        for piece in self._pieces():
            head += piece[: size - len(head)]
            if len(head) == size:
                break
        return head

    @property
    def share(self) -> float | None:
        """How much of the file has been read, from 0 to 1; None where its size is not known."""
        if self._file.closed:
            return 1.0
        try:
            size = self.path.size()
            return self._file.tell() / size if size else None
        except OSError:  # No regular file: it has no place.
            return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _pieces(self) -> Iterator[bytes]:
        if self.compression is None:
            yield from self._read(CHUNK)
            return
        make, size = _DECOMPRESSORS[self.compression]
        members = _Members(make)
        taken = 0
        for raw in self._read(size):
            try:
                piece = members.decompress(raw)
            except _DAMAGED as error:
                self.damage = f"its compressed data are damaged ({error})"
                yield from self._salvage(make, taken, size)
                return
            taken += len(raw)
            if piece:
                yield piece
        if not members.whole:
            self.damage = "its compressed data are cut short"

    def _find_compression(self) -> str | None:
        """Return the compression that the first bytes show, or else the name."""
        named = COMPRESSIONS.get(self.path.suffix)
        if not self._file.seekable():
            return named
        try:
            start = self._file.read(SNIFFED)
            self._file.seek(0)
        except OSError:
            return named
        if start.startswith(b"\x1f\x8b"):
            return "gzip"
        # An ordinary frame, or one to be skipped.
        if start.startswith(b"\x28\xb5\x2f\xfd") or start[1:4] == b"\x2a\x4d\x18":
            return "zstd"
        if start.startswith(b"BZh") and start[4:7] in (b"1AY", b"\x17rE"):
            return "bzip2"
        if start.startswith(b"\xfd7zXZ\0"):
            return "xz"
        return None if named is None or _is_text(start) else named

    def _read(self, size: int) -> Iterator[bytes]:
        try:
            while data := self._file.read(size):
                yield data
        except OSError as error:
            self.damage = f"it cannot be read further ({error.strerror or error})"

    def _salvage(self, make: _Make, taken: int, size: int) -> Iterator[bytes]:
        """Return what can still be read of the damaged piece.

        A decompressor that fails keeps what it had decompressed in that call to itself. So go
        through the file once more, and through the piece with the damage byte by byte.
        """
        self._file.close()
        self._file = self.path.open()
        members = _Members(make)
        while taken > 0:
            raw = self._file.read(min(size, taken))
            members.decompress(raw)
            taken -= len(raw)
        for byte in self._file.read(size):
            try:
                piece = members.decompress(bytes((byte,)))
            except _DAMAGED:
                return
            if piece:
                yield piece


def _is_text(start: bytes) -> bool:
    """Whether a file starts as text or Parquet, and not as compressed data that are damaged."""
    if start.startswith((b"PAR1", b"ARROW1")):
        return True
    if not start or b"\0" in start:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return True


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Make(Protocol):
    def __call__(self) -> _Decompressor: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=31)


def _zstd() -> _Decompressor:
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


_DECOMPRESSORS: dict[str, tuple[_Make, int]] = {
    "gzip": (_gzip, 1 << 14),
    "zstd": (_zstd, 1 << 10),
    "bzip2": (bz2.BZ2Decompressor, 1 << 10),
    "xz": (_xz, 1 << 10),
}
"""What decompresses, and the bytes that it takes at a time: small pieces bound what one call can
inflate to, 1,000-fold in gzip, 7,000-fold in xz and 32,000-fold in zstd and bzip2."""

_DAMAGED = (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, ValueError)
"""What decompressors raise: that of bzip2 an OSError or a ValueError."""


class _Members:
    """Compressed members, one after the other, as one stream."""

    def __init__(self, make: _Make) -> None:
        self._make = make
        self.whole = True
        self._member = make()

    def decompress(self, data: bytes) -> bytes:
        pieces = []
        while data:
            if self._member.eof:
                # Files cut to blocks (tar, tapes) are filled up with zeros.
                data = data.lstrip(b"\0")
                if not data:
                    break
                self._member = self._make()
            self.whole = False
            pieces.append(self._member.decompress(data))
            if not self._member.eof:
                break
            self.whole = True
            data = self._member.unused_data
        return b"".join(pieces)
