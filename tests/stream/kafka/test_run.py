from __future__ import annotations

import json
import math
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from nextclick.connectors import Clicks, KafkaAddress, LogSource, Replay, make_topic
from nextclick.models import GRU4RecConfig
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from nextclick.stream.snapshots.store import Snapshots
from tests.brokers import Broker, send
from tests.stream.runs import figures, write_log
from tests.topics import read_topic

SMALL = GRU4RecConfig(hidden=16, n_negatives=32)
FLAGS = ["--model", "hidden=16", "--model", "n_negatives=32", "--device", "cpu"]
COMMAND = [sys.executable, "-m", "nextclick.stream", "run"]
PATIENCE = 120.0
"""Seconds after which a test gives up waiting for what must come."""


class HeldLog(LogSource):
    """A log that gives its first clicks only, until more are allowed."""

    def __init__(self, log: Path, allowed: float) -> None:
        super().__init__(log)
        self.allowed = allowed
        self._given = 0

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Read on, once that is allowed."""
        while self._given >= self.allowed:
            time.sleep(0.02)
        clicks = super().poll(min(limit, 50), wait)
        self._given += 0 if clicks is None else len(clicks)
        return clicks


def replay(
    broker: Broker,
    topic: str,
    log: Path,
    seconds: float | None = None,
    source: LogSource | None = None,
) -> None:
    """Publish a log, at full speed or spread over a number of seconds."""
    speed = None
    if seconds is not None:
        times = [float(line.split(",")[2]) for line in log.read_text().splitlines()[1:]]
        speed = (times[-1] - times[0]) / seconds
    address = KafkaAddress([broker.address], topic)
    with closing(Replay(source or LogSource(log), address, {}, speed)) as publishing:
        publishing.run()


def empty_topic(broker: Broker, topic: str, partitions: int) -> None:
    make_topic(KafkaAddress([broker.address], topic), {}, partitions)


def spec(broker: Broker, topic: str) -> str:
    return f"kafka://{broker.address}/{topic}"


@contextmanager
def engine_process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run an engine as a process of its own, which ends with the context at the latest."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(there: Callable[[], Any], process: subprocess.Popen[bytes] | None = None) -> Any:
    """Wait for what must come, for as long as the process lives."""
    deadline = time.monotonic() + PATIENCE
    while not (found := there()):
        if process is not None and process.poll() is not None:
            pytest.fail(f"the engine has ended: {process.communicate()[1].decode()}")
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)
    return found


def snapshots_in(folder: Path) -> set[str]:
    return {path.name for path in Snapshots(folder).paths()}


def comparable(records: list[Any]) -> list[Any]:
    """Recommendations by click, without their place in the topic and the scores' last bits."""
    kept = [
        {key: value for key, value in record.items() if key not in ("partition", "offset")}
        for record in records
    ]
    for record in kept:
        record["scores"] = np.round(record["scores"], 3).tolist()
    return sorted(kept, key=lambda record: record["click"])


@pytest.mark.parametrize("partitions", [1, 4, 16])
def test_a_topic_gives_the_figures_of_its_log(
    tmp_path: Path, broker: Broker, topic: str, partitions: int
) -> None:
    log = write_log(tmp_path / "clicks.csv", 3000)
    empty_topic(broker, topic, partitions)
    replay(broker, topic, log)
    options: dict[str, Any] = {"model": SMALL, "batch": 50, "device": "cpu"}
    files = {name: str(tmp_path / f"{name}.jsonl") for name in ("log", "topic")}
    from_log = run(str(log), RunConfig(**options, recommendations=files["log"]))
    from_topic = run(
        spec(broker, topic), RunConfig(**options, recommendations=files["topic"], until_end=True)
    )
    assert figures(from_topic) == figures(from_log)
    records = {
        name: [json.loads(line) for line in Path(file).read_bytes().splitlines()]
        for name, file in files.items()
    }
    assert comparable(records["topic"]) == comparable(records["log"])
    places = {(record["partition"], record["offset"]) for record in records["topic"]}
    assert len(places) == len(records["topic"])
    assert {partition for partition, _ in places} == set(range(partitions))


def kill_after_a_snapshot(arguments: list[str], folder: Path, seconds: float) -> None:
    """Run an engine, and kill it some seconds after its first snapshot."""
    before = snapshots_in(folder)
    with engine_process(*arguments) as process:
        until(lambda: snapshots_in(folder) - before, process)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def kill_while_it_streams(
    tmp_path: Path, broker: Broker, topic: str, clicks: int, seconds: float, kills: int
) -> None:
    """Kill an engine again and again while a replay goes on; compare with an unbroken run."""
    log = write_log(tmp_path / "clicks.csv", clicks)
    best = f"{topic}-best"
    empty_topic(broker, topic, 4)
    empty_topic(broker, best, 2)
    unbroken = run(
        str(log),
        RunConfig(model=SMALL, device="cpu", recommendations=str(tmp_path / "unbroken.jsonl")),
    )
    folder = tmp_path / "snapshots"
    arguments = [
        *(spec(broker, topic), *FLAGS, "--snapshots", str(folder), "--group", topic),
        *("--snapshot-every", "200clicks", "--max-clicks", str(clicks), "--idle", "5s"),
        *("--recommendations", spec(broker, best), "--exactly-once"),
        *("--json", str(tmp_path / "broken.json")),
    ]
    draw = random.Random(kills)
    # Each engine has its part of the clicks, so that none ends before it is killed.
    part = clicks // (kills + 1)
    with ThreadPoolExecutor(1) as pool, closing(HeldLog(log, part)) as held:
        replaying: Future[None] = pool.submit(replay, broker, topic, log, seconds, held)
        try:
            for _ in range(kills):
                kill_after_a_snapshot(arguments, folder, draw.uniform(0.0, 1.5))
                held.allowed += part
        finally:
            held.allowed = math.inf
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        replaying.result()
    broken = json.loads((tmp_path / "broken.json").read_bytes())
    assert figures(broken) == figures(unbroken)
    written = [json.loads(record.value) for record in read_topic(broker.address, best)]
    wanted = [json.loads(line) for line in (tmp_path / "unbroken.jsonl").read_bytes().splitlines()]
    assert [record["click"] for record in comparable(written)] == [
        record["click"] for record in wanted
    ]
    assert comparable(written) == comparable(wanted)


def test_killed_while_it_streams_it_ends_as_if_never_killed(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    kill_while_it_streams(tmp_path, broker, topic, clicks=3000, seconds=5, kills=3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_twenty_times_while_it_streams(tmp_path: Path, broker: Broker, topic: str) -> None:
    kill_while_it_streams(tmp_path, broker, topic, clicks=60_000, seconds=150, kills=20)


def committed(broker: Broker, group: str, topic: str, partitions: int) -> dict[str, int]:
    """What a lag tool would see."""
    consumer = KafkaConsumer(
        bootstrap_servers=broker.address, group_id=group, metrics_enabled=False
    )
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        offsets = {str(place.partition): consumer.committed(place) for place in places}
        return {partition: at for partition, at in offsets.items() if at is not None}
    finally:
        consumer.close()


def test_sigterm_ends_it_with_a_last_snapshot_and_offsets_committed(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    log = write_log(tmp_path / "clicks.csv", 1000)
    empty_topic(broker, topic, 2)
    replay(broker, topic, log)
    folder, letters = tmp_path / "s", f"{topic}-letters"
    empty_topic(broker, letters, 1)
    send(broker.address, topic, [{"value": b"{bad", "partition": 1}])
    arguments = [spec(broker, topic), *FLAGS, "--snapshots", str(folder), "--group", topic]
    arguments += ["--snapshot-every", "1s", "--dead-letters", spec(broker, letters)]
    with engine_process(*arguments, "--json", str(tmp_path / "r.json")) as process:
        until(lambda: committed(broker, topic, topic, 2), process)
        # A second engine has no business there.
        second = subprocess.run([*COMMAND, *arguments], capture_output=True, check=False)
        assert second.returncode == 2
        assert f"process {process.pid} already writes snapshots" in " ".join(
            second.stderr.decode().split()
        )
        until(lambda: any("000000001000" in name for name in snapshots_in(folder)), process)
        until(lambda: read_topic(broker.address, letters), process)
        process.terminate()
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    result = json.loads((tmp_path / "r.json").read_bytes())
    assert result["usable"] == 1000
    assert sum(result["rejected"].values()) == 1
    found = Snapshots(folder).load_newest()
    assert found is not None
    assert found[1]["clicks"] == 1000
    position = found[1]["position"]["partitions"]
    assert committed(broker, topic, topic, 2) == position
    assert sum(position.values()) == 1001
    (letter,) = read_topic(broker.address, letters)
    assert letter.value == b"{bad"
    headers = dict(letter.headers)
    assert headers["reason"] == b"bad_json"
    assert (headers["topic"], headers["partition"]) == (topic.encode(), b"1")
    assert int(headers["offset"]) == position["1"] - 1


def test_clicks_on_a_quiet_topic_are_answered_at_once(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    best = f"{topic}-best"
    empty_topic(broker, topic, 1)
    empty_topic(broker, best, 1)
    rows = [{"session_id": 1, "item_id": item, "timestamp": 1.0} for item in (7, 8, 7)]
    arguments = [spec(broker, topic), *FLAGS, "--recommendations", spec(broker, best), "-k", "2"]
    with engine_process(*arguments, "--snapshots", str(tmp_path / "s")) as process:
        send(broker.address, topic, [{"value": json.dumps(row).encode()} for row in rows])
        until(lambda: len(read_topic(broker.address, best)) == 2, process)
        process.terminate()
        assert process.wait(120) == 0
    records = read_topic(broker.address, best)
    assert [record.key for record in records] == [b"1", b"1"]
    answers = [json.loads(record.value) for record in records]
    assert [answer["offset"] for answer in answers] == [1, 2]
    assert [answer["click"] for answer in answers] == [2, 3]
    assert all(answer["model_clicks"] == 0 for answer in answers)
    assert answers[0]["items"] == [7]
