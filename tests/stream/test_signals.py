from __future__ import annotations

import functools
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nextclick.stream.snapshots.store import Snapshots

STOPS = [signal.SIGINT, signal.SIGTERM]
COMMANDS = ["run", "compare", "replay", "recommend", "simulate", "inspect"]
SMALL = ["--model", "hidden=8", "--model", "n_negatives=16", "--device", "cpu"]
RUN = [sys.executable, "-m", "nextclick.stream", "run"]

MOMENTS = {
    "while the commands are imported": """
import nextclick.stream.__main__ as entry
class Signalling:
    def find_spec(self, name, *rest):
        if name == "numpy":
            os.kill(os.getpid(), int(sys.argv.pop()))
            time.sleep(60)
sys.meta_path.insert(0, Signalling())
""",
    "while a library swallows exceptions": """
import nextclick.stream.__main__ as entry
import nextclick.stream.cli.app as cli
class Swallowing:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv.pop()))
        time.sleep(60)
del_later = [Swallowing()]
cli.main = del_later.clear
""",
}


def code(moment: str) -> str:
    return f"import os, sys, time\n{MOMENTS[moment]}\nentry.main()"


@functools.cache
def new_process_ids() -> bool:
    """Whether this machine lets a command run as process 1 of a namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_counts_from_the_first_moment(moment: str, number: signal.Signals) -> None:
    command = [sys.executable, "-c", code(moment), "inspect", "nowhere", str(int(number))]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 128 + number, done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_process_1_of_a_container_is_ended_by_sigterm_in_every_command(command: str) -> None:
    if not new_process_ids():
        pytest.skip("needs unshare of util-linux, and the right to use it")
    moment = code("while the commands are imported")
    done = subprocess.run(
        [
            *("unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", moment),
            *(command, "sim:clicks=10", str(int(signal.SIGTERM))),
        ],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 143, done.stderr


def until(there: Callable[[], Any], child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 100
    while not there():
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def clicks_saved(folder: Path) -> int:
    try:
        found = Snapshots(folder).load_newest()
    except OSError:
        return 0
    return 0 if found is None else int(found[1]["clicks"])


@pytest.mark.parametrize("number", STOPS)
def test_a_run_on_a_silent_pipe_ends_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "s"
    arguments = [*RUN, "-", *SMALL, "--snapshots", str(folder), "--snapshot-every", "1clicks"]
    child = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdin is not None
    click = {"session_id": 1, "item_id": 2, "timestamp": 3}
    child.stdin.write(json.dumps(click).encode() + b"\n")
    child.stdin.flush()
    until(lambda: clicks_saved(folder) == 1, child)
    child.send_signal(number)
    assert child.wait(120) == 0
    child.communicate()
    assert clicks_saved(folder) == 1


ENDLESS = """
import sys, time
from nextclick.stream.engine import Engine
from nextclick.stream.__main__ import main
def end(self):
    print("ending", flush=True)
    time.sleep(600)
Engine._end = end
poll = Engine._poll
def polled(self, wanted):
    clicks = poll(self, wanted)
    if self.clicks > 100:
        print("reading", flush=True)
    return clicks
Engine._poll = polled
main()
"""


@pytest.mark.parametrize("number", STOPS)
def test_a_second_signal_ends_a_run_at_once(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ["run", "sim:clicks=10000000", *SMALL, "--snapshots", str(tmp_path / "s")]
    child = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"reading\n"
    child.send_signal(number)
    while child.stdout.readline() != b"ending\n":
        assert child.poll() is None
    child.send_signal(number)
    assert child.wait(120) == 128 + number
    child.communicate()
