from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors import open_source
from nextclick.stream import RunConfig, run
from nextclick.stream.learned import load_model
from nextclick.stream.serving import replica as replica_file
from nextclick.stream.serving.app import Access
from nextclick.stream.serving.replica import Replica
from nextclick.stream.serving.server import serve
from nextclick.stream.snapshots.store import SnapshotError, Snapshots
from tests.stream.serving.asking import Client, query, until

COMMAND = [sys.executable, "-c", "from nextclick.stream.__main__ import main; main()"]
SHOP = "sim:clicks=2000,items=80,seed=1"


def learn(folder: Path, clicks: int) -> None:
    """Run on, up to `clicks` clicks, and leave a snapshot."""
    config = RunConfig(
        snapshots=str(folder),
        max_clicks=clicks,
        device="cpu",
        model={"hidden": 8, "n_negatives": 8},
    )
    run(SHOP, config)


@contextmanager
def replicated(folder: Path) -> Iterator[tuple[Replica, Client, list[str]]]:
    told: list[str] = []
    replica = Replica(folder, told.append)
    with serve(replica, "127.0.0.1", 0, Access()) as address, replica.following():
        client = Client(address)
        yield replica, client, told
        client.close()


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_file, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(replica_file, "LOOK_AGAIN_SECONDS", 0.05)


def test_a_replica_answers_as_the_snapshot_does(tmp_path: Path) -> None:
    learn(tmp_path, 500)  # The last 52 of them are of an unfinished batch.
    model = load_model(tmp_path, print)
    items = [item for item, _ in model.recommend(range(80), 3)]
    with replicated(tmp_path) as (replica, client, _):
        best = client.best(items=items, k=5, exclude="none")
        assert best == [item for item, _ in model.recommend(items, 5)]
        clicks = open_source(SHOP).poll(500)
        assert clicks is not None
        answer = client.json(query(session=clicks.sessions[-1]))
        assert answer["from"] == "session"
        assert (answer["model"]["clicks"], answer["model"]["behind_clicks"]) == (500, 0)
        assert answer["model"]["behind_seconds"] > 0
        assert client.ask("GET", "/readyz")[0] == 200
        assert client.json("/v1/stats")["snapshot"] == replica.loaded.name
        assert b"nextclick_snapshot_age_seconds" in client.ask("GET", "/metrics")[1]


def test_each_new_snapshot_is_taken_and_no_request_fails(tmp_path: Path) -> None:
    learn(tmp_path, 300)
    stop, counts = threading.Event(), {"asked": 0}
    with replicated(tmp_path) as (replica, client, told):
        failed: list[Any] = []

        def ask() -> None:
            own = Client(client.host)
            while not stop.is_set():
                status, content, _ = own.ask("GET", "/v1/recommend?items=1,2,3")
                counts["asked"] += 1
                if status != 200:
                    failed.append(content)
            own.close()

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for clicks in (600, 900):
                learn(tmp_path, clicks)
                until(lambda: replica.loaded.engine.clicks == clicks)  # noqa: B023
                before = counts["asked"]
                until(lambda: counts["asked"] > before + 20)  # noqa: B023
                assert client.json(query(items="1"))["model"]["clicks"] == clicks
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failed
        assert not told
        assert client.json("/v1/stats")["snapshots_taken"] >= 2


def test_a_damaged_snapshot_is_told_and_the_one_before_stays(tmp_path: Path) -> None:
    learn(tmp_path, 300)
    with replicated(tmp_path) as (replica, client, told):
        served = replica.loaded.name
        broken = tmp_path / "clicks-000000000999-0099"
        shutil.copytree(tmp_path / served, broken)
        (broken / "values.json").write_bytes(b"{}")
        until(lambda: told)
        assert broken.name in told[0]
        assert client.best(items="1")
        assert replica.loaded.name == served
        assert broken.name in client.ask("GET", "/readyz")[1].decode()
        # It was only on its way.
        shutil.copy(tmp_path / served / "values.json", broken / "values.json")
        until(lambda: replica.loaded.name == broken.name)
        assert len(told) == 1


def test_a_replica_begins_with_the_newest_whole_snapshot(tmp_path: Path) -> None:
    learn(tmp_path, 300)
    newest = Snapshots(tmp_path).numbered()[0]
    broken = tmp_path / "clicks-000000000999-0099"
    shutil.copytree(newest, broken)
    (broken / "manifest").unlink()
    told: list[str] = []
    assert Replica(tmp_path, told.append).loaded.name == newest.name
    assert broken.name in told[0]


def test_a_folder_without_snapshots_is_told(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"nothing in .* can be served"):
        Replica(tmp_path, print)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, number: int) -> None:
    learn(tmp_path, 300)
    process = subprocess.Popen(
        [*COMMAND, "serve", "--snapshots", str(tmp_path), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "300"},
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "recommendations from clicks-" in line
        client = Client(line.split()[-1].partition("/v1")[0])
        assert client.best(items="1,2")
        refused = client.json("/v1/clicks", {"session_id": 1, "item_id": 2}, status=409)
        assert "send them to the engine" in refused["error"]
        process.send_signal(number)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_command_says_in_a_line_what_is_wrong(tmp_path: Path) -> None:
    for options in (["--port", "x"], ["--port", "0"], ["--port", "0", "--api-key", "secret"]):
        command = [*COMMAND, "serve", "--snapshots", str(tmp_path), *options]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 2
        assert len(ended.stderr.splitlines()) == 1
        assert "Traceback" not in ended.stderr
