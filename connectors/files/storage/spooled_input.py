"""Standard input, read whole before it is used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

from .disk_copy import DiskCopy
from .log_file import Bytes, LogFile


class SpooledInput(LogFile):
    """Standard input as a file, for what must be read whole, to be sorted.

    Parameters
    ----------
    stream
        What is read; by default standard input.

    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        super().__init__("<stdin>", "<stdin>")
        self._copy = DiskCopy((sys.stdin.buffer if stream is None else stream).read)

    def open(self) -> Bytes:
        """Open it to be read from its start."""
        return Path(self._copy.path).open("rb")

    def size(self) -> int | None:
        """Return its bytes."""
        return Path(self._copy.path).stat().st_size
