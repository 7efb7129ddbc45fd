"""kafka-python's private members are gone: topics are read and written all the same."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest

from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.kafka import kafka_internals, read_ahead
from nextclick.connectors.kafka.access.settings import parse_address
from nextclick.connectors.kafka.producer import Producer
from nextclick.connectors.kafka.source import KafkaSource
from tests.brokers import Broker, make_topic, send
from tests.topics import read_topic

ALL = {
    *kafka_internals.FETCHED,
    *kafka_internals.BATCH,
    "_fetcher",
    "PartitionRecords",
    "_next_partition_records",
    "_paused_partition_records",
    "send",
    "await_ready",
    "_connect",
    "config",
    "cluster",
    "topic_id",
    "_transaction_manager",
    "_sender",
    "send_offsets_to_transaction",
    "begin_commit",
    "force_close",
    "_closed",
}
"""Every member that is asked for."""

HIDDEN = [
    ALL,
    {"_fetcher"},
    {"_is_batch_aborted"},
    set(kafka_internals.BATCH),
    {"_paused_partition_records"},
    {"_connect"},
    {"cluster"},
]


def hide(patch: pytest.MonkeyPatch, hidden: set[str]) -> None:
    present = kafka_internals.has
    patch.setattr(
        kafka_internals,
        "has",
        lambda owner, *names: hidden.isdisjoint(names) and present(owner, *names),
    )


def read(address: str, topic: str) -> list[Any]:
    form = LogFormat(session="s", item="i", time="t")
    opened = KafkaSource(parse_address(f"kafka://{address}/{topic}"), form, until_end=True)
    items: list[Any] = []
    with closing(opened) as source:
        while (clicks := source.poll(64, 0.5)) is not None:
            items += clicks.items
    return items


@pytest.mark.parametrize("hidden", HIDDEN, ids=["all", *map(min, HIDDEN[1:])])
def test_a_topic_is_read_without_them(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch, hidden: set[str]
) -> None:
    make_topic(broker.address, topic, 2)
    # So many that a partition is paused, whose records kafka-python has fetched already.
    records = [
        {
            "value": json.dumps({"s": f"s{n % 7}", "i": n, "t": float(n)}).encode(),
            "partition": n % 2,
        }
        for n in range(6000)
    ]
    send(broker.address, topic, records)
    monkeypatch.setattr(read_ahead, "BUFFERED", 2000)
    hide(monkeypatch, hidden)
    assert read(broker.address, topic) == list(range(6000))


def test_a_transaction_is_committed_without_them(
    full_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(full_broker.address, topic, 1)
    hide(monkeypatch, ALL)
    address = parse_address(f"kafka://{full_broker.address}/{topic}")
    with closing(Producer(address, {}, transactional_id=f"id-{topic}")) as producer:
        producer.begin()
        producer.send(b"one", partition=0)
        producer.send(b"two", partition=0)
        assert producer.commit(f"group-{topic}", 2)
    assert [record.value for record in read_topic(full_broker.address, topic)] == [b"one", b"two"]


def test_a_topic_is_read_where_whole_modules_are_gone(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 1)
    values = [json.dumps({"s": "anna", "i": n, "t": float(n)}).encode() for n in range(50)]
    send(broker.address, topic, [{"value": value, "partition": 0} for value in values])
    script = f"""
import sys
import kafka
# kafka-python has loaded them for itself; nobody else finds them.
for gone in ("kafka.future", "kafka.net.compat", "kafka.net.manager", "kafka.net.selector",
             "kafka.consumer.fetcher"):
    sys.modules[gone] = None
from nextclick.connectors import log_format, open_source
form = log_format(session_column="s", item_column="i", time_column="t")
source = open_source("kafka://{broker.address}/{topic}", form, until_end=True)
items = []
while (clicks := source.poll(64, 0.5)) is not None:
    items += clicks.items
source.close()
print(items)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == f"{list(range(50))}\n", done.stderr
