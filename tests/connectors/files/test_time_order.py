from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.files.pipe import PipeSource
from nextclick.connectors.files.time_order import TimeOrder

Rows = list[tuple[str, str, float]]


def visits(sessions: int = 200, clicks: int = 5, days: float = 10.0) -> Rows:
    """Return clicks of sessions, grouped by session."""
    random_ = random.Random(4)
    rows = []
    for session in range(sessions):
        start = 1e9 + random_.uniform(0, days * 86_400)
        rows += [(f"s{session}", f"i{at}", start + 60.0 * at) for at in range(clicks)]
    return rows


def in_time(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: row[2])


def warning_of(times: list[float] | NDArray[np.float64], block: int = 700) -> str | None:
    order = TimeOrder("clicks", "sort them")
    column = np.asarray(times, dtype=np.float64)
    for at in range(0, len(column), block):
        order.note(column[at : at + block])
    order.finish()
    return order.warning


def write(path: Path, rows: Rows) -> Path:
    lines = [f'{{"session_id":"{s}","item_id":"{i}","timestamp":{t}}}' for s, i, t in rows]
    if path.suffix == ".csv":
        lines = ["session_id,item_id,timestamp", *(f"{s},{i},{t}" for s, i, t in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def read(source: LogSource | PipeSource) -> list[str]:
    while source.poll(64, 1.0) is not None:
        pass
    source.close()
    return source.warnings


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.jsonl"])
def test_a_log_grouped_by_session_is_told_once_with_the_remedy(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, visits())
    (warning,) = read(LogSource(path))
    assert "grouped by session" in warning
    assert "--sort" in warning
    assert read(LogSource(path, LogFormat(sort=True))) == []
    assert read(LogSource(write(path, in_time(visits())))) == []


def test_a_log_newest_first_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.csv", in_time(visits())[::-1])
    (warning,) = read(LogSource(path))
    assert "newest first" in warning
    assert "--sort" in warning


def test_a_pipe_out_of_order_is_told_what_can_be_done(tmp_path: Path) -> None:
    for rows, told in ((visits(40), 1), (in_time(visits(40)), 0)):
        path = write(tmp_path / "clicks.jsonl", rows)
        descriptor = os.open(path, os.O_RDONLY)
        warnings = read(PipeSource(descriptor=descriptor))
        os.close(descriptor)
        assert len(warnings) == told
        assert all("sort the lines" in warning for warning in warnings)


@pytest.mark.parametrize("block", [1, 64, 999, 100_000])
def test_the_size_of_the_blocks_does_not_matter(block: int) -> None:
    assert warning_of([row[2] for row in visits(400)], block) is not None
    assert warning_of([row[2] for row in in_time(visits(400))], block) is None


def test_users_with_long_histories_are_found_too() -> None:
    assert warning_of([row[2] for row in visits(sessions=30, clicks=700)]) is not None


def test_slightly_disordered_logs_are_let_be() -> None:
    draws = np.random.default_rng(3)
    times = np.sort(draws.uniform(0, 20 * 86_400, 50_000))
    assert warning_of(times) is None
    assert warning_of(times + draws.uniform(-300, 300, len(times))) is None
    late = times.copy()
    some = draws.random(len(times)) < 0.02
    late[some] -= draws.uniform(0, 5 * 86_400, int(some.sum()))
    assert warning_of(late) is None
    assert warning_of(np.concatenate([times, times])) is None
    ahead = times.copy()
    ahead[100] += 365 * 86_400
    assert warning_of(ahead) is None
    for off in (3600.0, 30 * 86_400.0):
        ahead = times + off * (draws.random(len(times)) < 0.03)
        assert warning_of(ahead) is None


def test_sessions_in_the_order_of_their_starts_are_found_too() -> None:
    starts = np.arange(300) * 1800.0
    clicks = [start + at * 7200.0 for start in starts for at in range(5)]
    assert warning_of(clicks) is not None


def test_equal_times_and_few_clicks_are_no_disorder() -> None:
    assert warning_of([5.0] * 3000) is None
    assert warning_of([]) is None
    assert warning_of([1e9, 0.0, 1e9]) is None
