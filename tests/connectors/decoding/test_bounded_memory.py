"""What waits is bounded in bytes, however large the records are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors.clicks import Clicks, Rejected
from nextclick.connectors.decoding import blocks
from nextclick.connectors.decoding.blocks import LONGEST_DETAIL, Decoded, PollBuffer
from nextclick.connectors.decoding.json_lines import JsonLinesDecoder
from nextclick.connectors.decoding.lines import LineCutter
from nextclick.connectors.decoding.log_format import LogFormat, log_format
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.kafka import (
    kafka_internals,
    read_ahead,
    record_batches,
    topic_consumer,
)
from nextclick.connectors.kafka.access.settings import parse_address
from nextclick.connectors.kafka.source import KafkaSource
from nextclick.connectors.source import Source, SourceError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.endpoints import open_configured_source
from tests.brokers import Broker, make_topic, send

PATIENCE = 120.0
LARGE = 57_000


def large(number: int) -> bytes:
    """Write a record with a wrong field name."""
    fields = {"sess": "anna", "item_id": number, "timestamp": number, "more": "x" * LARGE}
    return json.dumps(fields).encode()


def topic_source(broker: Broker, topic: str, keep_raw: bool) -> KafkaSource:
    form = LogFormat(keep_raw=keep_raw)
    return KafkaSource(parse_address(f"kafka://{broker.address}/{topic}"), form, until_end=True)


def publish(broker: Broker, topic: str, count: int, partitions: int) -> None:
    make_topic(broker.address, topic, partitions)
    records = [{"value": large(n), "partition": n % partitions} for n in range(count)]
    send(broker.address, topic, records, compression_type="zstd")


def rejected_of(source: Source) -> list[Rejected]:
    deadline = time.monotonic() + PATIENCE
    rejected: list[Rejected] = []
    while (clicks := source.poll(64, 0.5)) is not None:
        assert time.monotonic() < deadline, "the source does not end"
        rejected += clicks.rejected
    return rejected


@pytest.mark.parametrize("partitions", [1, 3])
def test_what_waits_of_a_topic_is_bounded_in_bytes(
    broker: Broker, topic: str, partitions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound, polled, count = 6 << 20, 1 << 20, 900
    monkeypatch.setattr(read_ahead, "BUFFERED_BYTES", bound)
    monkeypatch.setattr(record_batches, "POLLED_BYTES", polled)
    monkeypatch.setattr(topic_consumer, "FIRST_POLL", 10)
    publish(broker, topic, count, partitions)
    with closing(topic_source(broker, topic, keep_raw=True)) as source:
        source.seek({"kind": "topic", "topic": topic, "partitions": {}})
        reader = source._reader
        most, still_since, deadline = 0, time.monotonic(), time.monotonic() + PATIENCE
        # Until nothing more has come for a while: enough waits.
        while most <= bound / 2 or time.monotonic() - still_since < 2:
            assert time.monotonic() < deadline, f"only {most:,} bytes have come"
            with reader.ahead.changed:
                size = sum(map(reader.ahead.merge.size, range(partitions)))
            if size > most:
                most, still_since = size, time.monotonic()
            time.sleep(0.01)
        assert most <= bound + partitions * 2 * polled
        rejected = rejected_of(source)
    assert len(rejected) == count
    assert {record.reason for record in rejected} == {"no_session"}
    assert {len(record.raw or b"") for record in rejected} == {len(large(n)) for n in range(count)}


def test_bytes_that_nobody_asked_for_are_not_kept(broker: Broker, topic: str) -> None:
    publish(broker, topic, 100, 1)
    with closing(topic_source(broker, topic, keep_raw=False)) as source:
        rejected = rejected_of(source)
    assert len(rejected) == 100
    assert {(record.raw, record.key, record.cut_from) for record in rejected} == {(None,) * 3}
    assert rejected[7].position == {"topic": topic, "partition": 0, "offset": 7}
    assert "there is no 'session_id'" in rejected[7].detail


def test_a_poll_asks_for_fewer_records_the_larger_they_are() -> None:
    class Record:
        key = b"k"

        def __init__(self, size: int) -> None:
            self.value: bytes | None = b"x" * size if size else None

    for size, expected in ((100, 8000), (0, 8000), (LARGE, 294), (17 << 20, 1)):
        most = record_batches.poll_size([[Record(size)] * 40], 8000)
        assert abs(most - expected) <= 1


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_batch_that_blows_up_ends_with_a_sentence_and_not_with_the_memory(
    broker: Broker, topic: str, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_internals, "MOST_BYTES", 1 << 20)
    make_topic(broker.address, topic, 1)
    click = b'{"session_id":"a","item_id":1,"timestamp":1}'
    send(broker.address, topic, [{"value": click}])
    bomb = {"value": b" " * (3 << 20)}
    send(broker.address, topic, [bomb], compression_type=codec, max_request_size=8 << 20)
    message = r"from offset 1 to 1 .*1 MiB.*before offset 2"
    with (
        closing(topic_source(broker, topic, keep_raw=True)) as source,
        pytest.raises(SourceError, match=message),
    ):
        rejected_of(source)


def test_large_batches_are_read_one_record_at_a_time(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_internals, "LARGE", 1 << 18)
    publish(broker, topic, 60, 1)
    with closing(topic_source(broker, topic, keep_raw=True)) as source:
        rejected = rejected_of(source)
    assert [record.raw for record in rejected] == [large(number) for number in range(60)]


def test_a_poll_holds_a_bounded_number_of_bytes_of_rejected_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "MOST_BYTES", 1000)
    rejected = [Rejected("bad_json", "", {}, b"x" * 300) for _ in range(20)]
    # A click stands between any two of them.
    block = Decoded(["a"] * 20, list(range(20)), np.arange(20.0), rejected, np.arange(20) + 1)
    polls = []
    while not block.exhausted:
        gathering = PollBuffer(1_000_000)
        gathering.take(block)
        polls.append(gathering.clicks({}))
    assert [len(clicks.rejected) for clicks in polls] == [4, 4, 4, 4, 4, 0]
    assert [item for clicks in polls for item in clicks.items] == list(range(20))


def logs(folder: Path) -> list[Path]:
    lines = b"".join(large(n) + b"\n" for n in range(50))
    (folder / "clicks.jsonl").write_bytes(lines)
    (folder / "clicks.csv").write_bytes(
        b"session_id,item_id,timestamp,more\n"
        + b"".join(b",i,%d,%s\n" % (n, b"x" * LARGE) for n in range(50))
    )
    columns: dict[str, Any] = {
        "session_id": [None] * 50,
        "item_id": ["x" * LARGE] * 50,
        "timestamp": list(range(50)),
    }
    columns["session_id"] = pa.array(columns["session_id"], pa.string())
    pyarrow.parquet.write_table(pa.table(columns), folder / "clicks.parquet")
    return [folder / name for name in ("clicks.jsonl", "clicks.csv", "clicks.parquet")]


@pytest.mark.parametrize("sort", [False, True])
def test_a_log_keeps_the_bytes_for_dead_letters_only(tmp_path: Path, sort: bool) -> None:
    for path in logs(tmp_path):
        with closing(open_configured_source(str(path), RunConfig(sort=sort))) as source:
            assert {record.raw for record in rejected_of(source)} == {None}
        letters = RunConfig(sort=sort, dead_letters=str(tmp_path / "dead.jsonl"))
        with closing(open_configured_source(str(path), letters)) as source:
            rejected = rejected_of(source)
        assert len(rejected) == 50
        assert all(len(record.raw or b"") >= LARGE for record in rejected)


def test_a_sorted_log_holds_no_rejected_records(tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    good = [b'{"session_id":"a","item_id":%d,"timestamp":%d}' % (n, 50 - n) for n in range(50)]
    path.write_bytes(b"".join(large(n) + b"\n" + good[n] + b"\n" for n in range(50)))
    source = LogSource(path, log_format(sort=True))
    first = source.poll(1)
    assert first is not None
    held = [value for value in vars(source._reader).values() if isinstance(value, list)]
    assert not any(isinstance(value, Rejected) for values in held for value in values)
    polls: list[Clicks] = [first]
    while (clicks := source.poll(10)) is not None:
        polls.append(clicks)
    assert [n for clicks in polls for n in clicks.items] == list(reversed(range(50)))
    assert [r.position["line"] for clicks in polls for r in clicks.rejected] == list(
        range(1, 100, 2)
    )
    for at, clicks in enumerate(polls):
        source.seek(clicks.position)
        rest = source.poll(1000)
        items = [n for later in polls[at + 1 :] for n in later.items]
        assert (rest.items if rest else []) == items
    source.close()


def test_wide_rows_of_parquet_are_decoded_a_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "clicks.parquet"
    items = [f"{n}-{'x' * 200_000}" for n in range(400)]
    columns = {"session_id": ["a"] * 400, "item_id": items, "timestamp": list(range(400))}
    pyarrow.parquet.write_table(pa.table(columns), path, use_dictionary=False)
    source = LogSource(path)
    source.poll(1)
    assert len(source._block.rejected) < 400
    source.close()


WORDS = st.text(st.sampled_from('ab"{}[]:,\\ 19.-é\n\t'), max_size=30)


@settings(max_examples=100)
@given(WORDS, st.sampled_from(["session_id", "item_id", "timestamp"]), st.integers(1, 3000))
def test_what_is_said_of_a_record_is_short(text: str, field: str, times: int) -> None:
    fields: dict[str, Any] = {"session_id": "a", "item_id": 1, "timestamp": 1.0}
    fields[field] = text * times
    decoder = JsonLinesDecoder(LogFormat(), "clicks")
    for line in (json.dumps(fields).encode(), (text * times).replace("\n", " ").encode()):
        for lines in LineCutter().feed(line + b"\n"):
            for record in decoder.decode(lines).rejected:
                assert len(record.detail) <= LONGEST_DETAIL + 1


SCRIPT = """
import os, sys
from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.files.pipe import PipeSource
reading, writing = os.pipe()
if os.fork() == 0:
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        for _ in range(3):
            pipe.write(b'{"session_id":"')
            for _ in range(200):
                pipe.write(b"x" * (1 << 20))
            pipe.write(b'"}' + bytes([10]))
        for _ in range(10_000):
            pipe.write(b'{"sess":"' + b"x" * 57_000 + b'"}' + bytes([10]))
    os._exit(0)
os.close(writing)
source = PipeSource(LogFormat(keep_raw=sys.argv[1] == "keep"), reading)
rejected = 0
while (clicks := source.poll(64, 5.0)) is not None:
    rejected += len(clicks.rejected)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(rejected, int(status["VmHWM"].split()[0]) >> 10)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is Linux's to tell")
@pytest.mark.parametrize("keep", ["keep", "drop"])
def test_a_gigabyte_of_unusable_lines_takes_a_fraction_of_it(keep: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, keep],
        capture_output=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    rejected, megabytes = map(int, found.stdout.split())
    assert rejected == 10_003
    # The libraries alone take some 150 of them.
    assert megabytes < 450
