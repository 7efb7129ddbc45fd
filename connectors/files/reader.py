"""The interface of a log's kind of file, from which a source is made."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..clicks import Position
from ..decoding.blocks import Decoded
from ..source import REMEDIES, SourceError
from .storage.log_file import LogFile


class Reader(Protocol):
    """A log's records in file order, by the block.

    Attributes
    ----------
    by_user
        Whether the clicks' sessions are users, to be cut by inactivity.
    warnings
        Sentences on what a person should know: damage found so far.
    notes
        What the records have told, such as the unit of their times.
    share
        How much of the log the blocks so far are, from 0 to 1; None where that is not known.

    """

    by_user: bool

    @property
    def warnings(self) -> list[str]:  # noqa: D102
        ...

    @property
    def notes(self) -> list[str]:  # noqa: D102
        ...

    @property
    def share(self) -> float | None:  # noqa: D102
        ...

    def read(self) -> Decoded | None:
        """Return the next block, never an empty one; None at the end."""
        ...

    def position(self, given: int, part: int = 0) -> Position:
        """Return the position after the first `given` records of the block read last.

        `part` is the number of entries of the next record that were given.
        """
        ...

    def seek(self, position: Position) -> None:
        """Go on from a position; a SourceError says that the log has changed since."""
        ...

    def rewind(self) -> None:
        """Go back to the start."""
        ...

    def digest(self) -> int:
        """Return a CRC-32 of everything, once all was read."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def changed(path: LogFile | Path, what: str) -> SourceError:
    """Make the error for a log that is not what it was at the snapshot."""
    return SourceError(
        f"{path} has changed since the snapshot: {what}. Restore the log, or {REMEDIES}"
    )


def check_unchanged(
    path: LogFile, position: Position, counted: str, digest: tuple[int, int]
) -> None:
    """Check that a position is one in this file, for a kind of file that does not grow.

    Parameters
    ----------
    path
        The file.
    position
        What the reader of the file returned at the snapshot.
    counted
        What the position counts, ``"row"`` or ``"record"``.
    digest
        The file's size and CRC-32 now.

    Raises
    ------
    SourceError
        The file has changed since, or was read as another kind of file.

    """
    if position.keys() - {"part", "unit"} != {counted, "size", "crc"}:
        raise changed(path, "it was then read with other options, or as another kind of file")
    if (position["size"], position["crc"]) != digest:
        raise changed(path, "its bytes are not the same")
