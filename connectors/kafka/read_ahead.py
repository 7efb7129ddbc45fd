"""What was read ahead of topics: shared by the thread that reads and who takes from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

import numpy as np

from ..source import SourceError
from .lag import Ends
from .merging.duplicates import DuplicateFilter
from .merging.merge import Merge
from .merging.partition_queue import Run

BUFFERED = 64_000
"""Records that wait to be given, of all partitions together; of each at least 1,000."""

BUFFERED_BYTES = 64 << 20
"""Bytes that these records hold, of all partitions together."""

STALL = 30.0
"""Seconds for which a live topic waits for a partition that does not return its records."""


class ReadAhead:
    """The records of topics that wait to be given, and how far each partition was read.

    The thread that reads calls the methods, which take the lock themselves; who takes from the
    merge holds it and looks at the attributes.

    Parameters
    ----------
    idle
        Seconds that a click of a live topic waits for earlier ones of other partitions.
    until_end
        End where the partitions ended when reading began.

    Attributes
    ----------
    changed
        The lock on all that is shared; it is notified of changes.
    partitions
        Those that are read.
    merge
        Where the records go.
    first
        For each partition the offset at which it was begun.
    read
        For each partition the offset after all that is in the merge, and after what is never
        given: transaction markers, aborted records.
    targets
        For each partition where it ended at the start: taken out once all before that is here,
        kept where reading ends there.
    ends
        Where each partition ended, and when it was first seen to.
    anew
        Partitions that were made again: the offsets given so far are those of the old ones. Only
        where the brokers give topics no ids; else see `generation`.
    identities
        The ids of the topics that are read, where the brokers give any.
    generation
        How often a topic was made again or left out since reading began: what is in the merge, and
        all offsets here, are of the topics since then.
    draining, drained
        Whether a topic was found to be made again or deleted, and what was read before is still to
        be given; whether it has been, which the reader of the merge sets.
    error
        Why the thread has ended, where it could not go on.
    damaged
        For each partition that cannot be read on why; the others are read all the same, since
        what was read of this one may have to wait for them.
    doubles
        Records that were left out because a broker had taken them twice.

    """

    def __init__(self, idle: float, until_end: bool) -> None:
        self._idle = idle
        self._until_end = until_end
        self.changed = threading.Condition()
        self.partitions: list[int] = []
        self.merge = self._merge()
        self.first: dict[int, int] = {}
        self.read: dict[int, int] = {}
        self.targets: dict[int, int] = {}
        self.ends = Ends()
        self.anew: set[int] = set()
        self.identities: dict[str, str] = {}
        self.generation = 0
        self.draining = self.drained = False
        self.damaged: dict[int, SourceError] = {}
        self.error: SourceError | None = None
        self.doubles = 0
        self._seen: dict[int, DuplicateFilter] = {}

    def open(self, number: int, offset: int, *, live: bool = False) -> None:
        """Begin a partition at an offset; with the lock, or before the thread has begun."""
        self._seen[number] = DuplicateFilter()
        self.first[number] = self.read[number] = offset
        self.merge.begin(number, time.monotonic(), live=live)

    def end_of(self, number: int) -> float:
        """Return the offset up to which a partition is read at most."""
        return self.targets[number] if self._until_end else np.inf

    def full(self) -> set[int]:
        """Return the partitions of which enough waits, and those that cannot be read on."""
        room = max(1000, BUFFERED // len(self.partitions))
        bytes_room = BUFFERED_BYTES // len(self.partitions)
        with self.changed:
            full = {
                n
                for n in self.partitions
                if self.merge.waiting(n) >= room or self.merge.size(n) >= bytes_room
            }
            return full | self.damaged.keys()

    def recall(self, run: Run) -> None:
        """Remember records before those to be given, to know their doubles."""
        self._seen[run.partition].without(run)

    def add(self, run: Run, came: float) -> None:
        """Put records that have come by now into the merge, each once."""
        run, doubles = self._seen[run.partition].without(run)
        with self.changed:
            self.doubles += doubles
            self.merge.add(run, came)
            self.changed.notify_all()

    def reached(self, number: int) -> None:
        """Note that all is here that lay in a partition at the start."""
        with self.changed:
            if self._until_end:
                self.merge.end(number)
            else:
                del self.targets[number]
                self.merge.live(number, time.monotonic())
            self.changed.notify_all()

    def note_ends(self, asked: float, ends: dict[int, int], position: Callable[[int], int]) -> None:
        """Note where partitions ended when they were asked, and how far they are read.

        Parameters
        ----------
        asked
            When the brokers were asked.
        ends
            For each partition its end.
        position
            Returns a partition's offset to be fetched next.

        """
        with self.changed:
            self.ends.note(ends, asked)
            for number in ends:
                # What is past the end to be read up to has been fetched, and is not given.
                offset = int(min(position(number), self.end_of(number)))
                if offset > self.read[number]:
                    self.read[number] = offset
                    self.merge.progress(number, asked)

    def move(self, number: int, offset: int, chosen: int) -> None:
        """Go on in a partition at another offset than the one wanted, which is not there."""
        with self.changed:
            self.first[number] = min(self.first[number], chosen)
            if not self._until_end and number in self.targets:
                self.reached(number)
            if chosen < offset:
                # The topic was made anew: what is known of the old one's offsets is void.
                self.read[number] = chosen
                self.ends.forget(number)
                self._seen[number] = DuplicateFilter()
                self.anew.add(number)

    def skip(self, number: int, chosen: int) -> None:
        """Go on in a partition after records that cannot be read."""
        with self.changed:
            self.read[number] = int(min(chosen, self.end_of(number)))

    def stop(self, number: int, error: SourceError) -> None:
        """Note why a partition cannot be read on."""
        with self.changed:
            self.damaged[number] = error
            self.merge.stop(number)
            self.changed.notify_all()

    def gain(self, begins: Mapping[int, int]) -> None:
        """Begin new partitions, each at its offset."""
        with self.changed:
            for number, offset in begins.items():
                self.open(number, offset, live=True)
            self.partitions = [*self.partitions, *begins]
            self.changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """End what was read of a topic that was made again; wait until all of it was given.

        Returns
        -------
        bool
            Whether it was, before these seconds.

        """
        with self.changed:
            if not self.draining:
                self.end_all()
                self.draining = True
            if not self.drained:
                self.changed.wait(seconds)
                return False
            return True

    def begin_anew(
        self,
        identities: Mapping[str, str],
        begins: Mapping[int, int],
        targets: Mapping[int, int],
        kept: Collection[int],
    ) -> None:
        """Begin topics anew, of which one has come in the place of another or is left out.

        Parameters
        ----------
        identities
            Their ids.
        begins
            For each of their partitions, in their order, the offset to begin at.
        targets
            For each the end of what lies in it now.
        kept
            The partitions that are read on where they were.

        """
        with self.changed:
            self.partitions = list(begins)
            self.targets = dict(targets)
            self.merge = self._merge()
            self.damaged = {n: error for n, error in self.damaged.items() if n in kept}
            self.anew.clear()
            self.ends = Ends()
            self.first.clear()
            self.read.clear()
            for number, offset in begins.items():
                seen = self._seen.get(number)
                self.open(number, offset)
                if seen is not None and number in kept:
                    self._seen[number] = seen
            for number in self.damaged:
                self.merge.stop(number)
            self.identities = dict(identities)
            self.generation += 1
            self.draining = self.drained = False
            self.changed.notify_all()

    def end_all(self) -> None:
        """End every partition, so that all that waits is given."""
        with self.changed:
            for number in self.partitions:
                self.merge.end(number)
            self.changed.notify_all()

    def fail(self, error: SourceError) -> None:
        """Note why reading has ended."""
        with self.changed:
            self.error = error
            self.changed.notify_all()

    def _merge(self) -> Merge:
        return Merge(self._idle, np.inf if self._until_end else STALL)
