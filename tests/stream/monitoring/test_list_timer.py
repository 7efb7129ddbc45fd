from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import Clicks
from nextclick.stream.config.options import Interval
from nextclick.stream.monitoring.list_timer import LIST_BOUNDS, ListTimer
from nextclick.stream.snapshots.store import Snapshots
from tests.stream.engines import Given, Kept, clicks, engine


class Deferred(Kept):
    """A sink whose records are read only once they are committed, as in transactions."""

    deferred = True
    committed = 0

    def commit(self, length: int) -> None:
        self.committed = length


class Arrived(Given):
    """A source whose clicks came a minute before they are polled."""

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        polled = super().poll(limit, wait)
        if polled is not None:
            polled.arrived = time.monotonic() - 60
        return polled


@given(st.lists(st.floats(0, 100) | st.just(float("nan"))))
def test_each_click_with_a_known_arrival_is_counted_in_its_bucket(waits: list[float]) -> None:
    lists = ListTimer()
    lists.read(0 - np.array(waits))
    lists.answerable(now=0.0)
    known = [wait for wait in waits if wait == wait]
    totals = np.cumsum(lists.counts["request"])
    for bound, total in zip(LIST_BOUNDS, totals, strict=False):
        assert total == sum(wait <= bound for wait in known)
    assert totals[-1] == len(known)
    assert lists.seconds["request"] == pytest.approx(sum(known))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("max_wait", [None, 0.0])
def test_every_list_that_is_written_is_counted_once(after: bool, max_wait: float | None) -> None:
    sink = Kept()
    made = engine(
        Given(clicks(300, late=0.1)), recommendations=sink, after=after, max_wait=max_wait
    )
    made.run()
    lists = made.phases.lists
    assert sum(lists.counts["record"]) == len(sink.records) > 100
    # All were read, the last of them just before the end: nothing was asked after that.
    assert 280 < sum(lists.counts["request"]) <= 300


def test_the_time_begins_when_the_source_says_that_a_click_came() -> None:
    made = engine(Arrived(clicks(100)), recommendations=Kept())
    made.run()
    lists = made.phases.lists
    for way in ("request", "record"):
        assert lists.counts[way][-1] == sum(lists.counts[way]) > 50


def test_a_list_in_a_transaction_is_there_when_its_snapshot_is_committed(tmp_path: Path) -> None:
    sink = Deferred()
    snapshots = Snapshots(tmp_path)
    made = engine(
        Given(clicks(300)), recommendations=sink, snapshots=snapshots, every=Interval(clicks=50)
    )
    seen: list[tuple[int, int]] = []
    made.run(progress=lambda e: seen.append((sum(e.phases.lists.counts["record"]), sink.committed)))
    snapshots.close()
    # Never more than is committed, and at last all that is.
    assert all(counted == committed for counted, committed in seen)
    assert seen[-1][0] > 100


def test_clicks_that_another_process_read_are_not_timed(tmp_path: Path) -> None:
    stream = clicks(300)
    snapshots = Snapshots(tmp_path)
    engine(Given(stream), snapshots=snapshots).run(max_clicks=90)
    found = snapshots.load_newest()
    snapshots.close()
    assert found is not None
    resumed = engine(Given(stream), recommendations=(sink := Kept()))
    resumed.restore(found[0])
    resumed.run()
    counted = sum(resumed.phases.lists.counts["record"])
    assert 0 < len(sink.records) - counted <= 16
