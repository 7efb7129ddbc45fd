"""One number for each partition of several topics."""

from __future__ import annotations

from collections.abc import Iterable

from ..access.subscription import Subscription

SPAN = 1 << 31
"""Numbers of a topic: a topic of Kafka has no more partitions."""


class Numbering:
    """Numbers partitions by topic, in the order in which topics were taken up.

    Clicks of the same time are ordered by these numbers, so a run that resumes has to take up its
    topics in the same order. The partitions of the first topic have their own numbers.

    Parameters
    ----------
    wanted
        The topics that a source reads.

    Attributes
    ----------
    wanted
        As given.
    topics
        Those taken up, in order.

    Examples
    --------
    >>> numbering = Numbering(Subscription(["localhost:9092"], ["clicks", "views"]))
    >>> numbering.number("clicks", 3), numbering.place(numbering.number("views", 3))
    (3, ('views', 3))

    """

    def __init__(self, wanted: Subscription) -> None:
        self.wanted = wanted
        self.topics: list[str] = []
        self._first: dict[str, int] = {}
        for topic in wanted.topics:
            self.number(topic, 0)

    def number(self, topic: str, partition: int) -> int:
        """Return the number of a topic's partition; a topic that is new is taken up."""
        first = self._first.get(topic)
        if first is None:
            first = self._first[topic] = len(self.topics) * SPAN
            self.topics.append(topic)
        return first + partition

    def place(self, number: int) -> tuple[str, int]:
        """Return the topic and the partition of a number."""
        return self.topics[number // SPAN], number % SPAN

    def topic(self, number: int) -> str:
        """Return the topic of a number."""
        return self.topics[number // SPAN]

    def described(self, number: int) -> str:
        """Return the address of a number's topic, and its partition, as messages name them."""
        topic, partition = self.place(number)
        return f"{self.wanted.address(topic)}: partition {partition}"

    def listed(self, number: int) -> str:
        """Return a partition as a list of several names it: with its topic where there are more."""
        topic, partition = self.place(number)
        return f"{partition}" if self.wanted.one is not None else f"{partition} of {topic}"

    def reorder(self, topics: Iterable[str]) -> dict[int, int]:
        """Put topics before the others, in this order; return a topic's first number by the old."""
        before = self._first
        self.topics = list(dict.fromkeys([*topics, *self.topics]))
        self._first = {topic: at * SPAN for at, topic in enumerate(self.topics)}
        return {first: self._first[topic] for topic, first in before.items()}

    def by_topic(self, numbers: Iterable[int]) -> dict[str, dict[int, int]]:
        """Return, by topic and partition, each of these numbers; topics in their order."""
        found: dict[str, dict[int, int]] = {}
        for number in sorted(numbers):
            topic, partition = self.place(number)
            found.setdefault(topic, {})[partition] = number
        return found
