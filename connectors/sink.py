"""The contract of a sink: where records go out."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


class SinkError(Exception):
    """A sink cannot be opened or written; the message names the place and the remedy."""


class Sink(Protocol):
    """Where records go out, one after the other; `name` identifies it."""

    name: str

    @property
    def full(self) -> bool:
        """Whether it holds as much as it can before the next snapshot."""
        ...

    def write(self, record: Any) -> None:
        """Take a record."""
        ...

    def flush(self) -> None:
        """Make visible to readers what they may see before the next snapshot."""
        ...

    def sync(self) -> Any:
        """Make all that was written durable; return what the sink needs to resume there."""
        ...

    def commit(self, length: Any) -> None:
        """Commit `length`, returned by `sync`: the snapshot that holds it is durable."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...


@runtime_checkable
class RemoteSink(Sink, Protocol):
    """A sink that waits for others to take its records, as for the brokers of a topic."""

    @property
    def undelivered(self) -> int:
        """How many records `sync` and `commit` were to see delivered, and did not."""
        ...

    def end_within(self, seconds: float) -> None:
        """End every wait within `seconds` from now; may be called during a wait.

        What is not delivered by then is in what `sync` returns, and is delivered by a sink that is
        resumed there.
        """
        ...
