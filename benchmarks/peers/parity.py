"""The official GRU4Rec and this code, side by side in the official protocol.

For example, from the repository's root:

    git clone https://github.com/hidasib/GRU4Rec_PyTorch_Official /tmp/official
    python3 -m venv /tmp/official_env
    /tmp/official_env/bin/pip install torch 'numpy<2' pandas
    .venv/bin/python -m benchmarks.peers.parity ../shared/data/yoochoose.csv.gz \
        --official /tmp/official --python /tmp/official_env/bin/python --clicks 150000

Both train on the same sessions for the same epochs, from the same initial weights for each seed;
with negatives, each draws its own. Prints a Markdown table of the loss of every epoch and of
Recall@20/MRR@20 in percent on the held-out last sessions, and whether the means agree within the
noise over seeds. The defaults are the official settings for this size on this shop's clicks
(``rsc15_xe_shared_100_best``) but for the dropout, which the official code applies to the state
that is carried on, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.peers.official_protocol import OfficialProtocol
from nextclick.connectors import LogSource

HELD_OUT = 10
"""Every session of the last tenth is held out."""

Sessions = list[list[int]]


def split(log: Path, clicks: int) -> tuple[Sessions, Sessions]:
    """Return the training sessions and the held-out ones, as numbers of items.

    Neither code can use a session of one click, nor test on an item that it was not trained on:
    these are left out for both.
    """
    stream = LogSource(log).poll(clicks or 1 << 40)
    assert stream is not None
    found: dict[Any, list[int]] = {}
    numbers: dict[Any, int] = {}
    for session, item in zip(stream.sessions, stream.items, strict=True):
        found.setdefault(session, []).append(numbers.setdefault(item, len(numbers)))
    sessions = [session for session in found.values() if len(session) > 1]
    first = len(sessions) - len(sessions) // HELD_OUT
    train = sessions[:first]
    known = {item for session in train for item in session}
    test = [[item for item in session if item in known] for session in sessions[first:]]
    return train, [session for session in test if len(session) > 1]


def write(sessions: Sessions, path: Path) -> None:
    """Write sessions in the official format; the time is the place in the file."""
    with path.open("w", encoding="utf-8") as file:
        file.write("SessionId\tItemId\tTime\n")
        place = 0
        for number, session in enumerate(sessions):
            for item in session:
                place += 1
                file.write(f"{number}\t{item}\t{place}\n")


def ours(
    train: Sessions, test: Sessions, options: dict[str, Any], lanes: int, epochs: int, seed: int
) -> list[float]:
    """Run this code; return the loss of every epoch, Recall@20 and MRR@20."""
    protocol = OfficialProtocol(train, options, lanes=lanes, seed=seed)
    losses = [float(np.mean(protocol.epoch())) for _ in range(epochs)]
    ranks = protocol.test(test)
    hits = ranks <= 20
    return [*losses, 100 * float(hits.mean()), 100 * float((hits / ranks).mean())]


def row(name: str, figures: Sequence[float]) -> str:
    """Return a line of the table."""
    losses = " | ".join(f"{loss:.4f}" for loss in figures[:-2])
    return f"| {name} | {losses} | {figures[-2]:.2f} | {figures[-1]:.2f} |"


def verdict(official: np.ndarray[Any, Any], own: np.ndarray[Any, Any]) -> list[bool]:
    """Return for each figure whether the means differ by at most twice the deviation over seeds."""
    noise = np.sqrt((official.var(axis=0, ddof=1) + own.var(axis=0, ddof=1)) / 2)
    agree: list[bool] = (np.abs(own.mean(axis=0) - official.mean(axis=0)) <= 2 * noise).tolist()
    print(row("difference of the means", own.mean(axis=0) - official.mean(axis=0)))
    print(row("standard deviation over seeds", noise))
    return agree


def main(
    log: Annotated[Path, typer.Argument(help="A click log.")],
    official: Annotated[Path, typer.Option(help="Checkout of the official code.")],
    python: Annotated[Path, typer.Option(help="A Python with torch, numpy<2 and pandas.")],
    clicks: Annotated[int, typer.Option(help="Only the first so many; 0: all.")] = 0,
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    seeds: Annotated[int, typer.Option(min=2, help="How many seeds, from 42.")] = 3,
    hidden: Annotated[int, typer.Option()] = 100,
    lanes: Annotated[int, typer.Option(help="Sessions a mini-batch.")] = 32,
    loss: Annotated[str, typer.Option(help="cross-entropy or bpr-max.")] = "cross-entropy",
    negatives: Annotated[int, typer.Option(help="Sampled a mini-batch.")] = 2048,
    alpha: Annotated[float, typer.Option()] = 0.5,
    logq: Annotated[float, typer.Option()] = 1.0,
    rate: Annotated[float, typer.Option()] = 0.2,
    momentum: Annotated[float, typer.Option()] = 0.2,
    regularisation: Annotated[float, typer.Option(help="Of BPR-max.")] = 1.0,
    elu: Annotated[float, typer.Option(help="Of BPR-max.")] = 0.5,
) -> None:
    """Run both and print the table; exit with 1 where they do not agree."""
    torch.set_num_threads(1)
    train, test = split(log, clicks)
    print(
        f"{sum(map(len, train)):,} clicks of {len(train):,} sessions to train, "
        f"{sum(map(len, test)):,} of {len(test):,} to test, "
        f"{len({item for session in train for item in session}):,} items\n"
    )
    shared = {"loss": loss, "momentum": momentum, "logq": logq}
    their_options = {
        **shared,
        "layers": [hidden],
        "batch_size": lanes,
        "n_sample": negatives,
        "sample_alpha": alpha,
        "learning_rate": rate,
        "bpreg": regularisation,
        "elu_param": elu,
        "n_epochs": epochs,
    }
    our_options = {
        **shared,
        "hidden": hidden,
        "n_negatives": negatives,
        "alpha": alpha,
        "learning_rate": rate,
        "item_learning_rate": rate,
        "regularisation": regularisation,
        "elu": elu,
    }
    heads = [f"loss, epoch {epoch + 1}" for epoch in range(epochs)] + ["Recall@20", "MRR@20"]
    print("| | " + " | ".join(heads) + " |\n" + "| --- " * (len(heads) + 1) + "|")
    figures: dict[str, list[list[float]]] = {"official": [], "nextclick": []}
    with tempfile.TemporaryDirectory() as folder:
        write(train, Path(folder, "train.tsv"))
        write(test, Path(folder, "test.tsv"))
        for seed in range(42, 42 + seeds):
            runner = Path(__file__).with_name("run_official.py")
            options = json.dumps({**their_options, "seed": seed})
            command = [str(python), str(runner), str(official), folder, options]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
                began = time.perf_counter()
                own = ours(train, test, our_options, lanes, epochs, seed)
                seconds = time.perf_counter() - began
                said, _ = process.communicate()
            if process.returncode:
                raise SystemExit(f"the official code failed with {process.returncode}, see above")
            result = json.loads(said)
            theirs = [*result["losses"], *(100 * value for value in result["tests"][0][:2])]
            figures["official"].append(theirs)
            figures["nextclick"].append(own)
            print(row(f"official, seed {seed}", theirs))
            print(row(f"nextclick, seed {seed}", own), flush=True)
            typer.echo(f"{seconds:.0f} s for seed {seed} with nextclick", err=True)
    found = {name: np.array(values) for name, values in figures.items()}
    for name, values in found.items():
        print(row(f"**{name}, mean**", values.mean(axis=0)))
    agree = verdict(found["official"], found["nextclick"])
    differing = [head for head, same in zip(heads, agree, strict=True) if not same]
    if differing:
        print(
            f"\nThey differ by more than the noise over {seeds} seeds in: {', '.join(differing)}."
        )
        raise SystemExit(1)
    print(f"\nThey agree within the noise over {seeds} seeds.")


if __name__ == "__main__":
    typer.run(main)
