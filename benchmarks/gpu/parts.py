"""One part of ``make gpu``, in a process of its own: prints rows and notes, each a line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu import timing
from benchmarks.gpu.timing import Clock, row

ROOT = Path(__file__).parents[2]

OFFICIAL_BATCHES = (128, 512, 32)
"""The most telling first, here and below: time may run out."""


def tests(given: argparse.Namespace, clock: Clock) -> int:
    """Run the tests of the models on the device; return pytest's code."""
    chosen = ["tests/models/compute", "tests/models/test_gpu.py"]
    if given.quick:
        chosen = ["tests/models/compute/test_transfer.py"]
    options = ["-q", "-p", "no:cacheprovider", "-W", "default", "--tb", "short", "--durations", "5"]
    # Only what needs a GPU: the others run everywhere.
    options += [] if given.quick else ["-k", "gpu and not elsewhere"]
    return subprocess.run([sys.executable, "-m", "pytest", *options, *chosen]).returncode


def speed(given: argparse.Namespace, clock: Clock) -> int:
    """Time test and training by catalogue, memory, type and batch."""
    sizes = [300] if given.quick else [100_000, 10_000, 1_000_000]
    batches = [32, 64] if given.quick else [4096, 512, 128, 32, 2048]
    seconds = 0.1 if given.quick else 2.0
    for items in sizes:
        for memory, dtype in ((False, "float32"), (True, "float32"), (False, "bfloat16")):
            if dtype == "bfloat16" and items != sizes[0]:
                continue
            if clock.over(seconds):
                return 0
            model = timing.filled(items, memory, given.device, dtype, clock)
            for batch in batches:
                if clock.over(2 * seconds):
                    break
                speeds = timing.timed(model, items, batch, seconds)
                row(items=items, memory=memory, dtype=dtype, batch=batch, **speeds)
            del model
    return 0


def official(given: argparse.Namespace, clock: Clock) -> int:
    """Time the official training, and nextclick's test and training, at the same sizes."""
    checkout = given.official
    if not (checkout / "gru4rec_pytorch.py").exists():
        timing.note(
            f"The official GRU4Rec is not in {checkout}: copy a checkout of "
            "https://github.com/hidasib/GRU4Rec_PyTorch_Official to gpu-official."
        )
        return 0
    items, sessions = (300, 1_100) if given.quick else (21_282, 200_000)
    batches = OFFICIAL_BATCHES[:1] if given.quick else OFFICIAL_BATCHES
    seconds = 0.2 if given.quick else 5.0
    with tempfile.TemporaryDirectory() as folder:
        timing.write_sessions(Path(folder), sessions, items)
        model = timing.filled(items, False, given.device, "float32", clock)
        for batch in batches:
            if clock.over(3 * seconds):
                break
            theirs = official_speed(given, folder, batch, seconds)
            own = timing.timed(model, items, batch, seconds)
            pairs = own["pairs/s"]
            row(
                **{
                    "batch": batch,
                    "official training, pairs/s": theirs.get("training"),
                    "nextclick test and training, pairs/s": pairs,
                    "times": pairs / theirs["training"] if pairs and theirs else None,
                }
            )
    timing.note("Target: 10 times the official training, while every click is also ranked.")
    return 0


def official_speed(
    given: argparse.Namespace, folder: str, batch: int, seconds: float
) -> dict[str, float]:
    """Return the official code's pairs a second; nothing where it fails."""
    options = {
        "layers": [timing.HIDDEN],
        "batch_size": batch,
        "n_sample": timing.NEGATIVES,
        "sample_alpha": 0.75,
        "loss": "cross-entropy",
        "logq": 1.0,
        "learning_rate": 0.1,
        "device": given.device,
        "seconds": seconds,
        "threads": max(1, len(os.sched_getaffinity(0)) // 2),
    }
    script = ROOT / "benchmarks" / "peers" / "official_speed.py"
    command = [given.official_python, str(script), str(given.official), folder, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        timing.note(f"The official code failed at batch {batch}: {last}")
        return {}
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def serving(given: argparse.Namespace, clock: Clock) -> int:
    """Time recommendations for visitors who ask one by one, and together."""
    items = 300 if given.quick else 100_000
    for memory in (True, False):
        model = timing.filled(items, memory, given.device, "float32", clock)
        for together in (1, 32, 256):
            if clock.over(2):
                return 0
            speeds = timing.asked(model, together, 0.1 if given.quick else 3.0)
            row(items=items, memory=memory, together=together, **speeds)
    return 0


def command(given: argparse.Namespace, clock: Clock) -> int:
    """Run the command on the device and on the CPU, and resume each on the other."""
    clicks = 2_000 if given.quick else 40_000
    source = f"sim:clicks={clicks},seed=1"
    failed = 0
    for first, then in (("cpu", "cpu"), (given.device, "cpu"), ("cpu", given.device)):
        with tempfile.TemporaryDirectory() as folder:
            snapshots = ["--snapshots", f"{folder}/snapshots"]
            half = [*snapshots, "--device", first, "--max-clicks", str(clicks // 2)]
            rest = [*snapshots, "--device", then, "--json", f"{folder}/result.json"]
            for options in (half, rest):
                called = [sys.executable, "-m", "nextclick", "run", source, *options]
                done = subprocess.run(called, capture_output=True, text=True)
                if done.returncode:
                    timing.note(f"{' '.join(called[2:])} failed: {done.stderr.strip()}")
                    failed = 1
                    break
            else:
                result = json.loads(Path(folder, "result.json").read_text())
                row(**{"first half": first, "second half": then, **dict(figures(result))})
    return failed


def figures(result: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Return the figures in a run's result: every number whose name has an @."""
    for name, value in result.items():
        if isinstance(value, dict):
            yield from figures(value)
        elif "@" in name and isinstance(value, float):
            yield name, value


PARTS: dict[str, Callable[[argparse.Namespace, Clock], int]] = {
    "tests": tests,
    "speed": speed,
    "official": official,
    "serving": serving,
    "command": command,
}


def main() -> int:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--official", type=Path, default=Path("/tmp/official"))
    parser.add_argument("--official-python", default=sys.executable)
    given = parser.parse_args()
    return PARTS[given.part](given, Clock(given.seconds))


if __name__ == "__main__":
    sys.exit(main())
