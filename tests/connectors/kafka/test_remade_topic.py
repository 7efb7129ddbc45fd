"""A topic that was deleted and made again, and one whose brokers return no ids."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import pytest
from kafka.errors import TopicAlreadyExistsError

from nextclick.connectors.clicks import Position
from nextclick.connectors.source import SourceError
from tests.brokers import Broker, admin_client, make_topic, send
from tests.connectors.kafka.sources import polls, record, source, take, until


def make_anew(address: str, topic: str, partitions: int = 1, count: int = 60) -> None:
    """Delete a topic and make one of its name, of the items from 100 on."""
    with closing(admin_client(address)) as admin:
        admin.delete_topics([topic])

    def made() -> bool:
        # Deleting goes on behind the answer; a new one of the name is refused so long.
        try:
            make_topic(address, topic, partitions)
        except TopicAlreadyExistsError:
            return False
        return True

    until(made, "the topic cannot be recreated")
    send(address, topic, [record(100 + n, n % partitions) for n in range(count)])


def fill(address: str, topic: str, partitions: int = 2) -> Position:
    """Make a topic of 20 items, and return the position after them."""
    make_topic(address, topic, partitions)
    send(address, topic, [record(n, n % partitions) for n in range(20)])
    with closing(source(address, topic)) as opened:
        return list(polls(opened))[-1].position


def settled(opened: Any) -> Position:
    """Poll until everything was given; return the position."""
    for _ in range(10):
        clicks = opened.poll(1, 0.1)
        assert clicks is not None
        assert len(clicks) == 0
    position: Position = clicks.position
    return position


@pytest.mark.parametrize("partitions", [1, 2, 3])
def test_a_longer_topic_made_anew_since_the_snapshot_is_told(
    full_broker: Broker, topic: str, partitions: int
) -> None:
    address = full_broker.address
    before = fill(address, topic)
    make_anew(address, topic, partitions)
    with (
        closing(source(address, topic)) as opened,
        pytest.raises(SourceError, match=r"recreated.*--on-missing-offsets.*--begin-from"),
    ):
        opened.seek(before)
    with closing(source(address, topic, on_missing_offsets="earliest")) as opened:
        opened.seek(before)
        opened.commit(before)
        batches = list(polls(opened))
        assert [item for clicks in batches for item in clicks.items] == list(range(100, 160))
        assert any("recreated" in warning for warning in opened.warnings)
        after = batches[-1].position
        assert after["id"] != before["id"]
        assert sum(after["partitions"].values()) == 60
    with closing(source(address, topic, on_missing_offsets="latest")) as opened:
        opened.seek(before)
        assert [item for clicks in polls(opened) for item in clicks.items] == []
    # Who went on is in the new topic, and is asked nothing more.
    with closing(source(address, topic)) as opened:
        opened.seek(after)
        assert list(polls(opened)) == []


def test_an_older_position_without_an_id_goes_on_by_its_offsets(
    full_broker: Broker, topic: str
) -> None:
    position = fill(full_broker.address, topic)
    send(full_broker.address, topic, [record(20)])
    with closing(source(full_broker.address, topic)) as opened:
        opened.seek({"topic": topic, "partitions": position["partitions"]})
        assert [item for clicks in polls(opened) for item in clicks.items] == [20]


def test_a_topic_made_anew_while_it_is_read_is_read_from_its_beginning(
    full_broker: Broker, topic: str
) -> None:
    address = full_broker.address
    fill(address, topic)
    live: dict[str, Any] = {"until_end": False, "idle": 0.1, "on_missing_offsets": "earliest"}
    with closing(source(address, topic, **live)) as opened:
        # Half of it is given later: what was read of the old topic is not lost.
        assert take(opened, 10) == list(range(10))
        clicks = opened.poll(1, 0)
        assert clicks is not None
        first = clicks.position["id"]
        time.sleep(1)
        make_anew(address, topic, partitions=3)
        assert take(opened, 9 - len(clicks) + 1) == list(range(10 + len(clicks), 20))
        assert sorted(take(opened, 60)) == list(range(100, 160))
        position = settled(opened)
        assert position["id"] != first
        assert position["partitions"] == {"0": 20, "1": 20, "2": 20}
        (note,) = opened.warnings
        assert "recreated" in note


def test_a_topic_made_anew_while_it_is_read_is_an_error_after_all_of_the_old_was_given(
    full_broker: Broker, topic: str
) -> None:
    address = full_broker.address
    fill(address, topic)
    with closing(source(address, topic, until_end=False, idle=0.1)) as opened:
        assert take(opened, 10) == list(range(10))
        time.sleep(1)
        make_anew(address, topic)
        assert take(opened, 10) == list(range(10, 20))
        with pytest.raises(SourceError, match=r"recreated.*--on-missing-offsets"):
            take(opened, 1)


def test_of_a_topic_made_anew_only_what_comes_is_read_where_that_is_asked_for(
    full_broker: Broker, topic: str
) -> None:
    address = full_broker.address
    fill(address, topic)
    live: dict[str, Any] = {"until_end": False, "idle": 0.1, "on_missing_offsets": "latest"}
    with closing(source(address, topic, **live)) as opened:
        assert take(opened, 20)
        make_anew(address, topic)
        until(
            lambda: opened.poll(64, 0.1) is not None and bool(opened.warnings), "it is not noticed"
        )
        settled(opened)
        send(address, topic, [record(500)])
        assert take(opened, 1) == [500]


def test_brokers_that_hang_while_a_topic_made_anew_is_begun_are_waited_for(
    apache_broker: Broker, topic: str
) -> None:
    address = apache_broker.address
    fill(address, topic)
    live: dict[str, Any] = {
        "until_end": False,
        "idle": 0.1,
        "on_missing_offsets": "earliest",
        "settings": {"request_timeout_ms": 1000, "metadata_max_age_ms": 200},
    }
    with closing(source(address, topic, **live)) as opened:
        assert take(opened, 10) == list(range(10))
        make_anew(address, topic)
        # The old topic is to be given before the new one is begun, and then nobody answers.
        until(lambda: opened._reader.ahead.draining, "the new topic is not found")
        apache_broker.pause()
        assert take(opened, 10) == list(range(10, 20))
        until(lambda: any("waiting for the brokers" in one for one in poll(opened)), "not told")
        apache_broker.resume()
        assert take(opened, 60) == list(range(100, 160))
        assert any("the brokers were unavailable once" in one for one in poll(opened))


def poll(opened: Any) -> list[str]:
    """Poll a source that has no clicks; return its warnings."""
    clicks = opened.poll(1, 0.1)
    assert clicks is not None
    assert len(clicks) == 0
    warnings: list[str] = opened.warnings
    return warnings
