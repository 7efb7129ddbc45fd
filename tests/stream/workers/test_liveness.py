from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator

import pytest

from nextclick.stream.workers.liveness import Liveness
from nextclick.stream.workers.place import Place
from nextclick.stream.workers.stores import tcp_store

SIZE = 3


class Watched:
    """The processes of a group, each in threads of this one.

    Attributes
    ----------
    lost
        What each of them has said.

    """

    def __init__(self, limit: float = 3.0) -> None:
        self._server = tcp_store("127.0.0.1", 0, keep=True)
        self.limit = limit
        self.lost: dict[int, queue.Queue[str]] = {rank: queue.Queue() for rank in range(SIZE)}
        self.signalled: set[int] = set()
        self.processes: dict[int, Liveness] = {}

    def begin(self, rank: int) -> Liveness:
        port = self._server.port
        store = tcp_store("127.0.0.1", port, keep=False)
        process = Liveness(
            Place(rank, SIZE, address="127.0.0.1", port=port, agent=True),
            store,
            self.limit,
            self.lost[rank].put,
            is_signalled=lambda: rank in self.signalled,
        )
        self.processes[rank] = process
        process.start()
        return process


@pytest.fixture
def make() -> Iterator[Callable[..., Watched]]:
    """Yield what makes a group."""
    made: list[Watched] = []

    def make(limit: float = 3.0) -> Watched:
        made.append(Watched(limit))
        for rank in range(SIZE):
            made[-1].begin(rank)
        return made[-1]

    yield make
    for group in made:
        for process in group.processes.values():
            process.stop()


def test_a_process_that_falls_silent_is_found_by_the_first_and_named(
    make: Callable[..., Watched],
) -> None:
    group = make()
    group.processes[2].stop()
    sentence = group.lost[0].get(timeout=60)
    assert sentence == "worker 3 of 3 (rank 2) has not answered for 3 s (--worker-timeout)"


def test_all_that_are_silent_are_named(make: Callable[..., Watched]) -> None:
    group = make()
    for rank in (1, 2):
        group.processes[rank].stop()
    sentence = group.lost[0].get(timeout=60)
    assert sentence.startswith("worker 2 of 3 (rank 1)")


def test_the_others_find_a_first_that_falls_silent(make: Callable[..., Watched]) -> None:
    group = make()
    group.processes[0].stop()
    for rank in (1, 2):
        assert group.lost[rank].get(timeout=60).startswith("worker 1 of 3 (rank 0) has not")


def test_the_others_are_told_what_the_first_has_lost(make: Callable[..., Watched]) -> None:
    group = make(limit=600.0)
    group.processes[0].say_lost("worker 3 of 3 (rank 2) has died")
    assert group.lost[1].get(timeout=60) == "worker 3 of 3 (rank 2) has died"


def test_a_process_that_has_just_died_is_named_though_the_limit_is_far(
    make: Callable[..., Watched],
) -> None:
    group = make(limit=600.0)
    group.processes[1].stop()
    assert group.processes[0].why() == "worker 2 of 3 (rank 1) has died"


def test_one_that_has_left_because_of_another_is_not_named(make: Callable[..., Watched]) -> None:
    group = make(limit=600.0)
    group.processes[1].say_lost("an exchange failed")
    for rank in (1, 2):
        group.processes[rank].stop()
    assert group.processes[0].why() == "worker 3 of 3 (rank 2) has died"


def test_where_all_live_nothing_is_named(make: Callable[..., Watched]) -> None:
    group = make()
    assert group.processes[0].why() == ""
    assert all(lost.empty() for lost in group.lost.values())


def test_after_a_signal_a_silence_is_found_soon(make: Callable[..., Watched]) -> None:
    group = make(limit=600.0)
    group.processes[1].stop()
    group.signalled.add(0)
    assert group.lost[0].get(timeout=60) == "worker 2 of 3 (rank 1) has not answered for 3 s"


def test_a_pause_of_this_process_is_no_silence_of_the_others(
    make: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = make(limit=3.0)
    clock = time.monotonic
    # As if all processes had been stopped for an hour.
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600)
    with pytest.raises(queue.Empty):
        group.lost[0].get(timeout=2)
