"""The commands of the pages, run from the top of each page to its end as a reader would.

Brokers and ports are those of the test. Commands that go on for ever run beside the others, until
the page ends or another wants their port. Commands that install something are left out:
tests/test_package.py installs a wheel.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.brokers import Broker
from tests.docs.blocks import ROOT, Command, blocks_of, commands
from tests.suite_broker import kafka_home

WAIT = 900.0
"""Seconds that an engine may take to answer on a busy machine, its loops compiled."""

ALONE = ["start", "compare", "models", "sources", "submit"]
WITH_BROKER = ["items", "replay", "serve", "shadows", "topics"]
LEFT_OUT = {"pip", "python3", "source", "export", "docker"}
"""Programs that change the machine, or stand for something else here."""

EVENTS = "".join(
    f'{{"session_id": "a", "item_id": {item}, "timestamp": {item}, "event_type": "{kind}", '
    '"price": 1, "user": {"bot": false}}\n'
    for item, kind in enumerate(["view", "cart"])
)


OF_KAFKA = {
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
}
"""Apache Kafka's own programs, by their classes."""


class Session:
    """A shell in a folder, with the programs of the pages and the ports of the test."""

    def __init__(self, folder: Path, address: str = "") -> None:
        self.folder = folder
        self._address = address
        self._ports: dict[str, str] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._log = folder / "none"

    def run(self, command: Command) -> None:
        """Run a command, or start it where it goes on for ever."""
        program, *words = (self._here(word) for word in command.words)
        program = Path(program).name
        if program in LEFT_OUT:
            return
        given = self._here(command.given)
        if program == "nextclick":
            full = [sys.executable, "-m", "nextclick", *words]
            if goes_on(command.words):
                self._start(full, words)
                return
        elif program == "curl":
            full = ["curl", "--fail-with-body", "--silent", "--max-time", "120", *words]
            if "-N" in words:
                full[full.index("120")] = "2"
        else:
            home = kafka_home()
            if home is None:
                pytest.skip("needs Apache Kafka's own programs: set KAFKA_HOME")
            full = ["java", "-cp", f"{home}/libs/*", OF_KAFKA[program], *words]
        done = subprocess.run(
            full, cwd=self.folder, input=given, capture_output=True, text=True, check=False
        )
        # An endless stream is left after its time.
        right = (0, 28) if "-N" in words else (0,)
        assert done.returncode in right, f"{command.words}\n{done.stdout}\n{done.stderr}"

    def stop(self) -> None:
        for port in list(self._running):
            self._end(port)

    def _here(self, text: str) -> str:
        text = re.sub(r"\b(localhost|broker):9092\b", self._address, text)
        text = re.sub(r"\bmachine:", "localhost:", text)
        text = text.replace("$SHOP_KEY", "key")
        return re.sub(r"(?<![\w.])(80\d\d)(?!\w)", lambda port: self._port(port[1]), text)

    def _port(self, written: str) -> str:
        if written not in self._ports:
            with socket.socket() as one:
                one.bind(("127.0.0.1", 0))
                self._ports[written] = str(one.getsockname()[1])
        return self._ports[written]

    def _start(self, full: list[str], words: list[str]) -> None:
        ports = [port for port in self._ports.values() if any(port in word for word in words)]
        for port in ports or [""]:
            self._end(port)
        self._log = self.folder / f"notes-{len(list(self.folder.glob('notes-*')))}.log"
        log = self._log.open("ab")
        environment = {**os.environ, "SHOP_KEY": "key"}
        process = subprocess.Popen(full, cwd=self.folder, stdout=log, stderr=log, env=environment)
        log.close()
        self._running[ports[0] if ports else ""] = process
        if ports:
            self._ready(process, ports[0])
        else:
            self._alive(process)

    def _ready(self, process: subprocess.Popen[bytes], port: str) -> None:
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            assert process.poll() is None, self._notes()
            try:
                with urlopen(f"http://localhost:{port}/readyz", timeout=10):
                    return
            except HTTPError as error:
                if error.code == 401:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        pytest.fail(f"not ready: {self._notes()}")

    def _alive(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a run that has no port has told what it reads."""
        deadline = time.monotonic() + WAIT
        while not self._notes():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def _end(self, port: str) -> None:
        process = self._running.pop(port, None)
        if process is not None:
            process.send_signal(signal.SIGTERM)
            # 3 and 143: it had not read anything yet.
            assert process.wait(120) in (0, 3, 143), self._notes()

    def _notes(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]


def goes_on(words: list[str]) -> bool:
    """Whether a command of nextclick goes on until it is stopped."""
    live = any(word.startswith(("kafka://", "http:")) for word in words[:3])
    return words[1] == "serve" or (
        words[1] == "run" and ("--serve" in words or (live and "--until-end" not in words))
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files that the pages take for granted."""
    for name in ("clicks.csv.gz", "clicks-2019-10.csv", "clicks-2019-11.csv.gz", "logs/a/b.csv.gz"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make = ["simulate", "--clicks", "2000", "--out", name]
        subprocess.run([sys.executable, "-m", "nextclick", *make], cwd=tmp_path, check=True)
    (tmp_path / "events.jsonl").write_text(EVENTS)
    return tmp_path


@pytest.fixture
def session(folder: Path) -> Iterator[Session]:
    one = Session(folder)
    yield one
    one.stop()


def follow(page: str, session: Session) -> None:
    blocks = blocks_of(ROOT / "docs" / f"{page}.md")
    if page == "guide/items":
        items = next(block.text for block in blocks if "available" in block.text)
        (session.folder / "items.jsonl").write_text(items)
        session.run(Command(["nextclick", "run", "clicks.csv.gz", "--snapshots", "snapshots"], ""))
    if page == "guide/compare":
        ours = next(block.text for block in blocks if "class Latest" in block.text)
        (session.folder / "our_models.py").write_text(ours)
    for block in blocks:
        if block.language == "sh":
            for command in commands(block.text):
                session.run(command)


@pytest.mark.slow
@pytest.mark.parametrize("page", ALONE)
def test_the_commands_of_a_page_do_what_they_say(page: str, session: Session) -> None:
    follow(f"guide/{page}", session)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_BROKER)
def test_the_commands_of_a_page_about_topics_do_what_they_say(
    page: str, folder: Path, broker: Broker
) -> None:
    session = Session(folder, broker.address)
    for topic in ("clicks", "views"):
        make = ["clicks.csv.gz", "--to", f"kafka://{broker.address}/{topic}", "--make-topic", "4"]
        session.run(Command(["nextclick", "replay", *make], ""))
    try:
        follow(f"guide/{page}", session)
    finally:
        session.stop()
