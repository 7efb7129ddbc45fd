from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import partial

import pytest
import torch

from nextclick.models.compute import background as aside
from nextclick.models.compute.background import Worker

CPU = torch.device("cpu")


def tasks(count: int, done: list[tuple[int, str]]) -> list[Callable[[], int]]:
    def task(number: int) -> int:
        done.append((number, threading.current_thread().name))
        return number * number

    return [partial(task, number) for number in range(count)]


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_results_come_in_the_order_of_the_tasks(
    cores: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "cores", lambda: cores)
    done: list[tuple[int, str]] = []
    assert list(Worker(CPU).submit(tasks(count, done))) == [n * n for n in range(count)]
    # Each is done once, and with one core by the asker alone.
    assert sorted(number for number, _ in done) == list(range(count))
    assert cores == 2 or not any(name.startswith("aside") for _, name in done)


def test_what_is_not_worth_a_thread_is_done_on_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "cores", lambda: 2)
    done: list[tuple[int, str]] = []
    assert list(Worker(CPU).submit(tasks(3, done), parallel=False)) == [0, 1, 4]
    assert {name for _, name in done} == {threading.current_thread().name}


def test_tasks_are_begun_before_their_results_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aside, "cores", lambda: 2)
    begun = threading.Event()
    results = Worker(CPU).submit([begun.set])
    assert begun.wait(60)
    assert list(results) == [None]


def test_the_asker_does_what_is_not_begun_the_last_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "cores", lambda: 2)
    begun, last_done = threading.Event(), threading.Event()
    done: list[tuple[int, str]] = []

    def first() -> int:
        begun.set()
        # Only the asker can do the last one meanwhile.
        assert last_done.wait(60)
        return 0

    def last() -> int:
        done.append((4, threading.current_thread().name))
        last_done.set()
        return 16

    results = Worker(CPU).submit([first, *tasks(4, done)[1:], last])
    assert begun.wait(60)
    assert list(results) == [0, 1, 4, 9, 16]
    assert done[0] == (4, threading.current_thread().name)


def test_an_error_in_a_task_is_raised_where_results_are_asked_for() -> None:
    def fail() -> int:
        raise ValueError("broken")

    results = Worker(CPU).submit([lambda: 1, fail])
    with pytest.raises(ValueError, match="broken"):
        list(results)


def test_a_copy_has_a_thread_of_its_own() -> None:
    one = Worker(CPU)
    other = copy.deepcopy(one)
    assert list(other.submit([lambda: 1])) == [1]
    assert list(one.submit([lambda: 2])) == [2]
