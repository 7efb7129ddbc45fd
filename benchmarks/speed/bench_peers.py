"""nextclick beside others, in one run: scored pairs a second, the same log, the same sizes.

Others cannot be installed beside this one; they are given by path, each with a Python of its own:

    git clone https://github.com/hidasib/GRU4Rec_PyTorch_Official /tmp/official
    python3 -m venv /tmp/official_env
    /tmp/official_env/bin/pip install torch 'numpy<2' pandas
    python3 -m venv /tmp/deep_river_env
    /tmp/deep_river_env/bin/pip install deep-river pytest

One that is not there is left out, and that is said.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Hashable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from river import dummy, evaluate, metrics, naive_bayes

from benchmarks.peers.parity import Sessions, split, write
from benchmarks.speed.bench_end_to_end import NETWORK, primed, run
from benchmarks.speed.measuring import YOOCHOOSE, Device, JsonFile, Log, Report, cores, on_cores
from nextclick.connectors import LogSource

BATCH, HIDDEN, NEGATIVES = 128, 100, 2048
AT_LEAST, AT_LEAST_WITH_TEST = 1.3, 3.0
"""Targets: times the official training, and times its training with its evaluation."""

Official = Annotated[Path, typer.Option(help="A checkout of the official code.")]
OfficialPython = Annotated[Path, typer.Option(help="A Python with torch, numpy<2 and pandas.")]
DeepRiverPython = Annotated[Path, typer.Option(help="A Python with deep-river.")]


def call(python: Path, script: str, *arguments: str) -> dict[str, float] | None:
    """Run a script beside this one in another Python, and return what it prints as JSON.

    None where it fails; its own words are on the terminal then.
    """
    command = [str(python), str(Path(__file__).parents[1] / "peers" / script), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True)
    if done.returncode:
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def pairs_of(sessions: Sessions) -> Iterator[tuple[int, int]]:
    """Return each item with the next one in its session."""
    for session in sessions:
        yield from pairwise(session)


def river_speed(model: Any, sessions: Sessions, seconds: float) -> float:
    """Return the pairs a second of river's progressive loop."""
    count = 0
    began = time.perf_counter()

    def stream() -> Iterator[tuple[dict[Hashable, Any], int]]:
        nonlocal count
        for item, following in pairs_of(sessions):
            if time.perf_counter() - began > seconds:
                return
            count += 1
            # One feature for the item, as a bag of words would have it.
            yield {str(item): 1}, following

    evaluate.progressive_val_score(stream(), model, metrics.Accuracy())
    return count / (time.perf_counter() - began)


def measure(
    report: Report,
    device: str,
    log: Path = YOOCHOOSE,
    official: Path = Path("/tmp/official"),
    official_python: Path = Path("/tmp/official_env/bin/python"),
    deep_river_python: Path = Path("/tmp/deep_river_env/bin/python"),
    seconds: float = 5.0,
    rounds: int = 3,
) -> None:
    """Add the table."""
    report.table(
        f"Peers: hidden {HIDDEN}, {NEGATIVES:,} negatives, batch {BATCH} where there are batches",
        ["who", "what", "cores", "pairs/s", "this engine is so many times as fast"],
    )
    counts = sorted({1, min(2, cores())})
    state = primed(log, NETWORK, device)
    own: dict[int, list[float]] = {count: [] for count in counts}

    def go(count: int) -> None:
        with on_cores(count):
            found = run(LogSource(log), NETWORK, state, BATCH, seconds, device, {})
        own[count].append(found.pairs / found.seconds)

    def beside(who: str, what: str, count: int, speeds: list[float]) -> None:
        """Add a row: medians of the rounds, and of the ratio within each where there are any."""
        speed = statistics.median(speeds)
        ratio = statistics.median(own[count]) / speed
        if len(speeds) == len(own[count]):
            pairs = zip(own[count], speeds, strict=True)
            ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        report.row(who, what, count, speed, ratio)

    train, test = split(log, 0)
    with tempfile.TemporaryDirectory() as folder:
        if (official / "gru4rec_pytorch.py").exists() and official_python.exists():
            write(train, Path(folder, "train.tsv"))
            write(test, Path(folder, "test.tsv"))
            options = {
                "layers": [HIDDEN],
                "batch_size": BATCH,
                "n_sample": NEGATIVES,
                "sample_alpha": 0.75,
                "loss": "cross-entropy",
                "logq": 1.0,
                "learning_rate": 0.1,
                "device": device,
                "seconds": seconds,
            }
            found: dict[tuple[str, int], list[float]] = {}
            failed = False
            # In turn, since a machine that others use is not as fast from one minute to the next.
            for _ in range(rounds):
                for count in counts:
                    go(count)
                    given = json.dumps({**options, "threads": count})
                    with on_cores(count):
                        theirs = call(
                            official_python, "official_speed.py", str(official), folder, given
                        )
                    if theirs is None:
                        failed = True
                        continue
                    both = 1 / (1 / theirs["training"] + 1 / theirs["evaluation"])
                    speeds = {**theirs, "training and evaluation": both}
                    for what, speed in speeds.items():
                        found.setdefault((what, count), []).append(speed)
            if failed:
                report.note(f"The official GRU4Rec failed in {official_python}.")
            for (what, count), rates in found.items():
                beside("official GRU4Rec", what, count, rates)
        else:
            report.note(f"The official GRU4Rec is not in {official}, or {official_python} is not.")
            for count in counts:
                go(count)
        for count in counts:
            beside("nextclick", "read, test, train, metrics", count, own[count])
        for model in (dummy.NoChangeClassifier(), naive_bayes.MultinomialNB()):
            with on_cores(1):
                speed = river_speed(model, train, seconds)
            beside(f"river, {type(model).__name__}", "test, train, metric", 1, [speed])
        if deep_river_python.exists():
            pairs = Path(folder, "pairs")
            first = [pair for pair, _ in zip(pairs_of(train), range(20_000), strict=False)]
            pairs.write_text("".join(f"{item} {following}\n" for item, following in first))
            options = {"hidden": HIDDEN, "window": NETWORK.window, "seconds": seconds}
            for count in counts:
                given = json.dumps({**options, "threads": count, "device": device})
                with on_cores(count):
                    theirs = call(deep_river_python, "deep_river_speed.py", str(pairs), given)
                if theirs is None:
                    report.note(f"deep-river failed in {deep_river_python}.")
                    continue
                beside("deep-river, RollingClassifier", "test, train", count, [theirs["pairs"]])
        else:
            report.note(f"deep-river is left out: there is no {deep_river_python}.")
    report.note(
        f"Targets on two cores: {AT_LEAST} times the official training, {AT_LEAST_WITH_TEST} "
        "times its training and evaluation together."
    )


def main(
    json_file: JsonFile = None,
    device: Device = "cpu",
    log: Log = YOOCHOOSE,
    official: Official = Path("/tmp/official"),
    official_python: OfficialPython = Path("/tmp/official_env/bin/python"),
    deep_river_python: DeepRiverPython = Path("/tmp/deep_river_env/bin/python"),
    seconds: Annotated[float, typer.Option(help="That each row is measured.")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1, help="In which the official code has turns.")] = 3,
) -> None:
    """Print the table of peers."""
    report = Report(device, json_file)
    measure(report, device, log, official, official_python, deep_river_python, seconds, rounds)


if __name__ == "__main__":
    typer.run(main)
