"""What an engine does for those who ask its model while it runs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Requests(Protocol):
    """Requests to an engine's model; see `serving.request_queue`."""

    def held(self) -> AbstractContextManager[None]:
        """Hold the model while the context lasts."""
        ...

    def idle(self) -> AbstractContextManager[None]:
        """Have requests answered while the context lasts: the engine does not use its model."""
        ...


class NoRequests:
    """Nobody asks."""

    def held(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def idle(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()
