"""Which items have a value in a field, by numbers of their places."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?P<fraction>\.\d+)?(?P<exponent>[eE][+-]?\d+)?", re.ASCII)

SLACK = 1024
"""Entries that are out of date and kept at least, before they are taken out."""


class FieldIndex:
    """The values of one field, each with the place of the item that has it.

    An entry counts as long as its place has the generation that it was added with. Those that no
    longer count are taken out once they are more than half of all.

    Examples
    --------
    >>> generations = np.array([0, 1, 1])
    >>> colours = FieldIndex()
    >>> colours.add(1, 1, "red")
    >>> colours.add(2, 1, "blue")
    >>> colours.places(["red", "green"], generations).tolist()
    [1]

    """

    def __init__(self) -> None:
        # Values by their hashes: 64 bits with a key that only this process knows.
        self._hashes = array("q")
        self._places = array("q")
        self._generations = array("q")
        self._ended = 0

    def __len__(self) -> int:
        """Return the number of entries, those that no longer count included."""
        return len(self._hashes)

    def add(self, place: int, generation: int, value: str) -> None:
        """Add an entry."""
        self._hashes.append(hash(value))
        self._places.append(place)
        self._generations.append(generation)

    def end(self, count: int, generations: Places) -> None:
        """Note that some entries no longer count."""
        self._ended += count
        if self._ended > max(SLACK, len(self._hashes) // 2):
            kept = self._live(generations, slice(None))
            for name in ("_hashes", "_places", "_generations"):
                column = np.array(getattr(self, name), np.int64)[kept]
                setattr(self, name, array("q", column.tobytes()))
            self._ended = 0

    def places(self, values: list[str], generations: Places) -> Places:
        """Return the places of the items that have one of some values.

        Parameters
        ----------
        values
            As `texts_of` and `forms_of` write them.
        generations
            Of every place.

        """
        hashes = np.frombuffer(self._hashes, np.int64)
        wanted = np.sort([hash(value) for value in values])
        if len(wanted) == 1:
            at = np.flatnonzero(hashes == wanted[0])
        else:
            nearest = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
            at = np.flatnonzero(wanted[nearest] == hashes)
        places = np.frombuffer(self._places, np.int64)[at]
        live: Places = places[self._live(generations, at)]
        return live

    def _live(self, generations: Places, at: Any) -> NDArray[np.bool_]:
        places = np.frombuffer(self._places, np.int64)[at]
        live: NDArray[np.bool_] = (
            np.frombuffer(self._generations, np.int64)[at] == generations[places]
        )
        return live


def texts_of(value: Any) -> Iterator[str]:
    """Return what a field's value is found by: a text, or one for each element of a list.

    Examples
    --------
    >>> [list(texts_of(value)) for value in ("hat", 42, 9.50, True, ["a", 1], {"x": 1})]
    [['hat'], ['42'], ['9.5'], ['true'], ['a', '1'], []]

    """
    if isinstance(value, list):
        for one in value:
            if not isinstance(one, list):
                yield from texts_of(one)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, float):
        yield str(int(value)) if value.is_integer() else repr(value)
    elif isinstance(value, str | int):
        yield str(value)


def forms_of(wanted: str | float | bool) -> list[str]:
    """Return the texts of the values that a wanted one stands for: in an address all are texts.

    Examples
    --------
    >>> [forms_of(wanted) for wanted in ("hat", 42, "9.50", "042", "1_0", "4e1")]
    [['hat'], ['42'], ['9.50', '9.5'], ['042'], ['1_0'], ['4e1', '40']]

    """
    forms = list(texts_of(wanted))
    if isinstance(wanted, str) and wanted[-1:].isdigit() and len(wanted) < 32:
        forms += [text for text in texts_of(number_of(wanted)) if text != wanted]
    return forms


def number_of(text: str) -> int | float | None:
    """Return the number that a text is in JSON; None where it is none."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number = float(text)
    if not math.isfinite(number):
        return None
    return number if match["fraction"] or match["exponent"] else int(text)
