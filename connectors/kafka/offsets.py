"""Offsets: committed to a group of consumers, and replaced where their records are gone."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

from ..source import BEGIN_FROM, SourceError
from .client import connect
from .merging.numbering import Numbering
from .record_batches import DamagedBatchError

CONNECTING_MS, COMMITTING_MS = 5000, 3000


class GroupOffsets:
    """Commits offsets of topics to a group; nothing here depends on them.

    The last offsets that were set are what counts: what was not committed before is left out.

    Parameters
    ----------
    numbering
        The topics, and the numbers of their partitions.
    settings
        Those of the consumer.
    group
        The group's name.

    Attributes
    ----------
    note
        Why the last commit failed; None where it did not.

    """

    def __init__(self, numbering: Numbering, settings: Mapping[str, Any], group: str) -> None:
        self._numbering = numbering
        self._wanted = numbering.wanted
        self._settings = {**settings, "bootstrap_timeout_ms": CONNECTING_MS}
        self._group = group
        self._due: deque[dict[int, int]] = deque(maxlen=1)
        self._consumer: Any = None
        self.note: str | None = None

    def set(self, offsets: dict[int, int]) -> None:
        """Set the offsets that the next `send` commits, which another thread may call."""
        self._due.append(offsets)

    def send(self) -> None:
        """Commit what is due, and wait for it."""
        if not self._due:
            return
        offsets = self._due.pop()
        try:
            if self._consumer is None:
                self._consumer = connect(
                    KafkaConsumer,
                    self._wanted.servers,
                    self._settings,
                    group_id=self._group,
                    enable_auto_commit=False,
                )
            self._consumer.commit(
                {
                    TopicPartition(*self._numbering.place(number)): OffsetAndMetadata(
                        offset, "", -1
                    )
                    for number, offset in offsets.items()
                },
                timeout_ms=COMMITTING_MS,
            )
            self.note = None
        except (KafkaError, SourceError) as error:
            self.note = (
                f"{self._wanted}: offsets could not be committed to the group {self._group!r}: "
                f"{error}; snapshots do not need them"
            )

    def close(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=1000)


Missing = Literal["earliest", "latest"]
"""Where to go on."""


class TopicGoneError(SourceError):
    """The topic that was read is no longer there: what was read of it cannot be read again."""


class OffsetReset:
    """Chooses where to go on in a partition, if at all.

    Parameters
    ----------
    numbering
        The topics, and the numbers of their partitions.
    policy
        Where to go on; None: nowhere, that is an error.

    Attributes
    ----------
    notes
        What a person should know, by partition; of a topic as a whole by its name.

    """

    def __init__(self, numbering: Numbering, policy: Missing | None) -> None:
        self._numbering = numbering
        self._wanted = numbering.wanted
        self._policy = policy
        self.notes: dict[int | str, str] = {}
        self._damages: dict[int, int] = {}

    def resolve(self, number: int, offset: int, begin: int, end: int) -> int:
        """Return the offset to go on at in a partition that holds others than the one wanted.

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
            f"{self._numbering.described(number)} holds offsets {begin} to {end}, and not "
            f"{offset}, where reading should continue: "
        )
        why = (
            "records have been deleted there (see retention.ms)"
            if offset < begin
            else "the topic was recreated, or its brokers have lost records"
        )
        if self._policy is None:
            raise SourceError(
                f"{lost}{why}. To continue without them give --on-missing-offsets earliest (the "
                "oldest record left) or latest (new records only), or start over with --fresh"
            )
        chosen = begin if self._policy == "earliest" else end
        self.notes[number] = f"{lost}{why}; reading continued at {chosen}"
        return chosen

    def made_anew(
        self, topic: str, ids: tuple[str, str], begins: Mapping[int, int], ends: Mapping[int, int]
    ) -> dict[int, int]:
        """Return the offsets to go on at in a topic that has another id than the one read.

        Parameters
        ----------
        topic
            Its name.
        ids
            The id of the topic that was read, and that of the topic of this name.
        begins, ends
            For each of its partitions the oldest offset, and the one after the newest.

        Raises
        ------
        TopicGoneError
            There is no policy; the message names the remedies.

        """
        told = (
            f"{self._wanted.address(topic)}: the topic was recreated, or belongs to other "
            f"brokers: it has the id {ids[1]}, and the topic that was read had {ids[0]}"
        )
        if self._policy is None:
            raise TopicGoneError(
                f"{told}. To continue with the new one give --on-missing-offsets earliest (from "
                f"its beginning) or latest (new records only), {BEGIN_FROM}"
            )
        where = "from its beginning" if self._policy == "earliest" else "from its end"
        for number in [each for each in self.notes if not isinstance(each, str)]:
            if self._numbering.topic(number) == topic:
                del self.notes[number]
        self.notes[topic] = f"{told}; the new one is read {where}"
        return dict(begins if self._policy == "earliest" else ends)

    def deleted(self, topic: str, *, read: bool, alone: bool = False) -> None:
        """Note that a topic is deleted, and that the others are read on without it.

        Parameters
        ----------
        topic
            Its name.
        read
            Whether all its records are known to be read.
        alone
            Whether there are no others.

        Raises
        ------
        TopicGoneError
            It is alone or was named, or not all of it is known to be read and there is no policy.

        """
        told = f"{self._wanted.address(topic)}: the topic has been deleted"
        if alone or self._wanted.pattern is None:
            raise TopicGoneError(
                f"{told}, or this user may no longer see it; name another one, and start it from "
                "this model with --begin-from SNAPSHOT"
            )
        if not read and self._policy is None:
            raise TopicGoneError(
                f"{told}, and not all its records are known to be read. To read the other topics "
                f"without them give --on-missing-offsets earliest, {BEGIN_FROM}"
            )
        lost = "" if read else ", and not all its records are known to be read"
        self.notes[topic] = f"{told}{lost}; the others are read on"

    def damaged(self, damage: DamagedBatchError, end: int) -> int:
        """Return the offset to go on at in a partition with records that cannot be read.

        Parameters
        ----------
        damage
            Which they are.
        end
            The offset after the partition's newest record.

        Raises
        ------
        SourceError
            There is no policy; the message names the remedies.

        """
        number, after = damage.partition, damage.after(end)
        told = (
            f"{self._numbering.described(number)}: the records from offset {damage.offset} to "
            f"{after - 1} cannot be read, disk or network has damaged them: {damage.why}"
        )
        if self._policy is None:
            raise SourceError(
                f"{told}. All records before them were read. Restore the partition from another "
                "replica, or skip these records with --on-missing-offsets earliest (continue "
                "with the next batch) or latest (new records only)"
            )
        chosen = after if self._policy == "earliest" else max(end, after)
        self._damages[number] = self._damages.get(number, 0) + 1
        times = f" (such place {self._damages[number]:,})" if self._damages[number] > 1 else ""
        self.notes[number] = f"{told}{times}; reading continued at {chosen}"
        return chosen
