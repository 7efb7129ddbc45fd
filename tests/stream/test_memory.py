from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_memory_is_set_by_the_bounds_and_not_by_the_length_of_the_stream(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from nextclick.stream.cli.app import main; main()", "run"]
    options = "--model hidden=16 --model n_negatives=64 --batch 1024 --device cpu "
    options += "--max-sessions 5000 --max-items 3000 --snapshot-every 200000clicks"
    results = []
    for clicks in (1_000_000, 5_000_000):
        name = tmp_path / str(clicks)
        source = f"sim:clicks={clicks},items=20000,life=0.05"
        files = ["--json", f"{name}.json", "--snapshots", f"{name}.s"]
        subprocess.run([*command, source, *options.split(), *files], check=True)
        results.append(json.loads(Path(f"{name}.json").read_bytes()))
    # The stream has far more items and sessions than the bounds: both must have been at work.
    assert [result["catalogue"] for result in results] == [3000, 3000]
    assert [result["live_sessions"] for result in results] == [5000, 5000]
    assert results[1]["peak_memory_mb"] < 1.1 * results[0]["peak_memory_mb"]
