"""What snapshots cost a running stream: throughput, and the longest stall.

An engine learns from a made-up stream with as many items and live sessions as a state of the
wanted size needs. Snapshots are taken from time to time; the time from the end of each batch to
the end of the next is put down, and whether it held a copy of the state, or passed while a
snapshot was being written, or neither.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.speed.measuring import Device, JsonFile, Report, alone
from nextclick.connectors import Clicks, Position
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream import Engine, Prequential, Sessionizer, Snapshots
from nextclick.stream.config.options import Interval

MINUTE = 60.0


class MadeStream:
    """First a click on every item, each in another session; then clicks of random sessions.

    Parameters
    ----------
    items, sessions
        How many there are.

    """

    gap = None

    def __init__(self, items: int, sessions: int) -> None:
        self._items, self._sessions = items, sessions
        self._draws = np.random.default_rng(1)
        self.given = 0

    @property
    def warnings(self) -> list[str]:
        """Nothing to warn of."""
        return []

    def poll(self, limit: int, wait: float = 0.0) -> Clicks:
        """Return clicks, a thousandth of a second apart."""
        places = np.arange(self.given, self.given + limit)
        self.given += limit
        filling = places < max(self._items, self._sessions)
        items = np.where(filling, places, self._draws.zipf(1.3, limit)) % self._items
        drawn = self._draws.integers(0, self._sessions, limit)
        sessions = np.where(filling, places % self._sessions, drawn)
        names: list[str | int] = [f"session-{number}" for number in sessions.tolist()]
        return Clicks(names, items.tolist(), places * np.float64(1e-3))

    def seek(self, position: Position) -> None:
        """Do nothing."""

    def commit(self, position: Position) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def watch(
    items: int, sessions: int, memory: int, batch: int, times: int, device: str
) -> dict[str, float]:
    """Run the stream and take snapshots; return seconds, and the state's megabytes."""
    recipe = GRU4RecConfig() if memory else GRU4RecConfig(memory=0)
    model = OnlineGRU4Rec(recipe, max_sessions=sessions + batch, device=device)
    stream = MadeStream(items, sessions)
    filled = max(items, sessions)
    gaps: dict[str, list[float]] = {"quiet": [], "copying": [], "writing": []}
    copies: list[float] = []
    written: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        snapshots = Snapshots(Path(folder), keep=1)
        engine = Engine(
            stream,
            model,
            Sessionizer(86_400.0, 0.0, sessions),
            batch=batch,
            figures=Prequential(),
            snapshots=snapshots,
            every=Interval(seconds=1e9),
        )
        last = quiet_since = time.perf_counter()
        copied, was_busy, done = 0.0, False, False

        def progress(engine: Engine) -> None:
            nonlocal last, quiet_since, copied, was_busy, done
            # The end of a run waits for its last snapshot: no stall of the stream.
            if done:
                return
            now = time.perf_counter()
            copying = engine.phases.seconds["snapshot"] - copied
            copied += copying
            busy = snapshots.busy
            if engine.clicks > filled + 20 * batch:
                kind = "copying" if copying else "writing" if busy or was_busy else "quiet"
                gaps[kind].append(now - last)
                if copying:
                    copies.append(copying)
                    engine.checkpoints.every = Interval(seconds=1e9)
                elif was_busy and not busy:
                    written.append(snapshots.seconds or 0.0)
                    quiet_since = now
                elif not busy and now - quiet_since > 2.0 and len(gaps["quiet"]) > 10:
                    if len(written) == times:
                        done = True
                        engine.stop()
                    elif engine.checkpoints.every.seconds == 1e9:
                        engine.checkpoints.every = Interval(clicks=1)
            else:
                quiet_since = now
            last, was_busy = now, busy

        engine.run(progress=progress)
        snapshots.close()
        parts = engine.state()
    arrays = [array for state in parts.values() for array in state.arrays.values()]
    quiet = statistics.median(gaps["quiet"])
    copying = gaps["copying"][1:]
    lost = sum(gap - quiet for gap in (*copying, *gaps["writing"])) / len(copies)
    return {
        "megabytes": sum(array.nbytes for array in arrays) / 1e6,
        "quiet": quiet,
        "quiet_longest": max(gaps["quiet"]),
        "first": copies[0],
        "copy": statistics.median(copies[1:]),
        "copy_longest": max(copies[1:]),
        "copying": max(copying),
        "writing": max(gaps["writing"], default=0.0),
        "writing_median": statistics.median(gaps["writing"] or [quiet]),
        "written": statistics.median(written or [0.0]),
        "lost": lost,
    }


def measure(report: Report, device: str, times: int = 4) -> None:
    """Add the table.

    The first copy stands by itself: its memory is touched for the first time, which no later one
    has to do.
    """
    report.table(
        "Snapshots: times in ms, batch 128",
        [
            "model",
            "arrays, MB",
            "a batch",
            "longest batch without snapshot",
            "the first copy",
            "copy, median",
            "copy, longest",
            "longest stall, copying",
            "longest stall, writing",
            "a batch while writing",
            "writing",
            "lost at one a minute, %",
        ],
    )
    for name, items, sessions, memory in (
        ("network alone, 21,282 items, 60,000 sessions", 21_282, 60_000, 0),
        ("network alone, 130,000 items, 100,000 sessions", 130_000, 100_000, 0),
        ("with memory, 130,000 items, 100,000 sessions", 130_000, 100_000, 1),
    ):
        found = alone(watch, items, sessions, memory, 128, times, device)
        keys: tuple[str, ...] = (
            "quiet",
            "quiet_longest",
            "first",
            "copy",
            "copy_longest",
            "copying",
            "writing",
        )
        keys += ("writing_median", "written")
        cells = [found[key] * 1e3 for key in keys]
        report.row(name, found["megabytes"], *cells, 100 * found["lost"] / MINUTE)


def main(
    json_file: JsonFile = None,
    device: Device = "cpu",
    times: Annotated[int, typer.Option(min=2, help="Snapshots a row.")] = 4,
) -> None:
    """Print the table of snapshots."""
    measure(Report(device, json_file), device, times)


if __name__ == "__main__":
    typer.run(main)
