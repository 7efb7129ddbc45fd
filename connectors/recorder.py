"""The contract of what records submitted clicks, so that a source reads them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from .submitted_clicks import ClickForm, SubmittedClick


class Recorded(NamedTuple):
    """What became of submitted clicks.

    Parameters
    ----------
    written
        How many were written, durably.
    known
        How many were not written, as a click with the same event id was before.

    """

    written: int
    known: int


class RecordError(Exception):
    """Clicks cannot be recorded now, none of them; the message says why."""


class FullError(RecordError):
    """There is no room for them."""


class Recorder(Protocol):
    """Records clicks where a source reads them.

    Attributes
    ----------
    form
        The form of a submitted click.
    place
        Where they go, for a person.

    """

    form: ClickForm
    place: str

    def record(self, clicks: Sequence[SubmittedClick]) -> Future[Recorded]:
        """Record clicks, all of them or none; in their order.

        Returns
        -------
        Future
            Has a result when they are durable, or a `RecordError`.

        Raises
        ------
        ClickError
            They can never be recorded there.

        """
        ...
