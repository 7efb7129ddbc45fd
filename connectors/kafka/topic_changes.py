"""What is done where topics change while they are read: new ones, deleted ones, ones made again."""

from __future__ import annotations

from .merging.numbering import Numbering
from .offsets import OffsetReset
from .read_ahead import ReadAhead
from .record_decoder import TopicDecoders
from .topic_consumer import POLL_MS, TopicConsumer
from .topic_monitor import TopicMonitor


class TopicChanges:
    """Follows the changes of topics, on the thread that reads them.

    Parameters
    ----------
    numbering
        The topics, and the numbers of their partitions.
    consumer
        What reads them.
    watch
        What watches them.
    ahead
        What was read of them.
    decoders
        Make clicks of their records.
    missing
        Chooses where to go on.
    growing
        Whether new partitions and topics are read too.

    Attributes
    ----------
    notes
        What a person should know.

    """

    def __init__(
        self,
        numbering: Numbering,
        consumer: TopicConsumer,
        watch: TopicMonitor,
        ahead: ReadAhead,
        decoders: TopicDecoders,
        missing: OffsetReset,
        *,
        growing: bool,
    ) -> None:
        self._numbering = numbering
        self._consumer = consumer
        self._watch = watch
        self._ahead = ahead
        self._decoders = decoders
        self._missing = missing
        self._growing = growing
        self._deleted: set[str] = set()
        self.notes: list[str] = []

    def remade(self, *, ask: bool = False) -> dict[str, str]:
        """Return the topics that are others than those which are read, of the same names.

        Parameters
        ----------
        ask
            Ask the brokers first.

        Returns
        -------
        dict
            By name the id of the topic that is there now.

        """
        if ask:
            self._watch.ask()
        ahead = self._ahead
        now = self._watch.identities(self._numbering.by_topic(ahead.partitions))
        # Of a topic that is missing for a while nothing is known.
        ahead.identities = {**now, **ahead.identities}
        return {topic: id_ for topic, id_ in now.items() if id_ != ahead.identities[topic]}

    def pending(self) -> bool:
        """Whether topics are to be begun anew: one was made again, or is left out."""
        return bool(self._deleted or self.remade())

    def begin_anew(self) -> None:
        """Read the topics that are there now, once all was given that was read before."""
        ahead = self._ahead
        if not ahead.drain(POLL_MS / 1000):
            return
        remade = self.remade()
        kept = {
            number: max(ahead.read[number], self._consumer.position(number))
            for number in ahead.partitions
            if self._numbering.topic(number) not in remade.keys() | self._deleted
        }
        new = [number for topic in remade for number in self._watch.partitions(topic)]
        begins, ends = self._watch.begins(new), self._watch.ends([*kept, *new])
        chosen = dict(kept)
        for topic, identity in remade.items():
            numbers = self._watch.partitions(topic)
            chosen |= self._missing.made_anew(
                topic,
                (ahead.identities[topic], identity),
                {number: begins[number] for number in numbers},
                {number: ends[number] for number in numbers},
            )
        chosen = dict(sorted(chosen.items()))
        self._consumer.assign(chosen)
        self._decoders.forget({*ahead.partitions, *chosen} - kept.keys())
        targets = {n: ahead.targets.get(n, ends[n]) if n in kept else ends[n] for n in chosen}
        identities = {**ahead.identities, **remade}
        for topic in self._deleted:
            identities.pop(topic, None)
            self._watch.forget(topic)
        with ahead.changed:
            for number, offset in chosen.items():
                self._consumer.seek(number, offset)
            ahead.begin_anew(identities, chosen, targets, kept)
        self._deleted.clear()

    def look(self) -> None:
        """Look where the partitions end, and whether the topics are as they were."""
        ahead = self._ahead
        look = self._watch.look(ahead.partitions)
        if look is not None:
            ahead.note_ends(look.asked, look.ends, self._consumer.position)
        new = self._watch.gained(ahead.partitions)
        self._leave(self._watch.gone())
        if new and self._growing and not self.pending():
            self._gain(new)

    def _leave(self, topics: list[str]) -> None:
        """Note that topics are to be left out, or that there is no going on without them."""
        ahead = self._ahead
        read = self._numbering.by_topic(ahead.partitions)
        for topic in topics:
            self._missing.deleted(
                topic,
                read=all(
                    self._consumer.position(number) >= ahead.ends.last(number)
                    for number in read[topic].values()
                ),
                alone=read.keys() <= {*self._deleted, *topics},
            )
            self._deleted.add(topic)

    def _gain(self, new: list[int]) -> None:
        """Read new partitions and topics too, from their beginning."""
        ahead = self._ahead
        begins = self._watch.begins(new)
        known = self._numbering.by_topic(ahead.partitions)
        self._consumer.assign([*ahead.partitions, *new])
        with ahead.changed:
            for number in new:
                self._consumer.seek(number, begins[number])
            ahead.gain({number: begins[number] for number in new})
        for topic, partitions in self._numbering.by_topic(new).items():
            what = f"the topic has gained partition {', '.join(map(str, partitions))}"
            if topic not in known:
                what = "the topic is new and matches the pattern"
            address = self._numbering.wanted.address(topic)
            self.notes.append(f"{address}: {what}, read from the beginning")
