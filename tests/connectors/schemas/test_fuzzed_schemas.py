"""Damaged and odd records with schemas: all end as clicks, or under a named reason."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nextclick.connectors import LogSource, log_format
from nextclick.connectors.kafka.record_decoder import RecordDecoder
from nextclick.connectors.schemas.avro import AvroType
from nextclick.connectors.schemas.framing import SchemaDecoder
from tests.connectors.schemas import fuzzed
from tests.connectors.schemas.registry_server import RegistryServer, framed
from tests.connectors.schemas.test_protobuf_records import varint

COUNTS = [2_000, pytest.param(100_000, marks=pytest.mark.slow)]


class Record(NamedTuple):
    """A record as a reader of topics passes it on."""

    offset: int
    value: bytes
    key: bytes | None = None
    timestamp: int = 1_700_000_000_000
    headers: tuple[Any, ...] = ()
    sequence: int = -1


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


def decoded(decoder: RecordDecoder, records: list[Record]) -> tuple[int, Counter[str]]:
    """Decode records; return the clicks, and how many entries have each reason."""
    reasons: Counter[str] = Counter()
    clicks = 0
    for at in range(0, len(records), 500):
        chunk = records[at : at + 500]
        run = decoder.decode(0, chunk)
        clicks += len(run.decoded.items)
        reasons.update(one.reason for one in run.decoded.rejected)
        assert set(map(type, [*run.decoded.sessions, *run.decoded.items])) <= {int, str}
        places = {int(offset) for offset in run.offsets}
        assert places == {record.offset for record in chunk}
    return clicks, reasons


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("where", [None, fuzzed.WHERE], ids=["all", "where"])
@pytest.mark.parametrize("form", ["avro", "json", "protobuf"])
def test_values(server: RegistryServer, form: str, where: str | None, count: int) -> None:
    chance = random.Random(f"{form} {where}")
    make = fuzzed.register(server)[form]
    records = [
        Record(at, fuzzed.damaged(make(chance), chance) if at else make(chance))
        for at in range(count)
    ]
    fields: dict[str, Any] = {**fuzzed.FIELDS, "where": where, "time_unit": "s"}
    decoder = RecordDecoder(log_format(**fields), "t", schemas=SchemaDecoder(server.registry()))
    clicks, reasons = decoded(decoder, records)
    assert reasons.keys() <= fuzzed.REASONS
    assert clicks > count // 10
    assert reasons.total() > count // 10


@pytest.mark.parametrize("count", COUNTS)
def test_keys(server: RegistryServer, count: int) -> None:
    chance = random.Random(7)
    number = server.add(["long", "string", {"type": "map", "values": "string"}])
    value = framed(server.add("{}", "JSON"), b'{"item_id": 7}')
    keys = [framed(number, b"\0\x0e"), framed(number, b"\2\x08anna"), framed(number, b"\4\0")]
    records = [
        Record(at, value, chance.choice([None, *(fuzzed.damaged(key, chance) for key in keys)]))
        for at in range(count)
    ]
    decoder = RecordDecoder(
        log_format(key_type="schema"), "t", "key", "record", SchemaDecoder(server.registry())
    )
    clicks, reasons = decoded(decoder, records)
    assert clicks + reasons.total() == count
    assert clicks > count // 4
    allowed = {*fuzzed.FRAMING, "bad_avro", "no_session", "wrong_type", "not_utf8", "bad_json"}
    assert reasons.keys() <= allowed


def container(schema: Any, blocks: Iterable[list[bytes]]) -> bytes:
    """Return an object file of records that are given as bytes, as the specification has it."""
    sync = bytes(range(16))
    text = json.dumps(schema).encode()
    meta = b"\2" + varint(2 * 11) + b"avro.schema" + varint(2 * len(text)) + text + b"\0"
    made = [b"Obj\1", meta, sync]
    for block in blocks:
        data = b"".join(block)
        made += [varint(2 * len(block)), varint(2 * len(data)), data, sync]
    return b"".join(made)


@pytest.mark.parametrize("count", COUNTS)
def test_object_files(tmp_path: Path, count: int) -> None:
    chance = random.Random(11)
    rows = [fuzzed.avro(chance) for _ in range(count)]
    damaged = [fuzzed.damaged(row, chance) if chance.random() < 0.02 else row for row in rows]
    blocks = [damaged[at : at + 20] for at in range(0, count, 20)]
    path = tmp_path / "clicks.avro"
    path.write_bytes(container(fuzzed.CLICK, blocks))
    reasons: Counter[str] = Counter()
    clicks = last = 0
    lists = sum(max(1, len(one)) for one in seen_in(rows))
    with closing(LogSource(path, log_format(**fuzzed.FIELDS, time_unit="s"))) as source:
        while (polled := source.poll(500)) is not None:
            clicks += len(polled)
            reasons.update(rejected.reason for rejected in polled.rejected)
            last = polled.position["record"]
        assert source.warnings == []
    assert last == count
    assert reasons.keys() <= fuzzed.CLICK_REASONS | {"bad_avro"}
    assert clicks > count // 2
    assert clicks + reasons.total() > lists * 0.9


def seen_in(rows: list[bytes]) -> Iterator[list[Any]]:
    """Yield the list in each record."""
    kind = AvroType(fuzzed.CLICK, {})
    for row in rows:
        yield kind.read(io.BytesIO(row))["e"]
