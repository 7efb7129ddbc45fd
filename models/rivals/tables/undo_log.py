"""What was written over, so that it can be put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...recommender import Arrays


class UndoLog:
    """Takes back all writes since `begin`, the last one first.

    So a model can learn the clicks of a batch for a test, each with the evidence of those before
    it, and end as it was.

    Examples
    --------
    >>> import numpy as np
    >>> arrays = {"counts": np.zeros(2)}
    >>> journal = UndoLog()
    >>> journal.begin()
    >>> journal.put(arrays, "counts", 1, 5.0)
    >>> journal.undo()
    >>> arrays["counts"]
    array([0., 0.])

    """

    def __init__(self) -> None:
        self._undoings: list[tuple[Callable[..., object], Sequence[Any]]] | None = None

    def begin(self) -> None:
        """Keep what is written over from here on."""
        self._undoings = []

    def undo(self) -> None:
        """Put it back, and keep nothing any more."""
        undoings, self._undoings = self._undoings or [], None
        for undo, arguments in reversed(undoings):
            undo(*arguments)

    def note(self, undo: Callable[..., object], *arguments: Any) -> None:
        """Log how to undo what is done next or was just done."""
        if self._undoings is not None:
            self._undoings.append((undo, arguments))

    def put(self, arrays: Arrays, name: str, index: Any, value: Any) -> None:
        """Write into one of several arrays; they may be replaced by longer ones meanwhile."""
        array = arrays[name]
        if self._undoings is not None:
            self._undoings.append((_put_back, (arrays, name, index, array[index].copy())))
        array[index] = value

    def place(self, held: list[Any] | dict[Any, Any], index: Any, value: Any) -> None:
        """Write over what a list or dictionary holds at an index."""
        if self._undoings is not None:
            self._undoings.append((held.__setitem__, (index, held[index])))
        held[index] = value


def _put_back(arrays: Arrays, name: str, index: Any, value: Any) -> None:
    arrays[name][index] = value
