"""Records that a broker itself cannot read from its disk."""

from __future__ import annotations

from collections.abc import Mapping

from ..source import SourceError
from .merging.numbering import Numbering
from .record_batches import DamagedBatchError


class UnreadByBroker:
    """Finds which records of topics a broker could not read: its answer names none.

    Parameters
    ----------
    numbering
        The topics, and the numbers of their partitions.

    """

    def __init__(self, numbering: Numbering) -> None:
        self._numbering = numbering
        self._strides: dict[int, int] = {}

    def find(self, error: Exception, places: Mapping[int, tuple[int, int]]) -> DamagedBatchError:
        """Return what is to be passed.

        Parameters
        ----------
        error
            The broker's answer.
        places
            For each partition the next offset, and the one after its newest record.

        Raises
        ------
        SourceError
            It may be one of several partitions.

        """
        behind = {number: place for number, place in places.items() if place[0] < place[1]}
        if len(behind) != 1:
            named = ", ".join(
                f"{self._numbering.listed(number)} from offset {at} on"
                for number, (at, _) in behind.items()
            )
            others = "with --partitions"
            if self._numbering.wanted.one is None:
                others = "in the address"
            raise SourceError(
                f"{self._numbering.wanted}: a broker cannot read a partition's records ({error}): "
                f"one of {named}. Restore it from another replica; to skip it, name the others "
                f"{others}"
            ) from error
        ((number, (offset, end)),) = behind.items()
        # Farther at each try: the broker finds its way again at some later offset.
        self._strides[number] = 2 * self._strides.get(number, 0) or 1
        why = "the broker cannot read them either"
        return DamagedBatchError(number, offset, why, [min(offset + self._strides[number], end)])
