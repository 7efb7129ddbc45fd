from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import pytest

from nextclick.connectors import open_source
from tests.brokers import Broker
from tests.stream.kafka.test_run import FLAGS, empty_topic, engine_process, replay, spec
from tests.stream.monitoring.test_prometheus import read

RATE = 500
"""Clicks a second."""

# All that is bounded has reached its bound when the first third is over.
BOUNDS = ["--max-sessions", "2000", "--max-items", "500", "--memory", "10000", "--window", "1000"]


def write_long_log(path: Path, clicks: int) -> Path:
    """Write a simulated shop's clicks, however many."""
    shop = open_source(f"sim:clicks={clicks},items=1000,seed=0")
    with path.open("w") as file:
        file.write("session_id,item_id,timestamp\n")
        while (block := shop.poll(10_000)) is not None:
            columns = zip(block.sessions, block.items, block.times.tolist(), strict=True)
            file.writelines(f"{session},{item},{time!r}\n" for session, item, time in columns)
    return path


def sample(page: str) -> dict[str, float]:
    """Read the engine's metrics."""
    with urlopen(page, timeout=30) as answer:
        values = read(answer.read().decode())
    lags = {place: value for (name, place), value in values.items() if name.endswith("lag_records")}
    ages = {place: value for (name, place), value in values.items() if name.endswith("lag_seconds")}
    return {
        "clicks": values["nextclick_clicks_total", ()],
        "lag": sum(lags.values()),
        "late": max(ages.values(), default=0.0),
        "memory": values["process_resident_memory_bytes", ()] / 1e6,
        "files": values["process_open_fds", ()],
        "sessions": values["nextclick_live_sessions", ()],
        "items": values["nextclick_catalogue_items", ()],
        "snapshot_age": values["nextclick_snapshot_age_seconds", ()],
        "model": values["nextclick_phase_seconds_sum", ("model",)],
        "steps": values["nextclick_phase_seconds_count", ("model",)],
    }


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_soak(tmp_path: Path, broker: Broker, topic: str) -> None:
    """A steady live rate, for NEXTCLICK_SOAK_MINUTES (`make soak`: 60; else 2)."""
    minutes = float(os.environ.get("NEXTCLICK_SOAK_MINUTES", "2"))
    clicks = int(minutes * 60 * RATE)
    log = write_long_log(tmp_path / "clicks.csv", clicks)
    best = f"{topic}-best"
    empty_topic(broker, topic, 4)
    empty_topic(broker, best, 2)
    arguments = [spec(broker, topic), *FLAGS, *BOUNDS, "--max-clicks", str(clicks), "-k", "3"]
    arguments += ["--snapshots", str(tmp_path / "s"), "--snapshot-every", "5s", "--group", topic]
    arguments += ["--recommendations", spec(broker, best), "--exactly-once"]
    arguments += ["--metrics-port", "0", "--json", str(tmp_path / "result.json")]
    samples: list[dict[str, float]] = []
    with ThreadPoolExecutor(2) as pool, engine_process(*arguments) as process:
        assert process.stderr is not None
        page = next(line for line in process.stderr if b"http://" in line).decode().split()[-1]
        pool.submit(process.stderr.read)  # What it says must not fill the pipe.
        replaying = pool.submit(replay, broker, topic, log, minutes * 60)
        while process.poll() is None and not (replaying.done() and replaying.exception()):
            time.sleep(5)
            try:
                samples.append(sample(page))
            except OSError:  # It has just ended.
                continue
        replaying.result()
        assert process.wait(120) == 0
    print(json.dumps(samples[:: max(1, len(samples) // 60)]))
    result = json.loads((tmp_path / "result.json").read_bytes())
    assert result["usable"] == clicks
    assert result["scored"] + result["first"] + result["late"] == clicks
    check_steady(samples)


def check_steady(samples: list[dict[str, float]]) -> None:
    """Check that once it is warm nothing grows: RAM, open files, lag, the time of a step."""
    third = len(samples) // 3
    assert third > 3
    middle, last = samples[third : 2 * third], samples[2 * third : -1]

    def typical(part: list[dict[str, float]], name: str) -> float:
        return median(one[name] for one in part)

    for name in ("items", "sessions"):
        assert typical(last, name) < 1.05 * typical(middle, name)
    # The highest of all, as memory that is let go of in between was needed all the same.
    most = max(one["memory"] for one in last)
    assert most < 1.05 * max(one["memory"] for one in middle) + 10
    assert max(one["files"] for one in last) < max(one["files"] for one in middle) + 10
    assert max(one["snapshot_age"] for one in last) < 60
    for part in (middle, last):
        assert typical(part, "lag") < 3 * RATE
        assert typical(part, "late") < 3
    # Step by step: what else the machine did for a while does not count.
    steps = [
        (after["model"] - before["model"]) / (after["steps"] - before["steps"])
        for before, after in zip(samples[third:], samples[third + 1 :], strict=False)
        if after["steps"] > before["steps"]
    ]
    half = len(steps) // 2
    assert median(steps[half:]) < 1.5 * median(steps[:half])
