"""One file of a log, wherever it is kept."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa

from ...source import SourceError


class Bytes(Protocol):
    """An open file, as far as readers of a log use it."""

    @property
    def closed(self) -> bool:  # noqa: D102
        ...

    def read(self, size: int = -1, /) -> bytes: ...  # noqa: D102

    def seekable(self) -> bool: ...  # noqa: D102

    def seek(self, offset: int, whence: int = 0, /) -> int: ...  # noqa: D102

    def tell(self) -> int: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class LogFile(ABC):
    """One file of a log: on the disk, in a zip archive, or in a remote store.

    Parameters
    ----------
    shown
        What messages call it: its path or address.
    name
        The last part of its path.

    """

    is_pipe = False
    """Whether what is read of it is gone."""

    rereads_cheaply = True
    """Whether reading all of it a second time costs little."""

    def __init__(self, shown: str, name: str) -> None:
        self._shown = shown
        self.name = name

    def __str__(self) -> str:
        """Return what messages call it."""
        return self._shown

    @property
    def suffixes(self) -> list[str]:
        """The endings of the name, in lower case."""
        return [suffix.lower() for suffix in PurePosixPath(self.name).suffixes]

    @property
    def suffix(self) -> str:
        """The last ending of the name, in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        """The name without its last ending."""
        return PurePosixPath(self.name).stem

    @abstractmethod
    def open(self) -> Bytes:
        """Open it to be read from its start.

        Raises
        ------
        SourceError
            It cannot be opened.

        """

    def open_anywhere(self) -> Any:
        """Open it to be read at any place, as Parquet needs; see `open`."""
        return self.open()

    @abstractmethod
    def size(self) -> int | None:
        """Return its bytes; None where that is not known."""


class LocalFile(LogFile):
    """A file on the disk, or a named pipe.

    Parameters
    ----------
    path
        The path.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        super().__init__(str(self.path), self.path.name)
        if self.path.is_dir():
            raise SourceError(f"{path} is a folder: name one log file in it")
        self.is_pipe = self.path.exists() and not stat.S_ISREG(self.path.stat().st_mode)

    def open(self) -> Bytes:
        """Open it to be read from its start."""
        try:
            return self.path.open("rb")
        except FileNotFoundError as error:
            raise SourceError(f"{self.path}: there is no such file") from error
        except OSError as error:
            raise SourceError(f"{self.path} cannot be opened: {error.strerror}") from error

    def open_anywhere(self) -> Any:
        """Open it to be read at any place, as Parquet needs."""
        self.open().close()  # Arrow's errors are no sentences.
        return pa.OSFile(str(self.path))

    def size(self) -> int | None:
        """Return its bytes now: it may grow."""
        try:
            return None if self.is_pipe else self.path.stat().st_size
        except OSError:
            return None


def as_log_file(path: str | os.PathLike[str] | LogFile) -> LogFile:
    """Return a path as the file that it names."""
    return path if isinstance(path, LogFile) else LocalFile(path)
