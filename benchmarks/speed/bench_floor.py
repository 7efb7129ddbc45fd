"""The engine beside its floor: the same arithmetic as bare matrix products, the same bytes moved.

For the mean batch of a log's first clicks every matrix product of its test and its training step is
carried out alone, in its own shape, into memory that is there already, on all cores at once. To
their time is added that of the bytes which must pass at least once beside the products, at the
bandwidth measured for arrays as large as the scores. No program with this arithmetic is faster than
its products; a program that fuses everything with them could do without the second part.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
import typer

from benchmarks.speed.bench_end_to_end import HIDDEN, NETWORK, primed, run
from benchmarks.speed.measuring import (
    YOOCHOOSE,
    Device,
    JsonFile,
    Log,
    Report,
    cores,
    median_seconds,
    on_cores,
)
from nextclick.connectors import LogSource
from nextclick.models import GRU4RecConfig
from nextclick.stream import Sessionizer

BATCHES = (128, 512)
NUMBER = 4
"""Bytes of a number."""


class Batch(NamedTuple):
    """The mean batch of a log.

    Parameters
    ----------
    pairs
        Scored clicks.
    steps
        Clicks in their windows, all together: steps of the recurrence.
    catalogue
        Items ranked.

    """

    pairs: int
    steps: int
    catalogue: int


def mean_batch(log: Path, batch: int, window: int, clicks: int = 50_000) -> Batch:
    """Find a log's mean batch, over its first clicks and with its whole catalogue."""
    stream = LogSource(log).poll(1 << 40)
    assert stream is not None
    first = Sessionizer(86_400.0, 0.0, 1 << 40).assign(
        stream.sessions[:clicks], stream.times[:clicks]
    )
    lengths: dict[int, int] = {}
    pairs = steps = 0
    for handle in first.handles.tolist():
        before = lengths.get(handle, 0)
        lengths[handle] = before + 1
        pairs += before > 0
        steps += min(before, window)
    share = batch / len(first.handles)
    return Batch(round(pairs * share), round(steps * share), len(set(stream.items)))


def products(batch: Batch, recipe: GRU4RecConfig) -> Iterator[tuple[str, int, int, int]]:
    """Return each product's name and shape: (a, b) by (b, c)."""
    (hidden,) = recipe.layers
    pairs, steps, catalogue = batch
    candidates = pairs + recipe.n_negatives
    yield "rank", pairs, hidden, catalogue
    yield "input to gates", steps, hidden, 3 * hidden
    yield "state to gates", steps, hidden, 3 * hidden
    yield "scores of candidates", pairs, hidden, candidates
    yield "gradient of outputs", pairs, candidates, hidden
    yield "gradient of candidates", candidates, pairs, hidden
    yield "gradient of inputs", steps, 3 * hidden, hidden
    yield "gradient of states", steps, 3 * hidden, hidden
    yield "gradient of input weights", 3 * hidden, steps, hidden
    yield "gradient of state weights", 3 * hidden, steps, hidden


def moved(batch: Batch, recipe: GRU4RecConfig) -> int:
    """Count the bytes that pass beside the products, each written or read once by necessity."""
    (hidden,) = recipe.layers
    pairs, steps, catalogue = batch
    candidates = pairs + recipe.n_negatives
    ranked = 2 * pairs * catalogue  # Scores written, then compared.
    loss = 3 * pairs * candidates  # Scores written; read for, and overwritten by, their gradient.
    gates = 4 * 3 * steps * hidden  # Written, read at the gradient; so are their gradients.
    # Values gathered, gradients written and read; values and squares read and written.
    rows = (candidates + steps) * hidden * 7
    return NUMBER * (ranked + loss + gates + rows)


def bare(batch: Batch, recipe: GRU4RecConfig, device: str) -> tuple[float, float, float]:
    """Return the seconds of the products and of the bytes, and the products' operations."""
    seconds = operations = 0.0
    for _, a, b, c in products(batch, recipe):
        left, right = torch.rand(a, b, device=device), torch.rand(b, c, device=device)
        out = torch.empty(a, c, device=device)
        seconds += median_seconds(lambda: torch.mm(left, right, out=out), device, 0.1)  # noqa: B023
        operations += 2.0 * a * b * c
    scores = torch.rand(batch.pairs, batch.catalogue, device=device)
    copy = torch.empty_like(scores)
    bandwidth = 2 * NUMBER * scores.numel() / median_seconds(lambda: copy.copy_(scores), device)
    return seconds, moved(batch, recipe) / bandwidth, operations


def measure(report: Report, device: str, log: Path = YOOCHOOSE, seconds: float = 4.0) -> None:
    """Add the table."""
    report.table(
        "The floor: milliseconds a batch, network alone",
        [
            "hidden",
            "batch",
            "cores",
            "pairs",
            "Gflop/s of bare products",
            "products",
            "bytes",
            "floor",
            "engine",
            "products, % of engine",
            "floor, % of engine",
        ],
    )
    for hidden in HIDDEN:
        recipe = msgspec.structs.replace(NETWORK, hidden=hidden)
        state = primed(log, recipe, device)
        for count in sorted({1, min(2, cores())}):
            for size in BATCHES:
                batch = mean_batch(log, size, recipe.window)
                with on_cores(count):
                    found = run(LogSource(log), recipe, state, size, seconds, device, {})
                    torch.set_num_threads(count)
                    arithmetic, memory, operations = bare(batch, recipe, device)
                # As many pairs as the floor's batch has.
                engine = found.seconds / found.pairs * batch.pairs
                report.row(
                    hidden,
                    size,
                    count,
                    batch.pairs,
                    operations / arithmetic / 1e9,
                    1e3 * arithmetic,
                    1e3 * memory,
                    1e3 * (arithmetic + memory),
                    1e3 * engine,
                    100 * arithmetic / engine,
                    100 * (arithmetic + memory) / engine,
                )


def main(
    json_file: JsonFile = None, device: Device = "cpu", log: Log = YOOCHOOSE, seconds: float = 4.0
) -> None:
    """Print the table of the floor."""
    measure(Report(device, json_file), device, log, seconds)


if __name__ == "__main__":
    typer.run(main)
