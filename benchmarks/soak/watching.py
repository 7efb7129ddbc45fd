"""A process that is watched by its metrics, and verdicts on what they were."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

PATIENCE = 600.0
"""Seconds that a process may take to begin on a busy machine."""


class Verdict(NamedTuple):
    """What was found of one thing, and whether it is as it should be."""

    what: str
    found: str
    wanted: str
    kept: bool


def scrape(port: int) -> dict[str, float]:
    """Return the metrics of an engine, each summed over its labels but for the phases and buckets.

    Raises
    ------
    OSError
        It does not answer.

    """
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        text = page.read().decode()
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name
            if name.startswith("nextclick_phase_"):
                name += f"_{sample.labels['phase']}"
            if "le" not in sample.labels:
                values[name] = values.get(name, 0.0) + sample.value
    return values


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """Start ``nextclick run``; its notes go to this process' standard error."""
    return subprocess.Popen(
        [sys.executable, "-m", "nextclick", "run", *arguments], stdout=subprocess.DEVNULL
    )


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until an engine answers at an address with success.

    Raises
    ------
    RuntimeError
        It has ended, or takes too long.

    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urlopen(address, timeout=30).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the engine does not answer; exit code {process.poll()}")


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in Markdown."""
    lines = [
        " | ".join(heads),
        " | ".join("---" if at == 0 else "---:" for at in range(len(heads))),
    ]
    lines += [" | ".join(map(str, row)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def judged(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a table."""
    rows = [(one.what, one.found, one.wanted, "yes" if one.kept else "NO") for one in verdicts]
    return table(["", "found", "wanted", "kept"], rows)
