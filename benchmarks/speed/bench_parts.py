"""What the parts around the model can do alone: reading, sessions, vocabulary, metrics.

Each is given a log's first clicks in batches of several sizes, on one thread. Rates are by the
thread's time on the processor, so that other programs on the machine count as little as may be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.speed.measuring import YOOCHOOSE, Device, JsonFile, Log, Report
from nextclick.connectors import Clicks, LogSource
from nextclick.models.items.vocabulary import Vocabulary
from nextclick.stream import Prequential, Sessionizer

BATCHES = (1, 32, 64, 128, 512)
CLICKS = 200_000
TARGETS = (400_000, 500_000, 1_000_000)
"""Clicks/s read and decoded, clicks/s through sessions and vocabulary, ranks/s counted."""


def timed(task: Callable[[], object]) -> float:
    """Return the seconds that this thread spent on a task."""
    began = time.thread_time()
    task()
    return time.thread_time() - began


def batches_of(source: LogSource, batch: int, clicks: int) -> list[Clicks]:
    """Read a log by batches."""
    found = []
    while clicks > 0 and (polled := source.poll(batch)) is not None:
        found.append(polled)
        clicks -= len(polled)
    return found


def count(
    figures: Prequential, ranks: Sequence[NDArray[np.int64]], clicks: Sequence[Clicks]
) -> None:
    """Take each batch's ranks."""
    place = 0
    for own, batch in zip(ranks, clicks, strict=True):
        figures.update(own, np.arange(place + 1, place + len(own) + 1), batch.times)
        place += len(own)


def learn(vocabulary: Vocabulary, clicks: Sequence[Clicks]) -> None:
    """Take each batch's items as a learner does."""
    for batch in clicks:
        vocabulary.admit(batch.items)
        vocabulary.touch(batch.items)
        vocabulary.evict()


def assign(sessionizer: Sessionizer, clicks: Sequence[Clicks]) -> None:
    """Return each batch its sessions."""
    for batch in clicks:
        sessionizer.assign(batch.sessions, batch.times)


def measure(report: Report, log: Path = YOOCHOOSE) -> None:
    """Add the table."""
    report.table(
        "Parts, clicks/s of processor time",
        ["batch", "read and decode", "sessions", "vocabulary", "both", "metrics, ranks/s"],
    )
    for batch in BATCHES:
        clicks = CLICKS if batch > 1 else CLICKS // 10
        source = LogSource(log)
        found: list[Clicks] = []
        reading = timed(lambda: found.extend(batches_of(source, batch, clicks)))  # noqa: B023
        source.close()
        total = sum(map(len, found))
        sessions = timed(lambda: assign(Sessionizer(86_400.0, 0.0, 100_000), found))  # noqa: B023
        vocabulary = timed(lambda: learn(Vocabulary(), found))  # noqa: B023
        draws = np.random.default_rng(1)
        ranks = [draws.integers(0, 20_000, len(one)) for one in found]
        metrics = timed(lambda: count(Prequential(), ranks, found))  # noqa: B023
        report.row(
            batch,
            total / reading,
            total / sessions,
            total / vocabulary,
            total / (sessions + vocabulary),
            total / metrics,
        )
    reading_target, both_target, metrics_target = TARGETS
    report.note(
        f"Targets: {reading_target:,} read and decoded, {both_target:,} through sessions and "
        f"vocabulary, {metrics_target:,} ranks."
    )


def main(json_file: JsonFile = None, device: Device = "cpu", log: Log = YOOCHOOSE) -> None:
    """Print the table of parts; none of them computes on a device."""
    measure(Report(device, json_file), log)


if __name__ == "__main__":
    typer.run(main)
