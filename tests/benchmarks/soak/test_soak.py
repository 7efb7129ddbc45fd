"""Short versions of the long runs; `make soak` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak.day import shop
from benchmarks.soak.live import step_times
from nextclick.connectors import open_source

ROOT = Path(__file__).parents[3]


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_clicks_of_a_simulated_day_take_about_a_day() -> None:
    source = open_source(shop(200_000))
    times = []
    while (some := source.poll(10_000)) is not None:
        times += some.times.tolist()
    assert len(times) == 200_000
    assert 0.5 < (times[-1] - times[0]) / 86_400 < 2


def test_steps_are_timed_within_one_process_only() -> None:
    samples = [
        {"start": 1.0, "steps": 10.0, "model": 1.0},
        {"start": 1.0, "steps": 20.0, "model": 1.5},
        {"start": 1.0, "steps": 20.0, "model": 1.5},
        {"start": 2.0, "steps": 30.0, "model": 9.0},
    ]
    assert step_times(samples) == [50.0]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_stays_within_its_bounds_along_a_sped_up_day() -> None:
    assert "| memory, MB |" in run("benchmarks.soak.day", "--clicks", "500000")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_under_load_with_everything_on_nothing_grows_and_nothing_is_lost(jars: Path) -> None:
    assert "| yes |" in run("benchmarks.soak.live", "--minutes", "5")
