from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import pytest
import torch

from nextclick.models.compute import background
from nextclick.models.compute.background import THREAD_NAME, Worker, gather

CPU = torch.device("cpu")


def functions(count: int, done: list[tuple[int, str]]) -> list[Callable[[], int]]:
    def square(number: int) -> int:
        done.append((number, threading.current_thread().name))
        return number * number

    return [partial(square, number) for number in range(count)]


@pytest.fixture(autouse=True)
def enough_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "cores", lambda: 2 * torch.get_num_threads())


@pytest.mark.parametrize("few_cores", [True, False])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_results_come_in_the_order_of_the_tasks(
    few_cores: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if few_cores:
        monkeypatch.setattr(background, "cores", lambda: 2 * torch.get_num_threads() - 1)
    done: list[tuple[int, str]] = []
    worker = Worker(CPU)
    tasks = [worker.submit(function) for function in functions(count, done)]
    assert gather(tasks) == [n * n for n in range(count)]
    # Each is computed once, and with few cores by the asker alone.
    assert sorted(number for number, _ in done) == list(range(count))
    assert not (few_cores and any(name.startswith(THREAD_NAME) for _, name in done))


def test_what_is_not_worth_a_thread_is_computed_on_this_one() -> None:
    done: list[tuple[int, str]] = []
    worker = Worker(CPU)
    tasks = [worker.submit(function, parallel=False) for function in functions(3, done)]
    assert not done
    assert gather(tasks) == [0, 1, 4]
    assert {name for _, name in done} == {threading.current_thread().name}


def test_arguments_are_passed_on() -> None:
    assert Worker(CPU).submit(divmod, 7, 2).result() == (3, 1)


def test_a_task_begins_before_its_result_is_asked_for() -> None:
    begun = threading.Event()
    task = Worker(CPU).submit(begun.set)
    assert begun.wait(60)
    assert task.result() is None


def test_a_result_can_be_asked_for_more_than_once() -> None:
    done: list[tuple[int, str]] = []
    (function,) = functions(1, done)
    task = Worker(CPU).submit(function)
    assert isinstance(task, Future)
    assert [task.result(), task.result()] == [0, 0]
    assert len(done) == 1


def test_the_asker_computes_what_has_not_begun_the_last_first() -> None:
    begun, last_done = threading.Event(), threading.Event()
    done: list[tuple[int, str]] = []

    def first() -> int:
        begun.set()
        # Only the asker can compute the last one meanwhile.
        assert last_done.wait(60)
        return 0

    def last() -> int:
        done.append((4, threading.current_thread().name))
        last_done.set()
        return 16

    worker = Worker(CPU)
    tasks = [worker.submit(of) for of in [first, *functions(4, done)[1:], last]]
    assert begun.wait(60)
    assert gather(tasks) == [0, 1, 4, 9, 16]
    assert done[0] == (4, threading.current_thread().name)


@pytest.mark.parametrize("parallel", [True, False])
def test_an_error_is_raised_where_the_result_is_asked_for(parallel: bool) -> None:
    def fail() -> int:
        raise ValueError("broken")

    worker = Worker(CPU)
    tasks = [worker.submit(of, parallel=parallel) for of in (lambda: 1, fail)]
    with pytest.raises(ValueError, match="broken"):
        tasks[1].result()
    with pytest.raises(ValueError, match="broken"):
        gather(tasks)


def test_a_cancelled_task_is_not_computed() -> None:
    done: list[tuple[int, str]] = []
    (function,) = functions(1, done)
    worker = Worker(CPU)
    task = worker.submit(function, parallel=False)
    assert task.cancel()
    assert not task.run()
    worker.wait()
    assert not done


def test_waiting_waits_for_all_that_was_submitted() -> None:
    hold = threading.Event()
    done: list[tuple[int, str]] = []
    worker = Worker(CPU)
    worker.submit(hold.wait, 10)
    for function in functions(3, done):
        worker.submit(function)
    hold.set()
    worker.wait()
    assert [number for number, _ in done] == [0, 1, 2]


def test_a_copy_has_a_thread_of_its_own() -> None:
    one = Worker(CPU)
    other = copy.deepcopy(one)
    assert other.submit(int).result() == 0
    assert one.submit(int).result() == 0
