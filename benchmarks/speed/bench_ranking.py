"""Time test and training of two checkouts by size of catalogue and batch, in alternating turns.

``python -m benchmarks.speed.bench_ranking --against DIR --against-python FILE``: the checkout that
this file belongs to beside another one, which needs an environment of its own. Each cell starts one
process per checkout, which makes a catalogue of items clicked once, learns some sessions of the
same kind as those that are timed, and then learns them batch by batch. The processes take turns, so
that both see the same machine. Without ``--against`` only this checkout is timed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
import torch
import typer

ITEMS, BATCHES = "21282,200000,1000000", "1,128,512"

ACTIVE, CLUSTER = 20_000, 20
"""Items among which the sessions move, and how many of them a session moves among."""

MEAN_LENGTH, LIVE = 5, 600
"""Clicks of a session, and sessions that are live at a time."""

FIRST_CLICKS = 3_000
"""Clicks learned before the clock starts, at most."""

TURNS = 7


def clicks(items: int, seed: int = 1) -> Iterator[tuple[int, int, bool]]:
    """Return an endless stream of clicks: session, item, and whether the session ends with it.

    Sessions are about one of many clusters of items; the first clusters are the most popular.
    """
    draws = np.random.default_rng(seed)
    active = min(items, ACTIVE)
    begun = 0
    live: list[tuple[int, int]] = []
    while True:
        while len(live) < LIVE:
            cluster = int(active // CLUSTER * draws.random() ** 2)
            live.append((begun, cluster * CLUSTER))
            begun += 1
        lane = int(draws.integers(LIVE))
        session, first = live[lane]
        item = (first + min(int(draws.geometric(0.2)), CLUSTER)) % active
        ends = bool(draws.random() < 1 / MEAN_LENGTH)
        yield session, item, ends
        if ends:
            del live[lane]


class Learner:
    """A model with a catalogue and a memory, and what it is to learn.

    Parameters
    ----------
    items, batch
        Items in its catalogue; clicks it tests and learns at a time.

    """

    def __init__(self, items: int, batch: int) -> None:
        from nextclick.models import OnlineGRU4Rec

        self._model: Any = OnlineGRU4Rec(max_items=items, device="cpu")
        self._choose_half()
        self._batch = batch
        self._stream = clicks(items)
        learn = getattr(self._model, "learn_many", None) or getattr(self._model, "learn")  # noqa: B009
        for start in range(0, items, 4096):
            part = list(range(start, min(start + 4096, items)))
            alone = [f"first {item}" for item in part]
            learn(alone, part)
            self._model.forget(alone)
        # Evidence for the memory, and something that the network has learned.
        for _ in range(FIRST_CLICKS // 512):
            self.learn(512)
        self.learn(batch)

    def _choose_half(self) -> None:
        """Rank as with ``--ranking auto``, if asked for; another checkout may not know how."""
        if os.environ.get("NEXTCLICK_RANKING") != "auto":
            return
        with suppress(ImportError):
            from nextclick.models.compute.half_scores import HalfChoice

            self._model.choose_half = HalfChoice()

    def learn(self, count: int) -> None:
        """Test and learn a batch."""
        batch = [next(self._stream) for _ in range(count)]
        self._model.test_then_learn([s for s, *_ in batch], [item for _, item, _ in batch])
        ended = [session for session, _, ends in batch if ends]
        if ended:
            self._model.forget(ended)

    def turn(self, seconds: float) -> tuple[int, float, float]:
        """Learn for some seconds; return clicks, the clock's seconds and the processor's."""
        began, busy, count = time.perf_counter(), time.process_time(), 0
        while not count or time.perf_counter() - began < seconds:
            self.learn(self._batch)
            count += self._batch
        return count, time.perf_counter() - began, time.process_time() - busy


def serve(items: int, batch: int) -> None:
    """Time turns of so many seconds as they are asked for on standard input, one a line."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // 2))
    learner = Learner(items, batch)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(learner.turn(float(line))), flush=True)


class Checkout:
    """A process that times turns of one checkout.

    Parameters
    ----------
    folder, python
        The checkout, and the Python of an environment that has it installed.
    items, batch
        The cell of the table.

    """

    def __init__(self, folder: Path, python: Path, items: int, batch: int) -> None:
        self._folder = folder
        command = [str(python), str(Path(__file__).resolve()), "--serve", f"{items},{batch}"]
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.turns: list[tuple[int, float, float]] = []
        self._answer()

    def turn(self, seconds: float) -> None:
        """Time a turn."""
        assert self._process.stdin
        print(seconds, file=self._process.stdin, flush=True)
        self.turns.append(self._answer())

    def _answer(self) -> Any:
        output: IO[str] | None = self._process.stdout
        line = output.readline() if output else ""
        if not line:
            raise RuntimeError(f"{self._folder} ended before it answered")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def rate(self, clock: int) -> float:
        """Return the median of clicks a second, by the clock (1) or by the processor's time (2)."""
        return statistics.median(turn[0] / turn[clock] for turn in self.turns)


def cell(folders: list[tuple[Path, Path]], items: int, batch: int, seconds: float) -> list[str]:
    """Return a row of the table."""
    checkouts = [Checkout(*folder, items, batch) for folder in folders]
    for _ in range(TURNS):
        for checkout in checkouts:
            checkout.turn(seconds / TURNS)
    for checkout in checkouts:
        checkout.close()
    row = [f"{items:,}", f"{batch:,}"]
    for clock in (1, 2):
        rates = [checkout.rate(clock) for checkout in checkouts]
        row += [f"{rate:,.0f}" for rate in rates]
        if len(rates) > 1:
            row.append(f"{rates[0] / rates[1]:.2f}")
    return row


def main(
    against: Annotated[Path | None, typer.Option(help="Another checkout.")] = None,
    against_python: Annotated[Path | None, typer.Option(help="The Python that has it.")] = None,
    items: Annotated[str, typer.Option(help="Sizes of the catalogue.")] = ITEMS,
    batches: Annotated[str, typer.Option(help="Sizes of the batch.")] = BATCHES,
    seconds: Annotated[float, typer.Option(help="For each cell and checkout.")] = 7.0,
    serve_cell: Annotated[str, typer.Option("--serve", hidden=True)] = "",
) -> None:
    """Print the table."""
    if serve_cell:
        serve(*(int(number) for number in serve_cell.split(",")))
        return
    folders = [(Path(__file__).resolve().parents[2], Path(sys.executable))]
    if against:
        folders.append((against, against_python or against / ".venv" / "bin" / "python"))
    names = ["this", "other", "ratio"] if against else ["this"]
    heads = [f"{of}, {name}" for of in ("clicks/s", "clicks/processor s") for name in names]
    print(f"| items | batch | {' | '.join(heads)} |\n|{' ---: |' * (2 + len(heads))}", flush=True)
    for size in items.split(","):
        for batch in batches.split(","):
            row = cell(folders, int(size), int(batch), seconds)
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
