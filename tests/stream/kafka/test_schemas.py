"""A run on a topic whose records were written with schemas, from the command line."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.brokers import Broker, make_topic, send
from tests.connectors.items.test_schema_items import HAT, ITEM
from tests.connectors.schemas.registry_server import RegistryServer, framed
from tests.connectors.schemas.test_avro_records import RECORD, VIEW, written
from tests.stream.kafka.test_run import COMMAND, FLAGS, engine_process, spec, until
from tests.stream.serving.asking import Client

FIELDS = ["--session-column", "user.id", "--item-column", "items[]", "--time-column", "at"]


def nextclick(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_records_of_avro_become_clicks_and_dead_letters_and_no_secret_is_kept(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    make_topic(broker.address, topic)
    config = tmp_path / "c.toml"
    letters = tmp_path / "letters.jsonl"
    with RegistryServer("anna", "secret-word") as server:
        number = server.add(VIEW)
        values = []
        for at in range(40):
            moment = datetime.fromtimestamp(1_700_000_000 + at, UTC)
            view: dict[str, Any] = {
                "user": {"id": at % 3, "name": None},
                "kind": "view",
            }
            view |= {"more": {}, "items": [f"i{at % 5}", f"i{at % 4}"], "at": moment}
            values.append(framed(number, written(VIEW, view)))
        values.append(b'{"plain": "json"}')
        send(broker.address, topic, [{"value": value} for value in values])
        arguments = [spec(broker, topic), *FLAGS, *FIELDS, "--until-end", "--config", str(config)]
        arguments += ["--schema-registry", server.url]
        arguments += ["--dead-letters", str(letters), "--snapshots", str(tmp_path / "snapshots")]
        config.write_text('[registry]\nusername = "anna"\npassword = "other-word"\n')
        code, told = nextclick(*arguments)
        assert code != 0
        assert "status 401" in told
        assert "other-word" not in told
        config.write_text('[registry]\nusername = "anna"\npassword = "secret-word"\n')
        code, told = nextclick(*arguments)
        assert code == 0, told
    assert re.search(r"clicks read\W+81\b", told)
    assert re.search(r"not_framed\W+1\b", told)
    assert '"reason":"not_framed"' in letters.read_text().replace(" ", "")
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != config]
    assert not any(b"secret-word" in content for content in [*kept, told.encode()])


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    log.write_text("session_id,item_id,timestamp\na,b,1\n")
    config = tmp_path / "c.toml"
    config.write_text('[registry]\nusername = "anna"\n')
    topic = "kafka://localhost:1/t"
    for arguments, words in (
        ([str(log), "--schema-registry", "http://localhost:1"], "--schema-registry is for a topic"),
        ([topic, "--key-type", "schema"], "--key-type schema needs --schema-registry"),
        ([topic, "--config", str(config)], "name it with --schema-registry"),
        ([topic, "--schema-registry", "localhost:8081"], "write http://host:8081"),
        ([topic, "--schema-registry", "http://u:secret-word@h"], "no user and no password"),
        ([topic, "--schema-registry", "http://localhost:1"], "nothing listens there"),
    ):
        code, told = nextclick(*arguments)
        assert code != 0
        assert words in " ".join(told.split()), told
        assert "secret-word" not in told
        assert "Traceback" not in told


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "it answers with the status 500"),
        (404, "what answers is no schema registry"),
        (403, "does not let this user read schemas (status 403)"),
    ],
)
def test_a_registry_that_refuses_at_the_start_is_an_error(
    broker: Broker, topic: str, status: int, words: str
) -> None:
    make_topic(broker.address, topic)
    with RegistryServer() as server:
        server.status = status
        arguments = [spec(broker, topic), *FLAGS, *FIELDS, "--until-end"]
        code, told = nextclick(*arguments, "--schema-registry", server.url)
    assert code == 2
    assert words in " ".join(told.split()), told
    assert "Traceback" not in told


def test_items_come_from_a_topic_of_avro_beside_a_log(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    with RegistryServer() as server, TemporaryDirectory() as folder:
        number = server.add(ITEM)
        values = [framed(number, written(ITEM, {**HAT, "item_id": at})) for at in range(5)]
        send(broker.address, topic, [{"value": value} for value in values])
        log = f"http:{folder}/clicks.jsonl"
        arguments = [log, *FLAGS, "--serve", "0", "--batch", "1", "--items", spec(broker, topic)]
        with engine_process(*arguments, "--schema-registry", server.url) as process:
            assert process.stderr is not None
            told = next(line for line in process.stderr if b"/v1/recommend" in line).decode()
            (address,) = re.findall(r"(http://[^/ ]+)/v1/recommend", told)
            client = Client(address)
            clicks = [{"session_id": "a", "item_id": at, "timestamp": at} for at in range(5)]
            until(lambda: client.ask("POST", "/v1/clicks", json.dumps(clicks).encode())[0] == 200)
            until(lambda: client.json("/v1/stats")["clicks"] == 5, process)
            until(lambda: client.ask("GET", "/readyz")[0] == 200, process)
            shown = client.json("/v1/recommend?k=5&exclude=none")["items"]
            assert {each["price"] for each in shown} == {12.5}
            client.close()


def test_a_registry_without_a_topic_is_refused(tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text("")
    arguments = ["--snapshots", str(tmp_path), "--port", "0", "--items", str(items)]
    command = [*COMMAND[:-1], "serve", *arguments, "--schema-registry", "http://localhost:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "--schema-registry is for --items kafka://host:port/topic" in done.stderr


def test_a_registry_that_is_away_makes_the_engine_unready_and_no_click_is_lost(
    broker: Broker, topic: str
) -> None:
    make_topic(broker.address, topic)
    with RegistryServer() as server:
        number = server.add(VIEW)
        server_url = server.url
        arguments = [spec(broker, topic), *FLAGS, *FIELDS, "--serve", "0", "--batch", "2"]
        with engine_process(*arguments, "--schema-registry", server_url) as process:
            assert process.stderr is not None
            told = next(line for line in process.stderr if b"/v1/recommend" in line).decode()
            (address,) = re.findall(r"(http://[^/ ]+)/v1/recommend", told)
            client = Client(address)
            status, answer, _ = client.ask("POST", "/v1/clicks", b"{}")
            assert status >= 400
            assert b"--schema-registry" in answer
            until(lambda: client.ask("GET", "/readyz")[0] == 200, process)
            server.stop()
            value = framed(number, written(VIEW, RECORD))
            send(broker.address, topic, [{"value": value}] * 20)
            until(lambda: b"schema registry" in client.ask("GET", "/readyz")[1], process)
            assert client.ask("GET", "/readyz")[0] == 503
            server.start()
            until(lambda: client.json("/v1/stats")["clicks"] == 40, process)
            assert client.ask("GET", "/readyz")[0] == 200
            client.close()
