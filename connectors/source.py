"""The contract of a source of clicks."""

from __future__ import annotations

from typing import Any, Protocol

from .clicks import Clicks, Position


class Source(Protocol):
    """Where clicks come from: a log, a pipe, a topic, a simulated shop.

    A source gives every record once, in stream order, and can report and resume a position. One of
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
    share
        Not needed: how much of the source has been given, from 0 to 1, where that is known, else
        None; the progress line shows it.

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
        """Publish that all before this position is durable; most sources do nothing."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


class SourceError(Exception):
    """A source cannot be opened, read or resumed; the message names the place and the remedy."""


BEGIN_FROM = (
    "start this one from the model trained there (nextclick run --begin-from SNAPSHOT, and "
    "another folder for --snapshots), or start over with --fresh"
)
REMEDIES = f"name the source of the snapshot, {BEGIN_FROM}"
"""What to do where a snapshot was taken on another source."""


def check_kind(position: Position, kind: str, here: str) -> None:
    """Check that a position is one in this kind of source.

    Parameters
    ----------
    position
        The position. One of an older version does not name its kind: its keys show it.
    kind
        The kind of source that is to go on from it: ``log``, ``pipe``, ``shop`` or ``topic``.
    here
        What that source is called in the message.

    Raises
    ------
    SourceError
        It is one in another kind of source.

    Examples
    --------
    >>> check_kind({"kind": "pipe", "line": 7}, "pipe", "standard input")
    >>> check_kind({"line": 7}, "pipe", "standard input")

    """
    if position.get("kind", _kind_by_keys(position)) != kind:
        raise other_source(position, here)


def other_source(position: Position, here: str) -> SourceError:
    """Return the error for a position that is one in another source."""
    return SourceError(
        f"the snapshot was taken on {_described(position)}, and not on {here}: {REMEDIES}"
    )


def _kind_by_keys(position: Position) -> str:
    """Return the kind of source that the keys of a position are those of."""
    if "partitions" in position or "topics" in position:
        return "topic"
    if "shop" in position:
        return "shop"
    if position.keys() & {"offset", "record", "row"}:
        return "log"
    return "pipe" if position.keys() == {"line"} else "unknown"


def _described(position: Position) -> str:
    kind: Any = position.get("kind", _kind_by_keys(position))
    if kind == "log":
        return f"the log {position['name']}" if "name" in position else "a log"
    if kind == "shop":
        return f"the simulated shop {position.get('shop')}"
    if kind == "topic" and "topics" in position:
        return f"the topics {', '.join(position['topics'])}"
    if kind == "topic":
        return f"the topic {position.get('topic')!r}"
    return "a pipe" if kind == "pipe" else "another kind of source"
