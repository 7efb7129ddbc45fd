"""Data of the items, in the commands: a run, its lists after every click, and a replica."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors import SourceError
from nextclick.stream import RunConfig, run
from nextclick.stream.config.options import ConfigError
from nextclick.stream.recommendations.item_follower import FollowedItems, followed_items
from nextclick.stream.serving.app import Access
from nextclick.stream.serving.engine_service import EngineService
from nextclick.stream.serving.replica import Replica
from nextclick.stream.serving.server import serve
from tests.brokers import Broker, make_topic, send
from tests.stream.serving.asking import CATALOGUE, HISTORY, Client, Fed, small_engine, until
from tests.stream.serving.test_replica import COMMAND, SHOP, learn


def record(item: Any, **fields: Any) -> dict[str, Any]:
    return {"key": str(item).encode(), "value": json.dumps({"item_id": item, **fields}).encode()}


@contextmanager
def following(spec: str, most: int = 1000) -> Iterator[FollowedItems]:
    with followed_items(spec, most, {}, lambda sentence: None) as items:
        yield items


@contextmanager
def served_from(spec: str) -> Iterator[tuple[FollowedItems, Client]]:
    """Serve a small engine that has learned a history, with the data of a source."""
    source = Fed()
    engine = small_engine(source)
    with following(spec) as items:
        engine.items = items.data
        service = EngineService(engine, items)
        with serve(service, "127.0.0.1", 0, Access()) as address:
            engine.requests = service.queue
            thread = threading.Thread(target=engine.run)
            thread.start()
            source.feed(*HISTORY)
            until(lambda: engine.learned == len(HISTORY))
            client = Client(address)
            yield items, client
            client.close()
            source.end()
            thread.join()


def test_a_record_counts_from_the_moment_that_it_is_read(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 2, cleanup_policy="compact")
    send(broker.address, topic, [record(item, title=item) for item in CATALOGUE])
    with served_from(f"kafka://{broker.address}/{topic}") as (_, client):
        until(lambda: client.ask("GET", "/readyz")[0] == 200)
        for item in client.json("/v1/recommend?k=99")["items"]:
            assert item["title"] == item["item"]
        first = str(client.best(k=1)[0])
        send(broker.address, topic, [record(first, available=False)])
        until(lambda: first not in client.best(k=99))
        send(broker.address, topic, [{"key": first.encode()}])
        until(lambda: first in client.best(k=99))
        (one,) = client.json("/v1/recommend", {"among": [first]})["items"]
        assert one.keys() == {"item", "score"}


def test_no_request_is_answered_before_a_topic_is_read(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(broker.address, topic)
    send(broker.address, topic, [record(CATALOGUE[0], available=False)])
    go_on = threading.Event()
    read = FollowedItems.read

    def wait_and_read(items: FollowedItems) -> None:
        assert go_on.wait(60)
        read(items)

    monkeypatch.setattr(FollowedItems, "read", wait_and_read)
    name = f"kafka://{broker.address}/{topic}"
    with served_from(name) as (_, client):
        try:
            for path, status in (("/readyz", 503), ("/v1/recommend", 503), ("/healthz", 200)):
                found, content, _ = client.ask("GET", path)
                assert found == status
                assert (
                    status == 200 or f"still being read from {name}: 0% so far" in content.decode()
                )
        finally:
            go_on.set()
        until(lambda: client.ask("GET", "/readyz")[0] == 200)
        assert set(client.best(k=99)) == set(CATALOGUE[1:])


def test_a_topic_whose_brokers_are_away_is_told_and_its_data_stay(
    apache_broker: Broker, topic: str
) -> None:
    make_topic(apache_broker.address, topic)
    send(apache_broker.address, topic, [record(CATALOGUE[0], available=False)])
    with served_from(f"kafka://{apache_broker.address}/{topic}") as (_, client):
        until(lambda: client.ask("GET", "/readyz")[0] == 200)
        apache_broker.stop()
        until(lambda: client.ask("GET", "/readyz")[0] == 503)
        assert b"waiting for the brokers" in client.ask("GET", "/readyz")[1]
        assert set(client.best(k=99)) == set(CATALOGUE[1:])
        apache_broker.start()
        until(lambda: client.ask("GET", "/readyz")[0] == 200)


def recommended(folder: Path, **options: Any) -> tuple[dict[str, Any], list[Any]]:
    """Run on a simulated shop; return the figures and the lists."""
    path = folder / "lists.jsonl"
    result = run(
        "sim:clicks=600,items=50,seed=2",
        RunConfig(
            recommendations=str(path),
            device="cpu",
            model={"hidden": 8, "n_negatives": 8},
            **options,
        ),
    )
    lists = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    return result, lists


def figures_of(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if "@" in name or name == "learned"}


def write(path: Path, *records: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return str(path)


def test_lists_after_every_click_hold_what_is_available(tmp_path: Path) -> None:
    whole, others = recommended(tmp_path, recommend="every", k=40)
    barred = {item for item in range(50) if item % 3 == 0}
    file = write(tmp_path / "items", *({"item_id": one, "available": False} for one in barred))
    result, lists = recommended(tmp_path, recommend="every", k=10, items=file)
    assert len(lists) == len(others) == 600
    for own, other in zip(lists, others, strict=True):
        assert own["items"] == [item for item in other["items"] if item not in barred][:10]
    assert figures_of(result) == figures_of(whole)


def test_where_all_is_available_lists_are_the_same_to_the_last_digit(tmp_path: Path) -> None:
    file = write(tmp_path / "items", {"item_id": 1, "title": "one"})
    plain = recommended(tmp_path, recommend="every")
    with_items = recommended(tmp_path, recommend="every", items=file)
    assert plain[1] == with_items[1]


def test_lists_after_every_click_wait_for_a_topic(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    make_topic(broker.address, topic)
    send(broker.address, topic, [record(item, available=item > 5) for item in range(50)])
    name = f"kafka://{broker.address}/{topic}"
    _, lists = recommended(tmp_path, recommend="every", items=name)
    assert lists
    assert all(item > 5 for one in lists for item in one["items"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"items": "x"}, "give --serve, or --recommendations with --recommend every"),
        ({"items": "x", "recommend": "every"}, "--items applies to"),
        ({"items": "x", "recommendations": "y"}, "--items applies to"),
        ({"items": " ", "serve": "0"}, "--items is empty"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RunConfig(**options)  # type: ignore[arg-type]


def test_data_that_cannot_be_read_end_a_run_before_it_begins(tmp_path: Path) -> None:
    file = write(tmp_path / "items", {"x": 1})
    with pytest.raises(SourceError, match="items, line 1: there is no 'item_id'"):
        recommended(tmp_path, recommend="every", items=file)
    with pytest.raises(ConfigError, match=r"--json .* is --items too"):
        recommended(tmp_path, recommend="every", items=file, json=file)
    more = [{"item_id": at, "available": False} for at in range(11)]
    with pytest.raises(SourceError, match=r"line 11: more than 10 items .*--max-items"):
        recommended(tmp_path, recommend="every", items=write(Path(file), *more), max_items=10)


def test_a_replica_shows_and_filters_by_the_data(tmp_path: Path) -> None:
    learn(tmp_path, 500)
    file = tmp_path / "items.jsonl"
    write(file, *({"item_id": str(at), "even": at % 2 == 0} for at in range(80)))
    told: list[str] = []
    replica = Replica(tmp_path, told.append)
    with following(str(file)) as items:
        replica.show_items(items)
        with serve(replica, "127.0.0.1", 0, Access()) as address:
            client = Client(address)
            # Ids are numbers in the log, and texts in the data.
            even = client.best(even="true", k=99)
            assert even
            assert all(int(item) % 2 == 0 for item in even)
            with file.open("a") as more:
                more.write(f'{{"item_id": {even[0]}, "even": true, "available": false}}\n')
            until(lambda: client.json("/v1/stats")["items"]["unavailable"] == 1)
            assert client.best(even="true", k=99) == even[1:]
            # A new snapshot has other items, in rows of its own.
            learn(tmp_path, 900)
            assert replica.take_newest()
            found = client.best(even="true", k=99)
            assert even[0] not in found
            assert all(int(item) % 2 == 0 for item in found)
            assert b"nextclick_items_unavailable 1.0" in client.ask("GET", "/metrics")[1]
            client.close()


def test_the_commands_take_the_data(broker: Broker, topic: str, tmp_path: Path) -> None:
    learn(tmp_path, 300)
    make_topic(broker.address, topic)
    send(broker.address, topic, [record(at, title=f"item {at}") for at in range(80)])
    config = tmp_path / "run.toml"
    config.write_text(
        f'items = "kafka://{broker.address}/{topic}"\nbatch = 32\n[kafka]\nclient.id = "shop"\n'
    )
    process = subprocess.Popen(
        [*COMMAND, "serve", "--snapshots", str(tmp_path), "--port", "0", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "300"},
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        client = Client(line.split()[-1].partition("/v1")[0])
        until(lambda: client.ask("GET", "/readyz")[0] == 200)
        for each in client.json("/v1/recommend?k=5")["items"]:
            assert each["title"] == f"item {each['item']}"
        client.close()
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("wrong", ["nothing.jsonl", "kafka://127.0.0.1:1/items"])
def test_the_commands_say_in_a_line_what_is_wrong(tmp_path: Path, wrong: str) -> None:
    learn(tmp_path, 300)
    config = tmp_path / "kafka.toml"
    config.write_text("[kafka]\nbootstrap.timeout.ms = 500\n")
    for command in (
        ["serve", "--snapshots", str(tmp_path), "--port", "0"],
        ["run", SHOP, "--serve", "0", "--log-format", "text"],
    ):
        ended = subprocess.run(
            [*COMMAND, *command, "--items", wrong, "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr
        assert wrong in ended.stderr.splitlines()[-1] or "127.0.0.1:1" in ended.stderr
