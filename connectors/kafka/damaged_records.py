"""Records that a broker itself cannot read from its disk."""

from __future__ import annotations

from collections.abc import Mapping

from ..source import SourceError
from .record_batches import DamagedBatchError
from .settings import KafkaAddress


class UnreadByBroker:
    """Finds which records of a topic a broker could not read: its answer names none.

    Parameters
    ----------
    address
        The topic.

    """

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address
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
            named = ", ".join(f"{number} from offset {at} on" for number, (at, _) in behind.items())
            raise SourceError(
                f"{self._address}: a broker cannot read a partition's records ({error}): one of "
                f"{named}. Restore it from another replica; to skip it, name the others with "
                "--partitions"
            ) from error
        ((number, (offset, end)),) = behind.items()
        # Farther at each try: the broker finds its way again at some later offset.
        self._strides[number] = 2 * self._strides.get(number, 0) or 1
        why = "the broker cannot read them either"
        return DamagedBatchError(number, offset, why, [min(offset + self._strides[number], end)])
