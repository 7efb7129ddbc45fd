"""Runs over several topics, from a chosen time on, with sinks whose topics and users are others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.endpoints import check_outputs, transactional_id
from nextclick.stream.runner import run
from tests.brokers import PASSWORD, USER, Broker, admin_client, make_topic, send
from tests.stream.cli.shell import SMALL as FLAGS
from tests.stream.cli.shell import call
from tests.stream.kafka.test_run import SMALL, engine_process, spec, until
from tests.stream.monitoring.test_prometheus import read
from tests.stream.runs import figures, write_log
from tests.topics import read_topic


def fill(broker: Broker, topic: str, log: Path) -> list[str]:
    """Publish a log to two topics, a session to one of them; return their names."""
    names = [f"{topic}-{name}" for name in ("views", "clicks")]
    rows = [line.split(",") for line in log.read_text().splitlines()[1:]]
    for at, name in enumerate(names):
        make_topic(broker.address, name, at + 1)
        records = [
            {
                "value": json.dumps(
                    {"session_id": int(row[0]), "item_id": int(row[1]), "timestamp": float(row[2])}
                ).encode(),
                "partition": int(row[0]) // 2 % (at + 1),
            }
            for row in rows
            if int(row[0]) % 2 == at
        ]
        send(broker.address, name, records)
    return names


def published(*flags: str) -> list[str]:
    return [*flags, *FLAGS, "--batch", "50", "--until-end"]


def test_two_topics_give_the_figures_of_their_log_and_go_on_after_a_stop(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    log = write_log(tmp_path / "clicks.csv", 1500)
    names = fill(broker, topic, log)
    options: dict[str, Any] = {"model": SMALL, "batch": 50, "device": "cpu", "until_end": True}
    of_log = run(str(log), RunConfig(**options | {"until_end": False}))
    best = tmp_path / "best.jsonl"
    named = spec(broker, ",".join(names))
    assert figures(run(named, RunConfig(**options))) == figures(of_log)
    # A part of it, and the rest from the snapshot, over the pattern; from Python too.
    more: dict[str, Any] = {"snapshots": str(tmp_path / "s"), "recommendations": str(best)}
    pattern = spec(broker, f"^{topic}-(views|clicks)$")
    run(pattern, RunConfig(**options, **more, max_clicks=700))
    whole = run(pattern, RunConfig(**options, **more, max_clicks=None))
    assert figures(whole) == figures(of_log)
    places = [json.loads(line) for line in best.read_text().splitlines()]
    assert {place["topic"] for place in places} == set(names)
    assert len({(p["topic"], p["partition"], p["offset"]) for p in places}) == len(places)


def test_the_command_line_reads_a_pattern_and_names_topics_in_letters_and_metrics(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    names = fill(broker, topic, write_log(tmp_path / "clicks.csv", 300))
    send(broker.address, names[1], [{"value": b"{", "partition": 1}])
    arguments = [spec(broker, f"^{topic}-(views|clicks)$"), *FLAGS, "--metrics-port", "0"]
    arguments += ["--dead-letters", spec(broker, f"{topic}-letters"), "--make-topics"]
    said = ""
    with engine_process(*arguments) as process:
        assert process.stderr is not None
        while not (page := re.search(r"http://\S+/metrics", said)):
            line = process.stderr.readline().decode()
            assert line, said
            said += line

        def metrics() -> dict[Any, float]:
            with urlopen(page[0], timeout=30) as answer:
                return read(answer.read().decode())

        until(lambda: metrics()["nextclick_clicks_total", ()] == 300, process)
        until(lambda: read_topic(broker.address, f"{topic}-letters"), process)
        values = metrics()
        process.terminate()
        assert process.wait(120) == 0
    assert f"created the topic {spec(broker, topic)}-letters for dead letters: 1 partition" in said
    for name, partition in [(names[0], "0"), (names[1], "0"), (names[1], "1")]:
        assert values["nextclick_lag_records", (partition, name)] == 0
    (letter,) = read_topic(broker.address, f"{topic}-letters")
    headers = dict(letter.headers)
    assert (headers["topic"], headers["partition"]) == (names[1].encode(), b"1")


def test_a_start_is_for_a_run_without_a_snapshot(
    tmp_path: Path, broker: Broker, topic: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make_topic(broker.address, topic)
    click = json.dumps({"session_id": 1, "item_id": 1, "timestamp": 1.0}).encode()
    times = [1_600_000_000_000 + 60_000 * minute for minute in range(10)]
    send(broker.address, topic, [{"value": click, "timestamp_ms": time} for time in times])
    figures_file = tmp_path / "figures.json"

    def clicks(*flags: str) -> Any:
        code = call("run", spec(broker, topic), *published("--json", str(figures_file), *flags))
        assert code in (0, 3)
        return json.loads(figures_file.read_text())["clicks"]

    assert clicks("--from", "2020-09-13T12:30:00Z") == 6
    assert clicks("--from", "2020-09-13T13:29+01:00") == 7
    assert clicks("--from", "latest") == 0
    assert clicks("--from", "1h") == 0
    send(broker.address, topic, [{"value": click}])
    assert clicks("--from", "1h") == 1
    snapshots = ("--snapshots", str(tmp_path / "s"))
    assert clicks("--from", "latest", *snapshots) == 0
    send(broker.address, topic, [{"value": click}] * 2)
    capfd.readouterr()
    assert clicks("--from", "earliest", *snapshots) == 2
    assert "--from is not used: the run continues at the position" in capfd.readouterr().err


def cleanup(address: str, topic: str) -> tuple[int, str, str]:
    """Return a topic's number of partitions, its cleanup policy and its retention."""
    with closing(admin_client(address)) as admin:
        (found,) = admin.describe_topics([topic])
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        configs = admin.describe_configs([resource])["topic"][topic]
        values = [configs[name]["value"] for name in ("cleanup.policy", "retention.ms")]
    return len(found["partitions"]), *values


def test_missing_topics_of_sinks_are_made_when_asked_for(
    tmp_path: Path, full_broker: Broker, topic: str, capfd: pytest.CaptureFixture[str]
) -> None:
    broker, best, letters = full_broker, f"{topic}-best", f"{topic}-letters"
    names = fill(broker, topic, write_log(tmp_path / "clicks.csv", 200))
    sinks = ["--recommendations", spec(broker, best), "--dead-letters", spec(broker, letters)]
    arguments = ["run", spec(broker, ",".join(names)), *published(*sinks)]
    assert call(*arguments) == 2
    assert f"{best}: there is no such topic" in " ".join((error := capfd.readouterr().err).split())
    assert "--make-topics" in error
    exactly = ["--snapshots", str(tmp_path / "s"), "--exactly-once", "--make-topics"]
    assert call(*arguments, *exactly) == 0
    said = " ".join(capfd.readouterr().err.split())
    assert f"{best} for recommendations: 2 partitions, 1 replica, cleanup.policy=compact" in said
    assert cleanup(broker.address, best) == (2, "compact,delete", "604800000")
    assert cleanup(broker.address, letters) == (1, "delete", "2592000000")
    assert read_topic(broker.address, best)
    # What is there stays as it is.
    assert call(*arguments, "--snapshots", str(tmp_path / "t"), "--make-topics") == 0
    assert "created the topic" not in capfd.readouterr().err


def test_make_topics_needs_a_topic() -> None:
    with pytest.raises(ConfigError, match="--make-topics creates topics of --recommendations"):
        check_outputs("sim:", RunConfig(make_topics=True, recommendations="best.jsonl"))


def test_a_user_who_may_not_make_topics_is_told(
    tmp_path: Path, make_broker: Callable[..., Broker], topic: str
) -> None:
    own = make_broker(
        secure=True,
        authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        super_users="User:ANONYMOUS",
    )
    assert own.certificates is not None
    (tmp_path / "nextclick.toml").write_text(
        "[kafka.recommendations]\n"
        'security.protocol = "SASL_SSL"\n'
        'sasl.mechanism = "SCRAM-SHA-512"\n'
        f'sasl.username = "{USER}"\n'
        f'sasl.password = "{PASSWORD}"\n'
        f'ssl.cafile = "{own.certificates.authority}"\n'
    )
    arguments = ["run", "sim:clicks=50", *FLAGS, "--config", str(tmp_path / "nextclick.toml")]
    arguments += ["--recommendations", f"kafka://{own.sasl}/{topic}", "--make-topics"]
    done = subprocess.run(
        [sys.executable, "-m", "nextclick.stream", *arguments],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"this user may not see or create the topic {topic}" in " ".join(done.stderr.split())


def secure_table(broker: Broker, password: str = PASSWORD) -> dict[str, Any]:
    assert broker.certificates is not None
    return {
        "security": {"protocol": "SASL_SSL"},
        "sasl": {"mechanism": "SCRAM-SHA-512", "username": USER, "password": password},
        "ssl.cafile": str(broker.certificates.authority),
    }


def test_a_sink_has_brokers_and_a_user_of_its_own(
    tmp_path: Path, secure_broker: Broker, topic: str, capfd: pytest.CaptureFixture[str]
) -> None:
    broker = secure_broker
    names = fill(broker, topic, write_log(tmp_path / "clicks.csv", 200))
    toml = tmp_path / "nextclick.toml"
    table = secure_table(broker)

    def write(password: str) -> None:
        toml.write_text(
            '[kafka]\nclient.id = "source"\n[kafka.recommendations]\n'
            f'security.protocol = "SASL_SSL"\nssl.cafile = "{table["ssl.cafile"]}"\n'
            f'[kafka.recommendations.sasl]\nmechanism = "SCRAM-SHA-512"\nusername = "{USER}"\n'
            f'password = "{password}"\n'
        )

    write(PASSWORD)
    arguments = ["run", spec(broker, ",".join(names)), "--config", str(toml)]
    arguments += published("--recommendations", f"kafka://{broker.sasl}/{topic}-best")
    arguments += ["--json", str(tmp_path / "r.json"), "--snapshots", str(tmp_path / "s")]
    assert call(*arguments, "--make-topics", "--exactly-once") == 0
    assert read_topic(broker.address, f"{topic}-best")
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != toml]
    assert not any(PASSWORD.encode() in content for content in written)
    shown = json.loads((tmp_path / "r.json").read_text())["config"]["kafka"]
    assert shown["recommendations.sasl.password"] == "***"
    assert shown["client.id"] == "source"
    # The message names the table of the sink, and no password.
    write("s3cret")
    assert call(*arguments, "--fresh") == 2
    said = " ".join(capfd.readouterr().err.split())
    assert "check sasl.username and sasl.password in [kafka.recommendations]" in said
    assert "s3cret" not in said


def test_the_environment_gives_a_sinks_settings_and_overrides_a_file(
    tmp_path: Path, secure_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = secure_broker
    make_topic(broker.address, f"{topic}-best")
    toml = tmp_path / "nextclick.toml"
    toml.write_text('[kafka.recommendations]\nsasl.password = "wrong"\n')
    table = secure_table(broker)
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    settings = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "sasl.password": "env:KAFKA_PASSWORD",
        "ssl.cafile": table["ssl.cafile"],
    }
    given = " ".join(f"recommendations.{name}={value}" for name, value in settings.items())
    monkeypatch.setenv("NEXTCLICK_KAFKA", given)
    arguments = ["run", "sim:clicks=200", *FLAGS, "--config", str(toml)]
    arguments += ["--recommendations", f"kafka://{broker.sasl}/{topic}-best"]
    assert call(*arguments) == 0
    assert read_topic(broker.address, f"{topic}-best")


def test_a_sink_may_not_write_to_a_topic_that_is_read() -> None:
    for source in ("kafka://a/clicks", "kafka://a/views,clicks", "kafka://a/^cl"):
        for sink in ("kafka://a/clicks", "kafka://other/clicks"):
            with pytest.raises(ConfigError, match=r"source.* too: name another topic"):
                check_outputs(source, RunConfig(dead_letters=sink))
        elsewhere = RunConfig(dead_letters="kafka://b/clicks", kafka={"dead_letters": {}})
        check_outputs(source, elsewhere)
        here = RunConfig(dead_letters="kafka://a/clicks", kafka={"dead_letters": {}})
        with pytest.raises(ConfigError, match="name another topic"):
            check_outputs(source, here)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("kafka://h/clicks", "nextclick-clicks-all"),
        ("kafka://h/views,clicks", "nextclick-clicks,views-all"),
        ("kafka://h/^clicks-.*", "nextclick-^clicks-.*-all"),
    ],
)
def test_a_transaction_is_named_after_the_topics(source: str, name: str) -> None:
    config = RunConfig(recommendations="kafka://h/best", exactly_once=True, snapshots="s")
    assert transactional_id(source, config) == name


def test_partitions_of_several_topics_cannot_be_chosen(
    broker: Broker, topic: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call("run", spec(broker, f"{topic},b"), *FLAGS, "--partitions", "0") == 2
    assert "--partitions is for one topic" in " ".join(capfd.readouterr().err.split())
