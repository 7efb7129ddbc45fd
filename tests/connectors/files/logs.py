"""What the tests read from logs: polls, and what they tell."""

from __future__ import annotations

from collections import Counter

from nextclick.connectors.clicks import Clicks
from nextclick.connectors.files.log import LogSource

HEADER = b"session_id,item_id,timestamp\n"


def read(source: LogSource, limit: int = 128) -> list[Clicks]:
    polls = []
    while (clicks := source.poll(limit)) is not None:
        assert len(clicks) <= limit
        polls.append(clicks)
    source.close()
    return polls


def told(polls: list[Clicks]) -> tuple[object, ...]:
    return (
        [session for clicks in polls for session in clicks.sessions],
        [item for clicks in polls for item in clicks.items],
        [time for clicks in polls for time in clicks.times.tolist()],
        [record for clicks in polls for record in clicks.rejected],
    )


def reasons(polls: list[Clicks]) -> Counter[str]:
    return Counter(record.reason for clicks in polls for record in clicks.rejected)


def counted(polls: list[Clicks]) -> int:
    return sum(len(clicks) + len(clicks.rejected) for clicks in polls)
