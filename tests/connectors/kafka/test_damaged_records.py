"""Records that are damaged on a broker's disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from nextclick.connectors.clicks import Position
from nextclick.connectors.source import SourceError
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sources import polls, record, source, take
from tests.segments import Segment

CHECKSUM, DELTA = 20, 23
"""Places in a batch: the last byte of its checksum, the first of its last offset."""


def fill(broker: Broker, topic: str, partitions: int = 1, batches: int = 6, size: int = 10) -> None:
    """Make a topic of batches; partition 0 has every item n for which n % partitions == 0."""
    make_topic(broker.address, topic, partitions)
    for start in range(0, batches * size * partitions, size * partitions):
        numbers = range(start, start + size * partitions)
        # All in one batch: what is sent is flushed, and waits for no more than that.
        send(broker.address, topic, [record(n, n % partitions) for n in numbers], linger_ms=5000)


def read_until_error(opened: Any) -> tuple[list[Any], Position, str]:
    """Poll until an error; return the items, the last position and the message."""
    items: list[Any] = []
    position: Position = {}
    try:
        for clicks in polls(opened, limit=7):
            items += clicks.items
            position = clicks.position
    except SourceError as error:
        return items, position, str(error)
    pytest.fail("there was no error")


@pytest.mark.parametrize("size", [10, 40])
def test_the_good_records_come_first_and_then_an_error_that_tells_the_way_past(
    apache_broker: Broker, topic: str, size: int
) -> None:
    places = {"first": 0, "middle": 3, "last": 5}
    for name in places:
        fill(apache_broker, f"{topic}-{name}", size=size)
    apache_broker.stop()
    for name, batch in places.items():
        segment = Segment(apache_broker, f"{topic}-{name}")
        assert [one.offset for one in segment.batches] == list(range(0, 6 * size, size))
        segment.flip(batch)
    apache_broker.start()
    address = apache_broker.address
    for name, batch in places.items():
        bad = range(batch * size, (batch + 1) * size)
        with closing(source(address, f"{topic}-{name}")) as opened:
            items, position, message = read_until_error(opened)
        assert items == list(range(bad.start))
        assert f"partition 0: the records from offset {bad.start} to {bad[-1]}" in message
        assert "--on-missing-offsets earliest" in message
        assert position.get("partitions", {"0": 0}) == {"0": bad.start}
        good = [n for n in range(6 * size) if n not in bad]
        for policy, rest in (("earliest", good), ("latest", good[: bad.start])):
            with closing(source(address, f"{topic}-{name}", on_missing_offsets=policy)) as opened:
                assert [item for clicks in polls(opened) for item in clicks.items] == rest
                assert any("cannot be read" in warning for warning in opened.warnings)


def test_whoever_is_past_a_damaged_batch_needs_no_option_any_more(
    apache_broker: Broker, topic: str
) -> None:
    fill(apache_broker, topic)
    apache_broker.stop()
    Segment(apache_broker, topic).flip(2)
    apache_broker.start()
    address = apache_broker.address
    with closing(source(address, topic, on_missing_offsets="earliest")) as opened:
        positions = {clicks.position["partitions"]["0"]: clicks for clicks in polls(opened, 5)}
    for after, clicks in positions.items():
        if after >= 35:
            with closing(source(address, topic)) as opened:
                opened.seek(clicks.position)
                assert [i for c in polls(opened) for i in c.items] == list(range(after, 60))


def test_other_partitions_are_read_as_far_as_their_order_reaches(
    apache_broker: Broker, topic: str
) -> None:
    fill(apache_broker, topic, partitions=3)
    apache_broker.stop()
    Segment(apache_broker, topic, 1).flip(2)
    apache_broker.start()
    with closing(source(apache_broker.address, topic, idle=300.0)) as opened:
        items, position, message = read_until_error(opened)
    # Partition 1 holds 1, 4, 7, ...: of it 20 records are good, the last one is 58.
    assert items == list(range(59))
    assert "partition 1: the records from offset 20 to 29" in message
    assert position["partitions"] == {"0": 20, "1": 20, "2": 19}
    policy: dict[str, Any] = {"on_missing_offsets": "earliest"}
    with closing(source(apache_broker.address, topic, **policy)) as opened:
        opened.seek(position)
        rest = [item for clicks in polls(opened) for item in clicks.items]
    gone = {3 * offset + 1 for offset in range(20, 30)}
    assert rest == [item for item in range(59, 180) if item not in gone]


def test_a_batch_that_does_not_know_its_own_length_is_passed_all_the_same(
    make_broker: Callable[..., Broker], topic: str
) -> None:
    broker = make_broker()
    fill(broker, topic)
    # The broker reads such a file as long as it runs, and does not start with it.
    Segment(broker, topic).flip(5, DELTA)
    address = broker.address
    with closing(source(address, topic, on_missing_offsets="earliest", until_end=False)) as opened:
        assert take(opened, 50) == list(range(50))
        send(address, topic, [record(60)])
        assert take(opened, 1) == [60]


def test_what_a_broker_has_lost_is_gone_and_the_rest_is_read(
    apache_broker: Broker, topic: str
) -> None:
    """A file that was cut off: the broker leaves out what is not whole, and counts on."""
    fill(apache_broker, topic)
    apache_broker.stop()
    Segment(apache_broker, topic).cut(3)
    apache_broker.start()
    with closing(source(apache_broker.address, topic)) as opened:
        assert [item for clicks in polls(opened) for item in clicks.items] == list(range(30))
    with closing(source(apache_broker.address, topic, until_end=False)) as opened:
        opened.seek({"topic": topic, "partitions": {"0": 60}})
        with pytest.raises(SourceError, match=r"offsets 0 to 30, and not 60.*--on-missing"):
            take(opened, 1)
