"""All benchmarks of speed, one table after the other: ``make bench``.

Prints Markdown tables and writes them as JSON. Each table is also a command of its own:
``.venv/bin/python -m benchmarks.speed.bench_floor --help``.
What the tables mean: `docs/results/speed.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.speed import (
    bench_end_to_end,
    bench_floor,
    bench_growth,
    bench_parts,
    bench_peers,
    bench_snapshots,
)
from benchmarks.speed.measuring import YOOCHOOSE, Device, JsonFile, Log, Report


def main(
    json_file: JsonFile = None,
    device: Device = "cpu",
    log: Log = YOOCHOOSE,
    official: bench_peers.Official = Path("/tmp/official"),
    official_python: bench_peers.OfficialPython = Path("/tmp/official_env/bin/python"),
    deep_river_python: bench_peers.DeepRiverPython = Path("/tmp/deep_river_env/bin/python"),
    quick: Annotated[bool, typer.Option(help="Short and rough, to see that all works.")] = False,
) -> None:
    """Print every table."""
    shorter = 0.1 if quick else 1.0
    report = Report(device, json_file)
    bench_parts.measure(report, log)
    bench_peers.measure(
        report, device, log, official, official_python, deep_river_python, 5.0 * shorter
    )
    bench_floor.measure(report, device, log, 4.0 * shorter)
    bench_end_to_end.measure(report, device, log, seconds=3.0 * shorter)
    bench_snapshots.measure(report, device, 2 if quick else 4)
    bench_growth.measure_catalogue(report, 1.5 * shorter, 100_000 if quick else 1_000_000)
    bench_growth.measure(report, device, 1.5 * shorter, 100_000 if quick else 1_000_000)


if __name__ == "__main__":
    typer.run(main)
