from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.kafka.access.settings import KafkaAddress
from nextclick.connectors.kafka.source import KafkaSource
from nextclick.connectors.recorder import Recorded, RecordError
from nextclick.connectors.submitted_clicks import ClickError
from nextclick.connectors.topic_recorder import TopicRecorder
from tests.brokers import Broker, make_topic
from tests.topics import read_topic

WAIT = 120.0


@contextmanager
def recording(broker: Broker, topic: str, **options: Any) -> Iterator[TopicRecorder]:
    address = KafkaAddress([broker.address], topic)
    form = options.pop("form", LogFormat())
    with closing(
        TopicRecorder(address, {}, form, transactional_id=f"{topic}-posted", **options)
    ) as recorder:
        yield recorder


def record(recorder: TopicRecorder, *items: Any, session: Any = "anna", **more: Any) -> Recorded:
    body = [{"session_id": session, "item_id": item, **more} for item in items]
    read = recorder.form.read(json.dumps(body).encode(), now=50.0)
    return recorder.record(read).result(WAIT)


def items(broker: Broker, topic: str) -> list[Any]:
    return [json.loads(record.value)["item_id"] for record in read_topic(broker.address, topic)]


def test_clicks_are_in_the_topic_when_they_are_confirmed_a_session_in_one_partition(
    full_broker: Broker, topic: str
) -> None:
    make_topic(full_broker.address, topic, partitions=3)
    with recording(full_broker, topic) as recorder:
        for session in range(9):
            assert record(recorder, session, session + 10, session=session) == Recorded(2, 0)
        records = read_topic(full_broker.address, topic)
    assert len(records) == 18
    partitions: dict[bytes, set[int]] = {}
    for each in records:
        partitions.setdefault(each.key, set()).add(each.partition)
        assert json.loads(each.value)["timestamp"] == 50.0
    assert {len(found) for found in partitions.values()} == {1}
    assert len(set.union(*partitions.values())) > 1
    assert set(partitions) == {str(session).encode() for session in range(9)}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_source_reads_what_was_recorded(
    full_broker: Broker, topic: str, elsewhere: bool
) -> None:
    make_topic(full_broker.address, topic)
    form = LogFormat(session="visitor", item="sku", time="at", unit="ms")
    options: dict[str, Any] = {"time_from": "record"} if elsewhere else {}
    with recording(full_broker, topic, form=form, **options) as recorder:
        body = b'{"visitor": "anna", "sku": 3, "at": 7000}'
        recorder.record(recorder.form.read(body, now=50.0)).result(WAIT)
    if elsewhere:
        options["session_from"] = "key"
    address = KafkaAddress([full_broker.address], topic)
    with closing(KafkaSource(address, form, until_end=True, **options)) as source:
        clicks = source.poll(9, WAIT)
        assert clicks is not None
        assert (clicks.sessions, clicks.items, clicks.times.tolist()) == (["anna"], [3], [7.0])


def test_what_a_topic_cannot_hold_is_refused(full_broker: Broker, topic: str) -> None:
    make_topic(full_broker.address, topic)
    with recording(full_broker, topic, time_from="record") as recorder:
        with pytest.raises(ClickError, match="1,046,528 are allowed"):
            record(recorder, 1, text="x" * (1 << 20))
        with pytest.raises(ClickError, match="before 1970"):
            record(recorder, 1, timestamp=-5)
        record(recorder, 2)
    assert items(full_broker, topic) == [2]


def test_while_brokers_are_away_nothing_is_recorded_and_then_it_goes_on(
    apache_broker: Broker, topic: str
) -> None:
    make_topic(apache_broker.address, topic)
    with recording(apache_broker, topic) as recorder:
        record(recorder, 1)
        apache_broker.pause()
        began = time.monotonic()
        with pytest.raises(RecordError, match="none of these clicks was recorded"):
            record(recorder, 2, 3)
        assert time.monotonic() - began < WAIT
        apache_broker.resume()
        deadline = time.monotonic() + WAIT
        while True:
            try:
                record(recorder, 4)
                break
            except RecordError:
                assert time.monotonic() < deadline
    assert items(apache_broker, topic) == [1, 4]


def test_a_topic_that_is_not_there_is_told(full_broker: Broker, topic: str) -> None:
    with (
        recording(full_broker, topic) as recorder,
        pytest.raises(RecordError, match=r"no such topic.*None of these clicks was recorded"),
    ):
        record(recorder, 1)
