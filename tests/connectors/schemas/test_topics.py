"""Topics whose records were written with schemas of a registry, through a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from nextclick.connectors import (
    Clicks,
    KafkaSource,
    SourceError,
    log_format,
    open_source,
    parse_address,
)
from nextclick.connectors.clicks import Position
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sources import QUICK, polls, take, until
from tests.connectors.schemas.registry_server import RegistryServer, framed
from tests.connectors.schemas.test_avro_records import RECORD, VIEW, written

FIELDS = {"session_column": "user.id", "item_column": "items[]", "time_column": "at"}
AT = 1750000000.25


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


def opened(broker: Broker, topic: str, server: RegistryServer, **options: Any) -> KafkaSource:
    own = {
        name: options.pop(name)
        for name in ("session_from", "time_from", "until_end")
        if name in options
    }
    own = {"until_end": True, **own}
    address = f"kafka://{broker.address}/{topic}"
    source = open_source(
        address, log_format(**options), settings=QUICK, registry=server.registry(), **own
    )
    assert isinstance(source, KafkaSource)
    return source


def told(source: KafkaSource, limit: int = 64) -> tuple[list[Any], ...]:
    with closing(source):
        return described(list(polls(source, limit)))


def described(batches: list[Clicks]) -> tuple[list[Any], ...]:
    return (
        [session for clicks in batches for session in clicks.sessions],
        [item for clicks in batches for item in clicks.items],
        [time for clicks in batches for time in clicks.times.tolist()],
        [(one.reason, one.position.get("offset")) for clicks in batches for one in clicks.rejected],
    )


def test_lists_conditions_times_and_dead_letters(
    broker: Broker, topic: str, server: RegistryServer
) -> None:
    number = server.add(VIEW)
    good = framed(number, written(VIEW, RECORD))
    shown = framed(number, written(VIEW, {**RECORD, "kind": "view"}))
    wrong = [b'{"item_id": 1}', framed(number + 9, b""), good[:-4]]
    make_topic(broker.address, topic)
    send(broker.address, topic, [{"value": value} for value in (good, *wrong, shown, good)])
    refused = [("not_framed", 1), ("unknown_schema", 2), ("bad_avro", 3)]
    clicks = ([7] * 6, ["hat", "shoes"] * 3, [AT] * 6)
    assert told(opened(broker, topic, server, **FIELDS)) == (*clicks, refused)
    chosen = told(opened(broker, topic, server, where="kind = 'cart' and more.price > 1", **FIELDS))
    assert chosen[1] == ["hat", "shoes"] * 2
    assert [reason for reason, _ in chosen[3]] == [*(one for one, _ in refused), *["filtered"] * 2]


def test_keys_written_with_a_schema(broker: Broker, topic: str, server: RegistryServer) -> None:
    user = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "string"}]}
    whole, inside = server.add("long", subject="k"), server.add(user, subject="k")
    number = server.add(VIEW)
    value = framed(number, written(VIEW, RECORD))
    make_topic(broker.address, topic)
    keys = [framed(whole, written("long", 17)), framed(inside, written(user, {"id": "anna"})), b"x"]
    send(broker.address, topic, [{"value": value, "key": key} for key in keys])
    options: dict[str, Any] = {"item_column": "items[0]", "time_column": "at"}
    by_key = opened(broker, topic, server, session_from="key", key_type="schema", **options)
    refused = [("wrong_type", 1), ("not_framed", 2)]
    assert told(by_key) == ([17], ["hat"], [AT], refused)
    by_field = opened(broker, topic, server, session_column="key:id", key_type="schema", **options)
    assert told(by_field)[0] == ["anna"]


def test_json_with_a_schema_and_its_position_inside_a_record(
    broker: Broker, topic: str, server: RegistryServer
) -> None:
    number = server.add("{}", "JSON")
    value = {"user": {"id": "anna"}, "items": [1, 2, 3], "at": 5}
    make_topic(broker.address, topic)
    send(broker.address, topic, [{"value": framed(number, json.dumps(value).encode())}] * 2)
    items, position = [], None
    while True:
        with closing(opened(broker, topic, server, **FIELDS)) as source:
            resume(source, position)
            clicks = next(polls(source, 2), None)
            if clicks is None:
                break
            items += clicks.items
            position = clicks.position
    assert items == [1, 2, 3, 1, 2, 3]


def resume(source: KafkaSource, position: Position | None) -> None:
    if position is not None:
        source.seek(json.loads(json.dumps(position)))


def test_no_record_is_lost_while_the_registry_is_away(
    broker: Broker, topic: str, server: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextclick.connectors.schemas.registry.AWAY", 0.1)
    number = server.add(VIEW)
    make_topic(broker.address, topic)
    record = {"value": framed(number, written(VIEW, RECORD))}
    server.stop()
    with closing(opened(broker, topic, server, until_end=False, **FIELDS)) as source:
        send(broker.address, topic, [record] * 3)

        def away() -> bool:
            clicks = source.poll(8, 0.05)
            assert clicks is not None
            assert not len(clicks)
            return source.away is not None

        until(away, "nobody says that the registry is away")
        assert any("waiting for the schema registry" in note for note in source.warnings)
        server.start()
        assert take(source, 6) == ["hat", "shoes"] * 3
        assert source.away is None
        assert any("unavailable once" in note for note in source.warnings)


def test_a_registry_that_refuses_ends_the_run_and_the_next_one_goes_on(
    broker: Broker, topic: str, server: RegistryServer
) -> None:
    old, new = server.add(VIEW), server.add({**VIEW, "doc": "as before"})
    make_topic(broker.address, topic)
    data = written(VIEW, RECORD)
    with closing(opened(broker, topic, server, until_end=False, **FIELDS)) as source:
        send(broker.address, topic, [{"value": framed(old, data)}] * 3)
        assert take(source, 5) == ["hat", "shoes", "hat", "shoes", "hat"]
        clicks = source.poll(1, 0.5)
        assert clicks is not None
        server.status = 401
        send(broker.address, topic, [{"value": framed(new, data)}])

        def refused() -> bool:
            try:
                source.poll(1, 0.1)
            except SourceError as error:
                return "status 401" in str(error)
            return False

        until(refused, "the source goes on")
    server.status = None
    with closing(opened(broker, topic, server, **FIELDS)) as source:
        resume(source, clicks.position)
        assert [item for each in polls(source) for item in each.items] == ["hat", "shoes"]


def test_a_source_is_closed_while_the_registry_is_away(
    broker: Broker, topic: str, server: RegistryServer
) -> None:
    number = server.add(VIEW)
    make_topic(broker.address, topic)
    send(broker.address, topic, [{"value": framed(number, written(VIEW, RECORD))}])
    server.status = 503
    source = opened(broker, topic, server, **FIELDS)
    clicks = source.poll(8, 0.3)
    assert clicks is not None
    assert clicks.position["partitions"] == {"0": 0}
    source.close()


def test_keys_with_a_schema_need_a_registry(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    address = parse_address(f"kafka://{broker.address}/{topic}")
    form = log_format(key_type="schema")
    with (
        closing(KafkaSource(address, form, QUICK)) as source,
        pytest.raises(SourceError, match="--key-type schema needs --schema-registry"),
    ):
        source.poll(1)
