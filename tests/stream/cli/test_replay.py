from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from nextclick.stream.cli.replay import parse_speed
from nextclick.stream.config.options import ConfigError
from tests.brokers import Broker, make_topic
from tests.stream.cli.shell import call
from tests.topics import read_topic


def replay(*arguments: str | Path) -> int:
    return call("replay", *arguments)


def values(broker: Broker, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in read_topic(broker.address, topic)]


def test_a_replay_makes_its_topic_and_tells_what_it_left_out(
    broker: Broker, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.csv"
    log.write_text("visitor,item_id,when\na,x,1500\na,,1600\nb,y,1700\n")
    columns = ["--user-column", "visitor", "--time-column", "when", "--time-unit", "ms"]
    to = ["--to", f"kafka://{broker.address}/{topic}"]
    assert replay(log, *to, *columns, "--make-topic", "2") == 0
    shown = capsys.readouterr()
    told = " ".join(shown.err.split())
    assert f"2 clicks in {topic}" in shown.out
    assert f"created the topic {topic} with 2 partitions" in told
    assert "1 records of the log are not clicks and were skipped: no_item" in told
    assert "run the topic with --gap 1800s" in told
    found = sorted(values(broker, topic), key=lambda value: str(value["session_id"]))
    assert found == [
        {"session_id": "a", "item_id": "x", "timestamp": 1.5},
        {"session_id": "b", "item_id": "y", "timestamp": 1.7},
    ]
    assert replay(log, *to, *columns, "--make-topic", "2") == 0
    assert "2 clicks in" in (out := capsys.readouterr().out)
    assert "(2 were there before)" in out
    assert replay(log, *to, *columns, "--make-topic", "3") == 2
    assert "exists already, with 2 partitions" in " ".join(capsys.readouterr().err.split())
    assert len(values(broker, topic)) == 2


def test_settings_of_the_connection_come_from_the_configuration(
    secure_broker: Broker, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.brokers import PASSWORD, USER

    assert secure_broker.certificates is not None
    monkeypatch.setenv("CLICKS_PASSWORD", PASSWORD)
    config = tmp_path / "nextclick.toml"
    config.write_text(
        f"""
        batch = 32
        [kafka]
        security.protocol = "SASL_SSL"
        sasl.mechanism = "SCRAM-SHA-512"
        sasl.username = "{USER}"
        sasl.password = "env:CLICKS_PASSWORD"
        ssl.cafile = "{secure_broker.certificates.authority}"
        """
    )
    to = f"kafka://{secure_broker.sasl}/{topic}"
    log = "sim:clicks=50,seed=1"
    assert replay(log, "--to", to, "--make-topic", "1", "--config", config) == 0
    assert len(values(secure_broker, topic)) == 50


def wait_for_records(broker: Broker, topic: str, count: int) -> None:
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=broker.address)
    deadline = time.monotonic() + 120
    while consumer.end_offsets([place])[place] < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    consumer.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_with_a_sentence_and_it_can_go_on(
    broker: Broker, topic: str, tmp_path: Path, number: signal.Signals
) -> None:
    make_topic(broker.address, topic)
    log = tmp_path / "log.csv"
    times = [0.0, 0.1, 0.2, 100_000.0, 100_001.0]
    log.write_text("session_id,item_id,timestamp\n" + "".join(f"a,x,{time}\n" for time in times))
    to = f"kafka://{broker.address}/{topic}"
    command = [sys.executable, "-m", "nextclick.stream", "replay", str(log), "--to", to]
    child = subprocess.Popen(
        [*command, "--speed", "1x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_records(broker, topic, 3)
    child.send_signal(number)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert "the same command resumes from there" in " ".join(out.split())
    assert len(values(broker, topic)) == 3
    assert replay(log, "--to", to) == 0
    assert [value["timestamp"] for value in values(broker, topic)] == times


@pytest.mark.parametrize("speed", ["0x", "fast", "-1x", "x", "1x1", ""])
def test_a_speed_that_is_none_is_an_error(speed: str) -> None:
    with pytest.raises(ConfigError, match="write for instance 1x, 60x or max"):
        parse_speed(speed)


def test_mistakes_end_in_one_line(
    broker: Broker, topic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "nextclick.toml"
    config.write_text("[kafka]\nbootstrap.timeout.ms = 1000\n")
    to = f"kafka://{broker.address}/{topic}"
    for arguments, sentence in (
        (["sim:clicks=5", "--to", to], "there is no such topic"),
        (["sim:clicks=5", "--to", "clicks.csv"], "looks like kafka://host:port/topic"),
        (["sim:clicks=5", "--to", "kafka://127.0.0.1:1/x"], "nothing listens there"),
        ([to, "--to", to], "is a topic: name a log to replay"),
        (["nowhere.csv", "--to", to], "nowhere.csv"),
    ):
        assert replay(*arguments, "--config", config) == 2
        shown = " ".join(capsys.readouterr().err.split())
        assert sentence in shown
        assert "Traceback" not in shown
