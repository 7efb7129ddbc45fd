"""Snapshots of a stream on which nothing comes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextclick.connectors import Clicks, Position, Rejected
from nextclick.stream.config.options import Interval
from nextclick.stream.snapshots.files import write_files
from nextclick.stream.snapshots.store import SnapshotError, Snapshots
from tests.stream.engines import Given, Kept, clicks, engine

OFTEN = Interval(seconds=0.0)
REJECTED = Rejected("bad_json", "no JSON", {"line": 1}, b"{")


class Quiet(Given):
    """A source that has given all, and is polled in vain for a while before it ends."""

    def __init__(self, given: Clicks, *later: list[Rejected] | Position | None) -> None:
        super().__init__(given)
        self.later = list(later)
        self.moved: Position = {}

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        found = super().poll(limit, wait)
        if found is not None or not self.later:
            return found
        news = self.later.pop(0)
        if isinstance(news, dict):
            self.moved = news
        rejected = news if isinstance(news, list) else []
        return Clicks([], [], np.zeros(0), {"at": self.at, **self.moved}, rejected)


def numbers(folder: Path) -> list[int]:
    return sorted(int(path.name.rpartition("-")[2]) for path in Snapshots(folder).paths())


def run(folder: Path, source: Quiet, **options: Any) -> int:
    """Run on the folder, from its newest snapshot; return the number of the last one."""
    snapshots = Snapshots(folder, keep=1000)
    running = engine(source, snapshots=snapshots, every=OFTEN, **options)
    if (found := snapshots.load_newest()) is not None:
        running.restore(found[0])
    running.run()
    snapshots.close()
    return numbers(folder)[-1]


def written(tmp_path: Path, *later: Any, **options: Any) -> int:
    """Count the snapshots of a stream of 40 clicks, after which this comes."""
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    run(folder, Quiet(clicks(40), *later), **options)
    return len(numbers(folder))


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write every snapshot before the stream goes on, so that their number is certain."""
    monkeypatch.setattr(Snapshots, "busy", property(lambda self: bool(self.wait() and False)))


def test_none_is_written_while_nothing_changes(tmp_path: Path, one_at_a_time: None) -> None:
    assert written(tmp_path, *[None] * 50) == written(tmp_path)


@pytest.mark.parametrize("news", [[REJECTED], {"beyond": 1}])
def test_rejected_records_and_a_position_that_moves_are_changes(
    tmp_path: Path, one_at_a_time: None, news: Any
) -> None:
    assert written(tmp_path, None, news, *[None] * 9) == 1 + written(tmp_path)


def test_a_recommendation_for_a_click_that_is_pending_is_a_change(
    tmp_path: Path, one_at_a_time: None
) -> None:
    sink = Kept()
    folder = tmp_path / "s"
    run(folder, Quiet(clicks(40), *[None] * 9), recommendations=sink, after=True, max_wait=0.0)
    found = Snapshots(folder).load_newest()
    assert found is not None
    assert found[0]["engine"].values["written"]["recommendations"]["length"] == len(sink.records)


def test_a_run_that_finds_nothing_new_writes_none(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    last = run(folder, Quiet(clicks(40)))
    for _ in range(3):
        source = Quiet(clicks(40), None, None)
        assert run(folder, source) == last
        # Who looks at the committed offsets sees those of the snapshot.
        assert source.committed == [{"at": 40}]
    assert run(folder, Quiet(clicks(41))) > last


def test_a_run_that_begins_anew_says_so_on_the_disk_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    last = run(folder, Quiet(clicks(40)))
    snapshots = Snapshots(folder, keep=1000)
    engine(Quiet(clicks(0)), snapshots=snapshots, every=OFTEN).run()
    snapshots.close()
    assert numbers(folder)[-1] == last + 1


def test_a_snapshot_that_cannot_be_written_ends_the_run_though_nothing_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Quiet(clicks(40), *[None] * 100_000)
    snapshots = Snapshots(tmp_path)
    running = engine(source, snapshots=snapshots, every=Interval(clicks=40))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(
        "nextclick.stream.snapshots.store.write_files",
        lambda *given: (write_files if given[2]["clicks"] < 40 else full)(*given),
    )
    with pytest.raises(SnapshotError, match="No space left on device"):
        running.run()
    # Not at the end of the stream, which may be far away.
    assert source.later
    snapshots.close()
    assert numbers(tmp_path) == [1]
