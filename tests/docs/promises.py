"""What versions promise to keep (docs/operate/versions.md), as it is now.

``python -m tests.docs.promises`` writes it to ``promises.json`` beside this file: at a release,
when something new is to be promised, and never to make a failure of test_promises.py go away.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import typer

from nextclick.stream import CompareConfig, RunConfig, compare, run
from nextclick.stream.cli import exit_codes
from nextclick.stream.cli.app import app
from nextclick.stream.cli.option_tables import COMMANDS
from nextclick.stream.config.declaration import declared
from nextclick.stream.config.model_options import model_options
from nextclick.stream.snapshots.upgrade import FORMAT, unreadable

FILE = Path(__file__).with_name("promises.json")
SMALL: dict[str, Any] = {"hidden": 4, "n_negatives": 4}
PACKAGES = ("connectors", "models", "stream")
WAIT = 240.0
KINDS = {bool: "flag", int: "number", float: "number", str: "text", type(None): "null"}

Promise = dict[str, Any]


def now() -> Promise:
    """Return what there is to promise, by subject."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "flags": flags(),
            "options": options(),
            "exit codes": {"mistake": exit_codes.MISTAKE, "no clicks": exit_codes.NO_CLICKS},
            "snapshot formats": [each for each in range(FORMAT + 1) if unreadable(each) is None],
            "python": python(),
            "files": files(folder),
            "http": http(),
        }


def flags() -> dict[str, list[str]]:
    """Return the flags of every command."""
    commands = typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    return {
        name: sorted(flag for each in command.params for flag in each.opts if flag[0] == "-")
        for name, command in commands
    }


def options() -> dict[str, list[str]]:
    """Return the keys of a TOML file for every command, and the options of the model."""
    keys = {
        command: sorted(
            each.name for kind in kinds for each in declared(kind).values() if each.option.file
        )
        for command, kinds in COMMANDS.items()
    }
    return {**keys, "[model]": sorted(each.name for each in model_options())}


def python() -> dict[str, list[str]]:
    """Return every public name with its parameters, and those of its public methods."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        module = importlib.import_module(f"nextclick.{package}")
        for name in module.__all__:
            value = getattr(module, name)
            place = f"{package}.{name}"
            if inspect.isfunction(value):
                found[place] = list(inspect.signature(value).parameters)
            elif inspect.isclass(value):
                found[place] = []
                for method, function in inspect.getmembers(value, inspect.isfunction):
                    if not method.startswith("_") and of_nextclick(function):
                        found[f"{place}.{method}"] = list(inspect.signature(function).parameters)
            else:
                found[place] = []
    return found


def of_nextclick(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("nextclick.")


def files(folder: Path) -> dict[str, Any]:
    """Return the keys of what runs and comparisons write."""
    log = folder / "clicks.jsonl"
    rows = [
        {"session_id": f"s{n // 3}", "item_id": n * n % 11, "timestamp": 1.7e9 + n}
        for n in range(600)
    ]
    log.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"session_id": "x"}]))
    found: dict[str, Any] = {}
    config: dict[str, Any] = {"model": SMALL, "device": "cpu", "window": 100}
    for how in ("scored", "every"):
        lists = folder / f"{how}.jsonl"
        result = run(
            log,
            RunConfig(
                **config,
                recommend=how,
                recommendations=str(lists),
                dead_letters=str(folder / "dead.jsonl"),
                shadow={"markov": {}},
                fresh=True,
            ),
        )
        found[f"recommendation, {how}"] = shape(json.loads(lists.read_text().splitlines()[-1]))
    found["dead letter"] = shape(json.loads((folder / "dead.jsonl").read_text().splitlines()[0]))
    found["run"] = shape(without_options(result))
    models = {"gru4rec": SMALL, "markov": {}}
    compared = compare(log, CompareConfig(models=models, device="cpu", k=[1, 20]))
    found["compare"] = shape(without_options(compared))
    return found


def without_options(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "config"}


def shape(value: Any, place: str = "") -> list[str]:
    """Return the keys in a value by path, each with what kind of value it has."""
    if isinstance(value, dict):
        return sorted(
            {each for key, inner in value.items() for each in shape(inner, f"{place}.{key}")}
        ) or [f"{place[1:]}: table"]
    if isinstance(value, list):
        return sorted({each for inner in value for each in shape(inner, f"{place}[]")}) or [
            f"{place[1:]}: list"
        ]
    return [f"{place[1:]}: {KINDS[type(value)]}"]


def http() -> dict[str, Any]:
    """Return the paths, fields and metrics of a running engine."""
    with engine() as address:

        def fetch(path: str) -> str:
            with urlopen(address + path, timeout=60) as answer:
                return str(answer.read().decode())

        described = json.loads(fetch("/openapi.json"))
        metrics = re.findall(r"^# TYPE (nextclick_\w+)", fetch("/metrics"), re.MULTILINE)
        return {
            "paths": {path: sorted(each) for path, each in described["paths"].items()},
            "fields": {
                name: sorted(each.get("properties", ()))
                for name, each in described["components"]["schemas"].items()
            },
            "list": shape(json.loads(fetch("/v1/recommend?items=1&k=2"))),
            "stats": shape(json.loads(fetch("/v1/stats"))),
            "metrics": sorted(name for name in metrics if not name.endswith("_created")),
        }


@contextmanager
def engine() -> Iterator[str]:
    """Run an engine on the simulated shop, and yield its address."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = ["run", "sim:clicks=2000000", "--serve", str(port), "--device", "cpu"]
    small = [word for name, value in SMALL.items() for word in ("--model", f"{name}={value}")]
    process = subprocess.Popen(
        [sys.executable, "-m", "nextclick", *command, *small],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + WAIT
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
                    break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


if __name__ == "__main__":
    FILE.write_text(json.dumps(now(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
