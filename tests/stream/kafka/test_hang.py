"""Brokers that hang: their connections stay open, and nobody answers."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from nextclick.stream.snapshots.store import Snapshots
from tests.brokers import Broker, make_topic, send
from tests.stream.kafka.test_run import COMMAND, FLAGS, engine_process, spec, until
from tests.topics import read_topic

IMPATIENT = "[kafka]\nrequest.timeout.ms = 2000\n"


def send_clicks(broker: Broker, topic: str, numbers: range) -> None:
    rows = [
        {"session_id": number % 5, "item_id": number % 7, "timestamp": 1000.0 + number}
        for number in numbers
    ]
    send(broker.address, topic, [{"value": json.dumps(row).encode()} for row in rows])


def answered(broker: Broker, topic: str) -> list[int]:
    return sorted(json.loads(record.value)["click"] for record in read_topic(broker.address, topic))


@pytest.mark.parametrize("how", ["exactly once", "at least once"])
def test_a_broker_that_hangs_is_waited_for_and_a_stop_does_not_wait_for_it(
    apache_broker: Broker, tmp_path: Path, topic: str, how: str
) -> None:
    broker = apache_broker
    best, letters = f"{topic}-best", f"{topic}-letters"
    for name in (topic, best, letters):
        make_topic(broker.address, name)
    config = tmp_path / "c.toml"
    config.write_text(IMPATIENT)
    folder = tmp_path / "s"
    arguments = [spec(broker, topic), *FLAGS, "--snapshots", str(folder), "--group", topic]
    arguments += ["--snapshot-every", "1s", "--recommendations", spec(broker, best)]
    arguments += ["--recommend", "every", "--dead-letters", spec(broker, letters)]
    arguments += ["--config", str(config), *(["--exactly-once"] if how == "exactly once" else [])]
    with engine_process(*arguments) as process:
        send_clicks(broker, topic, range(100))
        until(lambda: len(answered(broker, best)) >= 100, process)
        send_clicks(broker, topic, range(100, 150))
        broker.pause()
        # Requests fail meanwhile, two in a row.
        time.sleep(5)
        assert process.poll() is None
        broker.resume()
        until(lambda: len(answered(broker, best)) >= 150, process)
        send(broker.address, topic, [{"value": b"{bad"}])
        send_clicks(broker, topic, range(150, 200))
        broker.pause()
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        broker.resume()
    found = Snapshots(folder).load_newest()
    assert found is not None
    with engine_process(*arguments) as process:
        until(lambda: len(set(answered(broker, best))) >= 200, process)
        until(lambda: read_topic(broker.address, letters), process)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=120)
        assert process.returncode in (0, 143), error
    clicks = answered(broker, best)
    if how == "exactly once":
        assert clicks == list(range(1, 201))
    assert sorted(set(clicks)) == list(range(1, 201))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_to_a_broker_that_hangs_can_be_stopped_and_goes_on(
    apache_broker: Broker, tmp_path: Path, topic: str, number: signal.Signals
) -> None:
    broker = apache_broker
    make_topic(broker.address, topic)
    log = tmp_path / "log.csv"
    rows = [f"s{second % 9},i,{second}\n" for second in range(3000)]
    log.write_text("session_id,item_id,timestamp\n" + "".join(rows))
    command = [*COMMAND[:-1], "replay", str(log), "--to", spec(broker, topic)]
    child = subprocess.Popen(
        [*command, "--speed", "50x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: read_topic(broker.address, topic))
    broker.pause()
    time.sleep(1)
    child.send_signal(number)
    out, error = child.communicate(timeout=120)
    assert child.returncode == 130, error
    assert "Traceback" not in error
    assert "were not acknowledged" in " ".join(error.split())
    assert "the same command resumes from there" in " ".join(out.split())
    broker.resume()
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert len(read_topic(broker.address, topic)) == 3000
