"""Which topics a source reads: some by name, or all whose names match a pattern."""

from __future__ import annotations

import re
from typing import NamedTuple

from ...option_checks import check_type
from ...source import SourceError
from .settings import KafkaAddress, split_address


class _Subscription(NamedTuple):
    servers: list[str]
    topics: list[str]
    pattern: str | None


class Subscription(_Subscription):
    """The topics that a source reads, and the brokers to ask for them.

    Parameters
    ----------
    servers
        Where brokers listen, each ``host:port``.
    topics
        The topics' names, in any order; [] with a pattern.
    pattern
        A regular expression that begins with ``^``: topics are read whose names it matches from
        the beginning, now and later.

    Raises
    ------
    SourceError
        They cannot be such.

    Examples
    --------
    >>> shop = Subscription(["localhost:9092"], ["views", "clicks"])
    >>> str(shop), shop.matches("views")
    ('kafka://localhost:9092/clicks,views', True)

    """

    __slots__ = ()

    def __new__(
        cls, servers: list[str], topics: list[str], pattern: str | None = None
    ) -> Subscription:
        """Check all three."""
        topics = check_type("Subscription", "topics", topics, list[str])
        pattern = check_type("Subscription", "pattern", pattern, str | None)
        made = super().__new__(cls, servers, sorted(topics), pattern)
        if bool(topics) == (pattern is not None):
            raise SourceError("Subscription: give topics or a pattern")
        # With a name in the pattern's place, the brokers are checked too.
        for topic in topics or ["pattern"]:
            KafkaAddress(servers, topic)
        for topic in topics:
            if topics.count(topic) > 1:
                raise SourceError(f"{made}: the topic {topic!r} is named twice")
        if pattern is not None:
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                raise SourceError(
                    f"{made}: {pattern!r} is not a regular expression: {error}"
                ) from error
        return made

    def __str__(self) -> str:
        """Return the address as it is typed."""
        return f"kafka://{','.join(self.servers)}/{self.named}"

    @property
    def named(self) -> str:
        """The topics as they are typed."""
        return ",".join(self.topics) if self.pattern is None else self.pattern

    @property
    def one(self) -> str | None:
        """The topic, where one is named; else None."""
        return self.topics[0] if len(self.topics) == 1 else None

    def matches(self, topic: str) -> bool:
        """Whether a topic is one of these."""
        if self.pattern is None:
            return topic in self.topics
        return re.match(self.pattern, topic) is not None

    def address(self, topic: str) -> str:
        """Return the address of one of the topics."""
        return f"kafka://{','.join(self.servers)}/{topic}"


def parse_subscription(spec: str) -> Subscription:
    """Read an address of topics: ``kafka://host:port/clicks,views`` or ``kafka://host/^clicks-.*``.

    Raises
    ------
    SourceError
        It is no such address.

    Examples
    --------
    >>> parse_subscription("kafka://localhost/views,clicks").topics
    ['clicks', 'views']
    >>> parse_subscription("kafka://localhost/^clicks-.*").pattern
    '^clicks-.*'

    """
    servers, topics = split_address(spec)
    if topics.startswith("^"):
        return Subscription(servers, [], topics)
    names = topics.split(",")
    for name in names:
        if name.startswith("^"):
            raise SourceError(
                f"{spec}: names and patterns do not mix: write one pattern, such as "
                "^(clicks|views-.*)$"
            )
    return Subscription(servers, names)
