"""Several log files, one after the other, to be sorted as one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from ..clicks import Position
from ..decoding.blocks import Decoded
from ..source import SourceError
from .reader import Reader
from .storage.log_file import Bytes, LogFile

UNPLACED = "the files are read to be sorted: a position is one in what was sorted"


class Together(LogFile):
    """Several files under one name, for messages.

    Parameters
    ----------
    files
        The files.

    """

    def __init__(self, files: Sequence[LogFile]) -> None:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        super().__init__(f"{files[0]}{more}", files[0].name)

    def open(self) -> Bytes:
        """Raise an error: they are opened one by one."""
        raise SourceError(f"{self}: these are several files")

    def size(self) -> None:
        """Return None."""


class ChainedReader:
    """Reads files one after the other, for `SortedReader`: without positions.

    Parameters
    ----------
    files
        The files.
    read
        Opens one of them.

    """

    def __init__(self, files: Sequence[LogFile], read: Callable[[LogFile], Reader]) -> None:
        self._files = files
        self._read = read
        self.warnings: list[str] = []
        self._digests: list[int] = []
        self._reader = read(files[0])
        self.by_user = self._reader.by_user

    @property
    def share(self) -> float | None:
        """How much of the files has been read, from 0 to 1, taking them as equally long."""
        share = self._reader.share
        return None if share is None else (len(self._digests) + share) / len(self._files)

    @property
    def notes(self) -> list[str]:
        """What the records have told, such as the unit of their times."""
        return self._reader.notes

    def read(self) -> Decoded | None:
        """Return the next block; None at the end."""
        while len(self._digests) < len(self._files):
            block = self._reader.read()
            if block is not None:
                return block
            self._digests.append(self._reader.digest())
            self.warnings += self._reader.warnings
            self._reader.close()
            if len(self._digests) < len(self._files):
                file = self._files[len(self._digests)]
                self._reader = self._read(file)
                if self._reader.by_user != self.by_user:
                    raise SourceError(
                        f"{file} has {'users' if self._reader.by_user else 'sessions'}, unlike "
                        "the files before it: read one of them"
                    )
        return None

    def position(self, given: int, part: int = 0) -> Position:
        """Raise an error: a position is one in what was sorted."""
        raise RuntimeError(UNPLACED)

    def seek(self, position: Position) -> None:
        """Raise an error: a position is one in what was sorted."""
        raise RuntimeError(UNPLACED)

    def rewind(self) -> None:
        """Go back to the start."""
        self.close()
        self.warnings.clear()
        self._digests = []
        self._reader = self._read(self._files[0])

    def digest(self) -> int:
        """Return a CRC-32 of everything, once all was read."""
        return zlib.crc32(repr(self._digests).encode())

    def close(self) -> None:
        """Close the file that is read."""
        self._reader.close()
