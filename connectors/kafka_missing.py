"""Offsets at which reading was to go on, and which are no longer there."""

from __future__ import annotations

from typing import Literal

from .kafka_settings import KafkaAddress
from .source import SourceError

Missing = Literal["earliest", "latest"]
"""Where to go on."""


class MissingOffsets:
    """Chooses where to go on in a partition, if at all.

    Parameters
    ----------
    address
        The topic.
    policy
        Where to go on; None: nowhere, that is an error.

    Attributes
    ----------
    notes
        What a person should know, by partition.

    """

    def __init__(self, address: KafkaAddress, policy: Missing | None) -> None:
        self._address = address
        self._policy = policy
        self.notes: dict[int, str] = {}

    def instead(self, number: int, offset: int, begin: int, end: int) -> int:
        """Give the offset to go on at in a partition that holds others than the one wanted.

        Parameters
        ----------
        number
            The partition.
        offset
            The one wanted.
        begin, end
            The oldest offset that is there, and the one after the newest.

        Raises
        ------
        SourceError
            There is no policy; the message names the remedy.

        """
        lost = (
            f"{self._address}: partition {number} holds offsets {begin} to {end}, and not "
            f"{offset}, where reading was to go on: "
        )
        why = (
            "records have been deleted there (see retention.ms)"
            if offset < begin
            else "the topic was made anew, or its brokers have lost records"
        )
        if self._policy is None:
            raise SourceError(
                f"{lost}{why}. To go on without them give --on-missing-offsets earliest (what is "
                f"left) or latest (what comes), or start anew with --fresh"
            )
        chosen = begin if self._policy == "earliest" else end
        self.notes[number] = f"{lost}{why}; it went on at {chosen}"
        return chosen
