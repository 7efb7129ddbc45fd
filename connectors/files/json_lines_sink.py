"""A file of JSON Lines as a sink."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ..sink import SinkError


class JsonLinesSink:
    r"""A file that takes records, one JSON object a line.

    For exactly one copy of each record across a kill, keep what `sync` gives in the snapshot,
    and resume there: what was written after it is cut off, to be written again.

    Parameters
    ----------
    path
        The file.
    resume_at
        The length in bytes up to which the file is good; None starts a new file.

    Attributes
    ----------
    name
        The file's absolute path.
    full
        False: a file needs no snapshot before it takes more.

    Raises
    ------
    SinkError
        The file cannot be opened, or is shorter than `resume_at`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "records.jsonl"
    >>> sink = JsonLinesSink(path)
    >>> sink.write({"item": "shoes"})
    >>> length = sink.sync()
    >>> sink.write({"item": "written twice"})
    >>> sink.close()
    >>> JsonLinesSink(path, resume_at=length).close()
    >>> path.read_text()
    '{"item":"shoes"}\n'

    """

    def __init__(self, path: str | os.PathLike[str], resume_at: int | None = None) -> None:
        self._path = Path(path)
        self.name = str(self._path.resolve())
        self.full = False
        self._encoder = msgspec.json.Encoder()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if resume_at is None:
                self._file: BinaryIO = self._path.open("wb")
                return
            length = self._path.stat().st_size if self._path.exists() else 0
            if length < resume_at:
                raise SinkError(
                    f"{path} has {length:,} bytes, and {resume_at:,} had been written when the "
                    "snapshot was taken: restore the file, or start over with --fresh"
                )
            self._file = self._path.open("r+b" if length else "wb")
            self._file.truncate(resume_at)
            self._file.seek(resume_at)
        except OSError as error:
            raise SinkError(
                f"{path} cannot be written: {error.strerror}; name another file"
            ) from error

    def write(self, record: Any) -> None:
        """Append one record.

        Raises
        ------
        SinkError
            It cannot be written, as on a full disk.

        """
        try:
            self._file.write(self._encoder.encode(record) + b"\n")
        except OSError as error:
            raise self._failed(error) from error

    def flush(self) -> None:
        """Make visible to readers what was written.

        Raises
        ------
        SinkError
            It cannot be written, as on a full disk.

        """
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> int:
        """Make all records durable; return the file's length in bytes.

        Raises
        ------
        SinkError
            They cannot be written, as on a full disk.

        """
        self.flush()
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error
        return self._file.tell()

    def commit(self, length: int) -> None:
        """Do nothing: what was written after a snapshot is cut off when a run goes on from it."""

    def close(self) -> None:
        """Write what is left, and close the file."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> SinkError:
        return SinkError(
            f"{self._path} cannot be written: {error.strerror}; free some space and run again to "
            "resume from the last snapshot"
        )
