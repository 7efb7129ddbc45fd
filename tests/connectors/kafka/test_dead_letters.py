from __future__ import annotations

from pathlib import Path

from nextclick.connectors import (
    DeadLetterTopic,
    KafkaAddress,
    KafkaSource,
    LogSource,
    Rejected,
    dead_letter,
)
from tests.brokers import Broker, make_topic, send
from tests.topics import read_topic


def test_a_dead_letter_keeps_the_bytes() -> None:
    text = dead_letter(Rejected("no_item", "why", {"file": "a", "line": 3}, "é".encode()))
    assert text == {"reason": "no_item", "detail": "why", "file": "a", "line": 3, "raw": "é"}
    binary = dead_letter(Rejected("not_utf8", "why", {"line": 3}, b"\xff", key=b"\xfe"))
    assert (binary["raw_base64"], binary["key_base64"]) == ("/w==", "/g==")
    keyed = dead_letter(Rejected("bad_json", "why", {"offset": 3}, b"", key=b"anna"))
    assert (keyed["key"], keyed["raw"]) == ("anna", "")


def test_what_is_cut_says_so(tmp_path: Path) -> None:
    log = tmp_path / "clicks.jsonl"
    log.write_bytes(b"x" * 65_536 + b"\n" + b"y" * 65_537 + b"\n" + b"z" * (17 << 20) + b"\n")
    clicks = LogSource(log).poll(10)
    assert clicks is not None
    whole, cut, long = map(dead_letter, clicks.rejected)
    assert len(whole["raw"]) == len(cut["raw"]) == len(long["raw"]) == 65_536
    assert "cut_from" not in whole
    assert cut["cut_from"] == 65_537
    assert long["cut_from"] >= 17 << 20


def test_a_topic_takes_the_record_as_it_was(broker: Broker, topic: str) -> None:
    letters = f"{topic}-letters"
    make_topic(broker.address, topic)
    make_topic(broker.address, letters)
    values = [b"\xff\x00 broken", b'{"item_id":', b"", "schön".encode(), b"long" * 20_000]
    keys = [b"anna", b"\xff", None, b"", b"bert"]
    pairs = list(zip(keys, values, strict=True))
    send(broker.address, topic, [{"key": key, "value": value} for key, value in pairs])
    source = KafkaSource(KafkaAddress([broker.address], topic), until_end=True)
    sink = DeadLetterTopic(KafkaAddress([broker.address], letters), {})
    assert sink.name == f"kafka://{broker.address}/{letters}"
    reasons = []
    while (clicks := source.poll(10, 0.5)) is not None:
        for rejected in clicks.rejected:
            reasons.append(rejected.reason.encode())
            sink.write(dead_letter(rejected))
    sink.sync()
    sink.commit(None)
    sink.close()
    source.close()
    records = read_topic(broker.address, letters)
    assert [record.value for record in records] == [value[:65_536] for value in values]
    assert [record.key for record in records] == keys
    headers = [dict(record.headers) for record in records]
    assert [one["reason"] for one in headers] == reasons
    assert [one["offset"] for one in headers] == [b"0", b"1", b"2", b"3", b"4"]
    assert {(one["topic"], one["partition"]) for one in headers} == {(topic.encode(), b"0")}
    assert [one.get("cut_from") for one in headers] == [None] * 4 + [b"80000"]
