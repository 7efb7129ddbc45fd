"""Standard input, read whole before it is used."""

from __future__ import annotations

import shutil
import sys
import tempfile
from typing import BinaryIO

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
        self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - It lives as long as this.
        shutil.copyfileobj(sys.stdin.buffer if stream is None else stream, self._file, 1 << 20)
        self._file.flush()

    def open(self) -> Bytes:
        """Open it to be read from its start."""
        return open(self._file.name, "rb")

    def size(self) -> int | None:
        """Return its bytes."""
        return self._file.tell()
