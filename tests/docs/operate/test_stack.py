"""The services of compose.yaml, run as processes on this machine: together they do what they say.

Not run here are the images of others: Kafka is the one of the tests, Prometheus Debian's, and
Grafana is left out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.brokers import Broker, free_port
from tests.docs.operate.files import OPERATE, ROOT, SERVICES, environment, step
from tests.topics import read_topic

PATIENCE = 240.0
"""Seconds after which the test gives up waiting for what must come."""


@contextmanager
def running(command: list[str], **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service until the context ends, by SIGTERM."""
    process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    finally:
        process.kill()
        process.wait()


def until(there: Callable[[], Any], process: subprocess.Popen[bytes]) -> None:
    """Wait for what must come, for as long as a process lives; what it said is captured."""
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert process.poll() is None, f"{process.args!r} has ended with {process.returncode}"
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


def fetched(url: str) -> bytes:
    """Return what is at an address, b"" as long as nothing is."""
    try:
        with urlopen(url, timeout=10) as response:
            body: bytes = response.read()
            return body
    except OSError:
        return b""


class Stack:
    """The places of the services on this machine, and their commands with these in them."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.broker, self.folder = broker, folder
        names = ("engine", "metrics", "shop", "prometheus")
        self.ports = {name: free_port() for name in names}

    def at(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def command(self, service: str) -> list[str]:
        entry = SERVICES[service]
        if "entrypoint" in entry:
            words = [*entry["entrypoint"], *entry["command"]]
        else:
            words = [*json.loads(step("ENTRYPOINT")), *entry["command"]]
        here = {
            "kafka:19092": self.broker.address,
            "0.0.0.0:8080": f"127.0.0.1:{self.ports['engine']}",
            "http://engine:8080": self.at("engine"),
            "http://localhost:8000": self.at("shop"),
            "/var/lib/nextclick": str(self.folder),
            "/shop": str(ROOT / "examples" / "shop"),
            "8000": str(self.ports["shop"]),
        }
        for name, place in here.items():
            words = [word.replace(name, place) for word in words]
        programs = {"python": [sys.executable], "nextclick": [sys.executable, "-m", "nextclick"]}
        return [*programs[words[0]], *words[1:]]

    def scraping(self) -> Path:
        """Write the configuration of Prometheus for this machine."""
        text = (OPERATE / "prometheus.yaml").read_text()
        text = text.replace("engine:9400", f"127.0.0.1:{self.ports['metrics']}")
        text = re.sub(r"_interval: \d+s", "_interval: 1s", text)
        path = self.folder / "prometheus.yaml"
        path.write_text(text)
        shutil.copy(OPERATE / "alerts.yaml", self.folder)
        return path


def make_topic(broker: Broker, jars: Path) -> None:
    """Make the topic as the service `topics` does."""
    words = SERVICES["topics"]["command"]
    assert words[0].endswith("kafka-topics.sh")
    arguments = [word.replace("kafka:19092", broker.address) for word in words[1:]]
    java = ["java", "-cp", f"{jars}/libs/*", "org.apache.kafka.tools.TopicCommand"]
    subprocess.run([*java, *arguments], check=True, capture_output=True)


@pytest.mark.timeout(900)
def test_the_stack_serves_a_shop_and_is_watched(
    make_broker: Callable[..., Broker], jars: Path, tmp_path: Path
) -> None:
    broker = make_broker()
    make_topic(broker, jars)
    stack = Stack(broker, tmp_path)
    variables = {name: text for name, text in environment().items() if "NEXTCLICK" in name}
    variables |= {
        "NEXTCLICK_METRICS_PORT": str(stack.ports["metrics"]),
        "NEXTCLICK_METRICS_ADDRESS": "127.0.0.1",
    }
    with ExitStack() as services:
        engine = services.enter_context(running(stack.command("engine"), **variables))
        until(lambda: fetched(stack.at("metrics") + "/healthz"), engine)
        until(lambda: fetched(stack.at("engine") + "/readyz"), engine)
        services.enter_context(running(stack.command("shop")))
        visitors = services.enter_context(running(stack.command("visitors")))

        def stats() -> Any:
            return json.loads(fetched(stack.at("engine") + "/v1/stats"))

        until(lambda: stats()["learned"] >= 64, visitors)
        listed = json.loads(fetched(stack.at("engine") + "/v1/recommend?k=3"))
        assert len(listed["items"]) == 3
        assert all("title" in item for item in listed["items"])
        until(lambda: b"A small shop" in fetched(stack.at("shop") + "/"), engine)
        assert len(read_topic(broker.address, "recommendations")) > 32
        prometheus = shutil.which("prometheus")
        if prometheus is not None:
            watched_by(prometheus, stack, services)
    assert engine.returncode == 0
    # SIGTERM has ended it with a last snapshot, which holds all that it has read.
    newest = max((tmp_path / "snapshots").glob("clicks-*"))
    assert int(newest.name.split("-")[1]) >= 64


def watched_by(prometheus: str, stack: Stack, services: ExitStack) -> None:
    """Check that Prometheus has the engine's figures and the rules."""
    command = [prometheus, f"--config.file={stack.scraping()}", "--log.level=error"]
    command += [f"--web.listen-address=127.0.0.1:{stack.ports['prometheus']}"]
    command += [f"--storage.tsdb.path={stack.folder / 'tsdb'}"]
    process = services.enter_context(running(command))

    def asked(query: str) -> Any:
        page = fetched(f"{stack.at('prometheus')}/api/v1/query?query={query}")
        return page and json.loads(page)["data"]["result"]

    until(lambda: asked("nextclick_clicks_total"), process)
    (count,) = asked("nextclick_click_to_list_seconds_count{list='record'}")
    assert float(count["value"][1]) > 32

    def rules() -> list[Any]:
        page = fetched(stack.at("prometheus") + "/api/v1/rules")
        found: list[Any] = json.loads(page)["data"]["groups"][0]["rules"]
        return found

    until(lambda: all(rule["health"] != "unknown" for rule in rules()), process)
    assert {(rule["health"], rule["state"]) for rule in rules()} == {("ok", "inactive")}
