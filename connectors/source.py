"""The contract of a source of clicks."""

from __future__ import annotations

from typing import Protocol

from .clicks import Clicks, Position


class Source(Protocol):
    """Where clicks come from: a log, a pipe, a topic, a simulated shop.

    A source gives every record once, in stream order, and can tell and resume a position. One of
    your own may give the columns of its `Clicks` as arrays of numpy, or columns of pandas or Arrow:
    the engine brings them into one form, and ends with a `SourceError` that names the class where
    a source breaks this contract.

    Attributes
    ----------
    gap
        Seconds without a click that end a session, where the clicks' sessions are users; else
        None.
    warnings
        Sentences on what a person should know, such as where a damaged file ends.

    """

    @property
    def gap(self) -> float | None:  # noqa: D102
        ...

    @property
    def warnings(self) -> list[str]:  # noqa: D102
        ...

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Read on.

        Parameters
        ----------
        limit
            At most this many clicks are given. A log gives exactly as many until it ends, or
            until 1,000 records in a row had to be rejected.
        wait
            Seconds to wait for a click where none is there yet (a pipe, a topic).

        Returns
        -------
        Clicks or None
            The next clicks, perhaps none yet; None when the source has ended.

        """
        ...

    def seek(self, position: Position) -> None:
        """Go on from a position that an earlier `poll` gave.

        Raises
        ------
        SourceError
            The source no longer holds what it held when the position was taken.

        """
        ...

    def commit(self, position: Position) -> None:
        """Tell the outside that all before this position is durable; most sources need not."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


class SourceError(Exception):
    """A source cannot be opened, read or resumed; the message names the place and the remedy."""
