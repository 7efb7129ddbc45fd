"""All that is to be found out on a machine with a GPU, in ten minutes at most: ``make gpu``.

Finds a Python whose torch has CUDA, and runs each part in a process of its own, which is ended
when its time is over. Tables are printed, and written as JSON, row by row: a part that fails or
takes too long is told, and the others run. ``--device cpu --quick`` runs the same parts, at tiny
sizes, on any machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu.environment import ROOT, Environment, find, pack

LIMIT = 570.0
"""Seconds of all parts together."""


class Part(NamedTuple):
    """A part: what it is about, and its share of the time."""

    name: str
    seconds: float
    title: str


PARTS = [
    Part("tests", 150, "GPU tests: all models, float32 and bfloat16, beside the CPU's figures"),
    Part("speed", 190, "Test and training, every click ranked exactly"),
    Part("official", 80, "The official GRU4Rec's training on the same card"),
    Part("serving", 50, "Recommendations"),
    Part("command", 60, "nextclick run on the GPU, resumed on the CPU"),
]


class Results:
    """Tables and remarks, printed as they come and kept in a JSON file."""

    def __init__(self, file: Path, facts: dict[str, Any]) -> None:
        self._file = file
        self.found: dict[str, Any] = {"machine": facts, "parts": {}}
        for name, fact in facts.items():
            print(f"{name}: {fact}", flush=True)

    def begin(self, part: Part) -> None:
        """Begin a part."""
        self._rows: list[dict[str, Any]] = []
        self._part: dict[str, Any] = {
            "title": part.title,
            "rows": self._rows,
            "notes": [],
            "outcome": "began",
        }
        self.found["parts"][part.name] = self._part
        self._columns: list[str] = []
        print(f"\n### {part.title}\n", flush=True)
        self.save()

    def line(self, line: str) -> None:
        """Take a line that a part prints: a row or a note in JSON, or anything else."""
        try:
            told = json.loads(line) if line.startswith("{") else None
        except ValueError:
            told = None
        if not isinstance(told, dict):
            print(line, flush=True)
            return
        if "note" in told:
            self._part["notes"].append(told["note"])
            print(f"\n{told['note']}\n", flush=True)
        else:
            self._rows.append(told)
            if list(told) != self._columns:
                self._columns = list(told)
                print(f"\n| {' | '.join(told)} |\n| --- |" + " ---: |" * (len(told) - 1))
            print(f"| {' | '.join(map(shown, told.values()))} |", flush=True)
        self.save()

    def end(self, outcome: str, seconds: float) -> None:
        """End the part."""
        self._part |= {"outcome": outcome, "seconds": round(seconds, 1)}
        print(f"\n{self._part['title']}: {outcome} ({seconds:.0f} s)", flush=True)
        self.save()

    def save(self) -> None:
        """Write everything, in one step: an early end leaves the file whole."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".part")
        beside.write_text(json.dumps(self.found, indent=1))
        beside.replace(self._file)


def shown(cell: Any) -> str:
    """Write a cell: whole numbers with commas, others with three digits, None as a dash."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def run_part(part: Part, given: argparse.Namespace, found: Environment, results: Results) -> str:
    """Run a part in a process of its own; return how it ended."""
    command = [found.python, "-m", "benchmarks.gpu.parts", part.name, "--device", given.device]
    command += ["--seconds", str(part.seconds), "--official", str(given.official)]
    command += ["--official-python", given.official_python or found.python]
    command += ["--quick"] if given.quick else []
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=found.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    late = threading.Event()

    def end() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(part.seconds, end)
    timer.start()
    with process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                results.line(line.rstrip("\n"))
            code = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if late.is_set():
        return f"ended after its {part.seconds:.0f} seconds; its rows so far count"
    return "done" if code == 0 else f"failed with code {code}"


def facts_of(found: Environment) -> dict[str, Any]:
    """Return what the figures depend on besides this code."""
    script = (
        "import json, torch\n"
        "cuda = torch.cuda.is_available()\n"
        "print(json.dumps({'torch': torch.__version__, 'cuda': torch.version.cuda,\n"
        "    'card': torch.cuda.get_device_name() if cuda else None}))"
    )
    done = subprocess.run(
        [found.python, "-c", script], capture_output=True, text=True, env=found.variables
    )
    facts: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    command = ["git", "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        commit = ""
    return {
        **facts,
        "python": found.python,
        "commit": commit or "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "missing": ", ".join(found.missing) or "nothing",
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make gpu", description=__doc__)
    parser.add_argument("--device", choices=["auto", "cuda", "cpu"], default="auto")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only shows that it runs")
    parser.add_argument("--parts", default=",".join(part.name for part in PARTS))
    parser.add_argument("--json", type=Path, default=ROOT / "gpu" / "gpu.json")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of all parts")
    parser.add_argument(
        "--official", type=Path, default=None, help="a checkout of the official GRU4Rec"
    )
    parser.add_argument("--official-python", default="", help="a Python that can run it")
    parser.add_argument("--pack", metavar="VERSION", help="only download packages, for a Python")
    return parser.parse_args()


def main() -> int:
    """Run the parts."""
    began = time.monotonic()
    given = arguments()
    if given.pack:
        pack(given.pack)
        return 0
    carried = ROOT / "gpu-official"
    given.official = given.official or (carried if carried.exists() else Path("/tmp/official"))
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        found = find(Path(folder), given.device)
        if given.device == "auto":
            given.device = "cuda" if found.cuda else "cpu"
        if given.device == "cuda" and not found.cuda:
            raise SystemExit(
                f"device is cuda, but the torch of {found.python} sees no GPU: "
                "run it on a machine that has one, or give --device cpu --quick."
            )
        results = Results(given.json, {"device": given.device, **facts_of(found)})
        if found.missing:
            print(
                f"\n{found.python} lacks {', '.join(found.missing)}: what needs them will fail. "
                "Run `make gpu-pack` where there is a network, and carry gpu-wheels here."
            )
        for part in PARTS:
            if part.name not in given.parts.split(","):
                continue
            left = given.limit - (time.monotonic() - began)
            results.begin(part)
            start = time.monotonic()
            if left < min(5, part.seconds):
                outcome = "left out: no time was left"
            else:
                timed = part._replace(seconds=min(part.seconds, left))
                outcome = run_part(timed, given, found, results)
            results.end(outcome, time.monotonic() - start)
            outcomes.append(outcome)
    print(f"\nWritten to {given.json}, {time.monotonic() - began:.0f} s in all.")
    return int(any(outcome != "done" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
