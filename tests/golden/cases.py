"""The commands whose results must not change, by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.golden import prints
from tests.golden.prints import Prints
from tests.suite_broker import any_broker

COMMAND = [sys.executable, "-c", "from nextclick.stream.__main__ import main; main()"]
LOGS = ("yoochoose", "deskdrop", "trivago")
SHOP = "sim:clicks=4000,seed=1"
LIMIT = 900.0
"""Seconds that one command may take."""

NETWORKS = {
    "lstm, top1-max, one-hot": "cell=lstm loss=top1-max embedding=one-hot optimizer=adam",
    "rnn, bpr-max, separate": (
        "cell=rnn loss=bpr-max embedding=separate regularisation=0.5 elu=1.0 bias=true "
        "optimizer=rmsprop clip=1.0"
    ),
    "two layers, dropout": (
        "hidden=[32,24] reset=after feed_forward=[20] activation=elu dropout=0.2 "
        "input_dropout=0.1 momentum=0.3 memory=0"
    ),
    "whole catalogue, smoothed": "loss=full-cross-entropy smoothing=0.1 optimizer=row-adagrad",
    "binary cross-entropy": "loss=binary-cross-entropy half_life=500 alpha=0.75 window=3",
    "bpr": "loss=bpr memory=500",
    "top1": "loss=top1 memory=0 identity=0.0",
    "second click admits, idle items leave": "sightings|min_count=2 idle|max_idle=200.0",
    "few negatives": "negatives|n_negatives=32 rate|learning_rate=0.05",
}
"""Options of `run`; of two names, with a bar between them, the one that this version has."""

RIVALS = (
    *("gru4rec", "gru4rec-network", "bert4rec", "bpr-mf", "context-tree", "fpmc"),
    *("gru4rec-frozen", "gru4rec-lstm", "gru4rec-retrained", "gru4rec-rnn", "item-knn", "markov"),
    *("popularity", "rules", "sasrec", "session-popularity", "stan", "vsknn", "vstan"),
)

Case = Callable[[Path], Prints]
"""Takes an empty folder, and returns fingerprints."""


def simulated() -> Iterator[tuple[str, Case]]:
    """Return what anybody can run."""
    yield "run, batch 64, memory, 2 cores", running(SHOP, cores=2)
    yield "run, batch 64, memory, 1 core", running(SHOP, cores=1)
    yield "run, batch 64, network alone, 2 cores", running(SHOP, "--memory", "off", cores=2)
    yield "run, batch 128, memory, 1 core", running(SHOP, "--batch", "128", cores=1)
    few = "sim:clicks=800,seed=2"
    yield "run, batch 1, memory, 2 cores", running(few, "--batch", "1", cores=2)
    alone = ("--batch", "1", "--memory", "off")
    yield "run, batch 1, network alone, 1 core", running(few, *alone, cores=1)
    yield (
        "run, every click recommended for, items and sessions pushed out",
        running(
            *("sim:clicks=2500,seed=3,life=0.002", "--recommend", "every", "-k", "5"),
            *("--exclude", "none"),
            *("--max-items", "300", "--max-sessions", "60", "--gap", "2m", "--lateness", "1s"),
            *("--window", "500"),
        ),
    )
    for name, options in NETWORKS.items():
        yield f"run, {name}", running("sim:clicks=1200,seed=4", model=options)
    yield "compare, every rival", comparing(few, RIVALS, "gru4rec-frozen.warm_up=300")
    slow = "sim:clicks=1600,sessions=1,items=200,seed=5"
    yield "compare, over a day", comparing(slow, ("markov", "gru4rec-retrained"))
    yield "run, killed and resumed", killed
    yield "run, a topic", topic


def logged(folder: Path) -> Iterator[tuple[str, Case]]:
    """Return what needs the three logs."""
    for name in LOGS:
        log = str(folder / f"{name}.csv.gz")
        most = ("--max-clicks", "20000")
        few = ("--max-clicks", "3000", "--batch", "1")
        yield f"{name}, batch 64, memory, 2 cores", running(log, *most, cores=2)
        yield (
            f"{name}, batch 64, network alone, 1 core",
            running(log, *most, "--memory", "off", cores=1),
        )
        yield f"{name}, batch 128, memory, 1 core", running(log, *most, "--batch", "128", cores=1)
        yield (
            f"{name}, batch 128, network alone, 2 cores",
            running(log, *most, "--batch", "128", "--memory", "off", cores=2),
        )
        yield f"{name}, batch 1, memory, 2 cores", running(log, *few, cores=2)
        yield (
            f"{name}, batch 1, network alone, 1 core",
            running(log, *few, "--memory", "off", cores=1),
        )
        yield (
            f"{name}, compare, every rival",
            comparing(log, RIVALS, "gru4rec-frozen.warm_up=500", clicks=1500),
        )


def running(source: str, *options: str, model: str = "", cores: int = 2) -> Case:
    """Return a case of ``nextclick run``: figures, recommendations, and its last snapshot."""

    def case(folder: Path) -> Prints:
        chosen = [word for option in _named(model, folder) for word in ("--model", option)]
        _nextclick(["run", source, *options, *chosen, *_outputs(folder)], cores)
        return _all_of(folder)

    return case


def comparing(source: str, models: Sequence[str], *options: str, clicks: int = 0) -> Case:
    """Return a case of ``nextclick compare``: figures, and its last snapshot."""

    def case(folder: Path) -> Prints:
        listed = ["--models", ",".join(models), "--device", "cpu"]
        chosen = [word for option in options for word in ("--model", option)]
        most = ["--max-clicks", str(clicks)] if clicks else []
        outputs = ["--json", str(folder / "figures.json"), "--snapshots", str(folder / "snapshots")]
        _nextclick(["compare", source, *listed, *chosen, *most, *outputs], 2)
        return prints.of_figures(folder / "figures.json") | prints.of_snapshot(folder / "snapshots")

    return case


def killed(folder: Path) -> Prints:
    """Kill a run between its snapshots, and let it go on to the end."""
    command = ["run", SHOP, *_outputs(folder), "--snapshot-every", "500clicks"]
    process = subprocess.Popen(
        [*COMMAND, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + LIMIT
        # Named last, when it is whole; the first one is of no clicks.
        while len(list((folder / "snapshots").glob("clicks-*"))) < 2:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the run ended before it could be killed")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    _nextclick(command, 2)
    return _all_of(folder)


def topic(folder: Path) -> Prints:
    """Publish the shop's clicks to a topic of four partitions, and run on that."""
    broker = any_broker(folder / "broker")
    log = str(folder / "shop.csv")
    _nextclick(["simulate", "--clicks", "4000", "--seed", "1", "--out", log], 2)
    broker.start()
    try:
        name = f"kafka://{broker.address}/golden-{os.getpid()}"
        _nextclick(["replay", log, "--to", name, "--make-topic", "4"], 2)
        _nextclick(["run", name, "--until-end", *_outputs(folder)], 2)
    finally:
        broker.stop()
    found = prints.of_figures(folder / "figures.json") | prints.of_snapshot(folder / "snapshots")
    # How a topic is cut into polls is chance, and with it when a click is recommended for.
    chance = ("about position", "value engine.position", "value engine.pending.answered")
    found = {key: value for key, value in found.items() if not key.startswith(chance)}
    return found | {"records": prints.of_records(folder / "records.jsonl")["records"]}


def _outputs(folder: Path) -> list[str]:
    return [
        *("--device", "cpu", "--json", str(folder / "figures.json")),
        *("--snapshots", str(folder / "snapshots"), "--snapshot-every", "1000clicks"),
        *("--recommendations", str(folder / "records.jsonl")),
    ]


def _all_of(folder: Path) -> Prints:
    return (
        prints.of_figures(folder / "figures.json")
        | prints.of_records(folder / "records.jsonl")
        | prints.of_snapshot(folder / "snapshots")
    )


def _nextclick(arguments: Sequence[str], cores: int) -> None:
    """Run the command line on `cores` cores: its threads follow from them."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    if done.returncode:
        raise RuntimeError(f"nextclick {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")


def _named(options: str, folder: Path) -> list[str]:
    """Return the options by the names that this version gives them."""
    words = options.split()
    known: dict[str, Any] = {}
    if any("|" in word for word in words):
        path = folder / "names.json"
        _nextclick(["run", "sim:clicks=1", "--device", "cpu", "--json", str(path)], 2)
        known = json.loads(path.read_bytes())["config"]["model"]
    chosen = []
    for word in words:
        names, _, value = word.partition("=")
        name = next((name for name in names.split("|") if name in known), names.partition("|")[0])
        chosen.append(f"{name}={value}")
    return chosen
