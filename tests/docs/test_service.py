"""The service of docs/operate/kafka.md runs as printed, topics included."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from nextclick.connectors import client_settings
from nextclick.stream.config.options import build
from nextclick.stream.config.run import RunConfig
from tests.brokers import Broker, free_port
from tests.stream.monitoring.test_prometheus import Values, read

PAGE = (Path(__file__).parents[2] / "docs" / "operate" / "kafka.md").read_text()
SECTION = PAGE[PAGE.index("## As a service") : PAGE.index("## Record format")]
SETUP, ASKING = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
CONFIG, SECURE = re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL)
TOOLS = {
    "kafka-topics.sh": "TopicCommand",
    "kafka-console-consumer.sh": "consumer.ConsoleConsumer",
}
IN_KAFKA = "docker compose exec kafka /opt/kafka/bin/"
PATIENCE = 240.0


class Terminal:
    """Runs the page's commands in an empty folder, with this machine's places in them."""

    def __init__(self, broker: Broker, jars: Path, folder: Path) -> None:
        self.jars, self.folder = jars, folder
        self.serving, self.metrics = free_port(), free_port()
        self.places = {
            "localhost:9092": broker.address,
            "localhost:8080": f"127.0.0.1:{self.serving}",
            '"8080"': f'"{self.serving}"',
            "9400": str(self.metrics),
        }

    def placed(self, text: str) -> str:
        for printed, here in self.places.items():
            text = text.replace(printed, here)
        return text

    def words(self, line: str) -> list[str]:
        line = self.placed(line)
        if line.startswith(IN_KAFKA):
            tool, *rest = shlex.split(line.removeprefix(IN_KAFKA))
            program = f"org.apache.kafka.tools.{TOOLS[tool]}"
            return ["java", "-cp", f"{self.jars}/libs/*", program, *rest]
        program, *rest = shlex.split(line)
        return [
            *({"nextclick": [sys.executable, "-m", "nextclick"]}.get(program, [program])),
            *rest,
        ]

    def run(self, line: str) -> str:
        done = subprocess.run(
            self.words(line), cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def scrape(self) -> Values:
        with urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=30) as page:
            return read(page.read().decode())


def until(there: Callable[[], Any], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if there():
                return
        except OSError:
            pass
        assert process.poll() is None, "the engine has ended"
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.timeout(900)
def test_the_service_runs_as_printed(
    make_broker: Callable[..., Broker], jars: Path, tmp_path: Path
) -> None:
    terminal = Terminal(make_broker(), jars, tmp_path)
    up, make_topic, start = SETUP.splitlines()
    assert up == "docker compose up -d"  # The broker of this test.
    terminal.run(make_topic)
    (tmp_path / "nextclick.toml").write_text(terminal.placed(CONFIG))
    click, ask, consume = ASKING.splitlines()
    with subprocess.Popen(terminal.words(start), cwd=tmp_path, stdout=subprocess.DEVNULL) as engine:
        try:
            until(
                lambda: urlopen(f"http://127.0.0.1:{terminal.serving}/readyz").close() is None,
                engine,
            )
            assert json.loads(terminal.run(click))
            until(lambda: json.loads(terminal.run(ask))["model"]["behind_clicks"] == 1, engine)
            record = json.loads(terminal.run(consume))
            assert (record["session"], record["clicked"]) == ("anna", "hat")
            # On its way it has waited for no snapshot.
            values = terminal.scrape()
            name = "nextclick_click_to_list_seconds"
            assert values[f"{name}_count", ("record",)] == 1
            assert values[f"{name}_bucket", ("10.0", "record")] == 1
            engine.send_signal(signal.SIGTERM)
            assert engine.wait(PATIENCE) == 0
        finally:
            engine.kill()
    assert list((tmp_path / "visits").glob("clicks-000000000001-*"))


def test_exactly_once_is_not_the_default_of_the_example() -> None:
    config = build(RunConfig, tomllib.loads(CONFIG))
    assert not config.exactly_once
    assert config.make_topics


def test_the_settings_for_a_password_are_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "correct horse")
    (tmp_path / "kafka.pem").touch()
    text = (CONFIG + SECURE).replace("/etc/ssl", str(tmp_path))
    config = build(RunConfig, tomllib.loads(text))
    settings = client_settings(config.kafka)
    assert settings["security_protocol"] == "SASL_SSL"
    assert settings["sasl_plain_password"] == "correct horse"
