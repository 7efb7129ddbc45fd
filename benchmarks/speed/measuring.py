"""What the benchmarks share: the machine's facts, tables, and a process of its own for a row."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
import typer

T = TypeVar("T")

DATA = Path(__file__).parents[3] / "shared" / "data"

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the tables there too.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Log = Annotated[Path, typer.Option(exists=True, dir_okay=False, help="A click log.")]
YOOCHOOSE = DATA / "yoochoose.csv.gz"


class Report:
    """Tables, printed row by row as they are measured, and kept for a JSON file.

    Parameters
    ----------
    device
        Where the models compute, for the machine's facts.
    json_file
        Where everything is written after each table's row, so that an early end loses nothing.

    """

    def __init__(self, device: str, json_file: Path | None) -> None:
        self._file = json_file
        self.facts = machine(device)
        self.tables: list[dict[str, Any]] = []
        print("\n".join(f"{name}: {fact}" for name, fact in self.facts.items()))

    def table(self, title: str, columns: Sequence[str]) -> None:
        """Begin a table."""
        self.tables.append({"title": title, "columns": list(columns), "rows": [], "notes": []})
        print(f"\n### {title}\n\n| {' | '.join(columns)} |")
        print("| --- |" + " ---: |" * (len(columns) - 1), flush=True)

    def row(self, *cells: Any) -> None:
        """Add a row to the table begun last; a float keeps three digits in print, all in JSON."""
        self.tables[-1]["rows"].append(list(cells))
        print(f"| {' | '.join(map(shown, cells))} |", flush=True)
        self._save()

    def note(self, sentence: str) -> None:
        """Print a remark on the table begun last."""
        self.tables[-1]["notes"].append(sentence)
        print(f"\n{sentence}", flush=True)
        self._save()

    def _save(self) -> None:
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            found = {"machine": self.facts, "tables": self.tables}
            self._file.write_text(json.dumps(found, indent=1))


def shown(cell: Any) -> str:
    """Write a cell: whole numbers with commas, others with three digits, None as a dash."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        if abs(cell) >= 100:
            return f"{cell:,.0f}"
        return f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def machine(device: str) -> dict[str, str]:
    """Return what a figure depends on besides this code."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    facts = {
        "processor": names[0] if names else platform.processor(),
        "cores": str(cores()),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "versions": ", ".join(
            f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "pyarrow", "river")
        ),
        "commit": _commit(),
    }
    if device == "cuda":
        facts["card"] = torch.cuda.get_device_name()
    return facts


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        here = Path(__file__).parent
        return subprocess.run(command, cwd=here, capture_output=True, text=True).stdout.strip()
    except OSError:
        return "unknown"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Restrict this thread, and those that it starts, to `count` cores.

    Torch takes half of them, at least one, as a run does: ranking has a thread of its own.
    """
    allowed, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, sorted(allowed)[:count])
    torch.set_num_threads(max(1, count // 2))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.sched_setaffinity(0, allowed)


def alone(task: Callable[..., T], *arguments: Any) -> T:
    """Run a task in a fresh process, so that its memory is its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_quiet, task, *arguments).result()


def _quiet(task: Callable[..., T], *arguments: Any) -> T:
    torch.set_num_threads(1)
    return task(*arguments)


def resident_mb() -> float:
    """Return the memory that this process holds now, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def synchronise(device: str) -> None:
    """Wait until a GPU has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def median_seconds(task: Callable[[], object], device: str, seconds: float = 0.3) -> float:
    """Return the median time of a task, run for some seconds and at least five times."""
    task()
    synchronise(device)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        task()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
