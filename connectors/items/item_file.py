"""A file of item data, read and then followed as it grows or is replaced."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..decoding.lines import BYTE_ORDER_MARK, LineCutter, Lines
from ..decoding.values import UnusableError
from ..files.storage.decompression import CHUNK, Decompressed
from ..source import SourceError
from .records import REMEDY, Collected, ItemChanges, ItemRecord, decode_item

LOOK_SECONDS = 0.1
"""How often to look whether the file has changed."""

MOST_BYTES = 8 << 20
"""Bytes that are read at a time of what was appended."""

COMPARED = 4096
"""Bytes at its start and before its end by which a file that has grown is known again."""

SETTLING_LOOKS = 10
"""Looks for which a file that is written anew in its place may still change before it is read."""


class Version(NamedTuple):
    """What shows that a file is another one, or has changed."""

    device: int
    inode: int
    size: int
    changed: int


class ItemFile:
    r"""Item data in JSON Lines, plain or compressed with gzip or zstd.

    What is appended to a plain file is read as a change. A file that takes the place of another,
    or is written anew in its place, and a compressed one that has changed, is read anew as a whole.
    The last line counts without its newline too, as soon as it is a whole object.

    At the start a line that cannot be used is an error. Later it is passed over.

    Parameters
    ----------
    path
        The file.
    most
        Items that may have data.

    Raises
    ------
    SourceError
        There is no such file, or it is no regular file.

    """

    def __init__(self, path: str | os.PathLike[str], most: int) -> None:
        self._path = Path(path)
        self.name = str(self._path)
        self._most = most
        self._file: BinaryIO | None = None
        self._cutter = LineCutter()
        self._offset = 0
        self._head = self._last = b""
        self._version: Version | None = None
        self._seen: Version | None = None
        self._looks = 0
        self._away: str | None = None
        self._damage: str | None = None
        self._notes: list[str] = []
        try:
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                raise SourceError(f"--items {self.name} is no regular file: name a file of JSON")
        except FileNotFoundError as error:
            raise SourceError(f"--items {self.name}: there is no such file") from error
        except OSError as error:
            raise SourceError(f"--items {self.name}: {error.strerror}") from error

    @property
    def away(self) -> str | None:
        """Why what was read may be out of date; None where it is up to date."""
        return self._away

    @property
    def progress(self) -> float:
        """How much of what was there at the start has been read: all of it."""
        return 1.0

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        return [*self._notes, *([self._away] if self._away is not None else [])]

    def poll(self) -> ItemChanges:
        """Read on; see `ItemSource.poll`."""
        if self._version is None:
            try:
                return self._read_whole(strict=True)
            except (OSError, SourceError) as error:
                self.close()
                if isinstance(error, SourceError):
                    raise
                raise SourceError(f"--items {self.name}: {error.strerror}") from error
        time.sleep(LOOK_SECONDS)
        found: Version | None = None
        try:
            found = version_of(os.stat(self._path))
            if found == self._version:
                # It is there again, or still damaged.
                self._away = self._damage
            elif self._has_grown(found):
                return self._read_on()
            elif self._settled(found):
                return self._read_whole(strict=False)
        except (OSError, SourceError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self._away = f"{self.name} cannot be read ({why}): the items keep the data read before"
            if isinstance(error, SourceError):
                # It is read again once it has changed.
                self._version, self._damage = found, self._away
        return ItemChanges()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _has_grown(self, found: Version) -> bool:
        """Whether the file is the one that was read, with more after its end."""
        file, version = self._file, self._version
        if file is None or version is None or found[:2] != version[:2]:
            return False
        if found.size <= self._offset:
            return False
        start = os.pread(file.fileno(), len(self._head), 0)
        before = os.pread(file.fileno(), len(self._last), self._offset - len(self._last))
        return (start, before) == (self._head, self._last)

    def _settled(self, found: Version) -> bool:
        """Whether a file that is another one than before is no longer being written."""
        if found == self._seen or self._looks >= SETTLING_LOOKS:
            self._seen, self._looks = None, 0
            return True
        self._seen, self._looks = found, self._looks + 1
        return False

    def _read_on(self) -> ItemChanges:
        """Read what was appended, or the first of it where it is much."""
        changes = ItemChanges([])
        records: list[ItemRecord] = []
        for lines in self._appended(MOST_BYTES):
            for place, line in numbered(lines):
                try:
                    if line.strip():
                        records.append(decode_line(lines, line))
                except UnusableError as fault:
                    changes.reject(self._line(place), fault.detail)
        with suppress(UnusableError):
            records += self._unfinished()
        changes.records = records
        self._away = self._damage = None
        return changes

    def _read_whole(self, strict: bool) -> ItemChanges:
        """Read the file from its beginning.

        Parameters
        ----------
        strict
            What is wrong in it is an error.

        """
        collected, changes = Collected(self._most), ItemChanges(whole=True)
        self._cutter = LineCutter()
        try:
            for lines in self._all_lines():
                for place, line in numbered(lines):
                    try:
                        if line.strip():
                            collected.take(decode_line(lines, line))
                    except UnusableError as fault:
                        if strict:
                            raise self._wrong(place, fault) from fault
                        changes.reject(self._line(place), fault.detail)
            for record in self._unfinished():
                collected.take(record)
        except UnusableError as fault:
            if strict and fault.reason != "bad_json":
                raise self._wrong(self._cutter.line + 1, fault) from fault
            if strict:
                self._notes.append(
                    f"{self._line(self._cutter.line + 1)}, the last one, is not complete: it is "
                    "read once it is"
                )
        changes.records = collected.records()
        self._away = self._damage = None
        return changes

    def _all_lines(self) -> Iterator[Lines]:
        """Begin the file anew; return its lines."""
        self.close()
        self._file, self._offset = None, 0
        version = version_of(os.stat(self._path))
        stream = Decompressed(self._path)
        try:
            if stream.compression is not None:
                for chunk in stream.chunks():
                    yield from self._cutter.feed(chunk)
                if stream.damage is not None:
                    raise SourceError(f"{self.name}: {stream.damage}")
                self._version = version
                return
        finally:
            stream.close()
        self._file = self._path.open("rb")
        self._head = self._last = b""
        yield from self._appended()

    def _appended(self, most: int | None = None) -> Iterator[Lines]:
        """Return the lines of a plain file that end after what was read, of so many bytes."""
        file = self._file
        assert file is not None
        file.seek(self._offset)
        end = None if most is None else self._offset + most
        while (end is None or self._offset < end) and (chunk := file.read(CHUNK)):
            self._offset += len(chunk)
            if len(self._head) < COMPARED:
                self._head += chunk[: COMPARED - len(self._head)]
            self._last = (self._last + chunk[-COMPARED:])[-COMPARED:]
            yield from self._cutter.feed(chunk)
        # What is appended from now on makes the file larger than this.
        self._version = version_of(os.fstat(file.fileno()))._replace(size=self._offset)

    def _unfinished(self) -> Iterable[ItemRecord]:
        """Return the record of the last line where no newline ends it, if it is a whole one.

        Raises
        ------
        UnusableError
            It is not.

        """
        line = self._cutter.unfinished
        if not self._cutter.line:
            line = line.removeprefix(BYTE_ORDER_MARK)
        return [decode_item(line)] if line.strip() else []

    def _line(self, number: int) -> str:
        return f"{self.name}, line {number:,}"

    def _wrong(self, number: int, fault: UnusableError) -> SourceError:
        remedy = f"{REMEDY}, or remove the line"
        if fault.reason == "too_many_items":
            return SourceError(f"--items {self._line(number)}: {fault.detail}")
        return SourceError(f"--items {self._line(number)}: {fault.detail}; {remedy}")


def version_of(found: os.stat_result) -> Version:
    """Return the version of a file."""
    # Not the time of its content, which some tools set: what changes that changes this one too.
    return Version(found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)


def numbered(lines: Lines) -> Iterator[tuple[int, bytes]]:
    """Return each line with its number, from 1 on."""
    return enumerate(lines.split(), lines.line + 1)


def decode_line(lines: Lines, line: bytes) -> ItemRecord:
    """Decode one of some lines.

    Raises
    ------
    UnusableError
        It cannot be used.

    """
    if lines.fault is not None:
        raise UnusableError(*lines.fault)
    return decode_item(line)
