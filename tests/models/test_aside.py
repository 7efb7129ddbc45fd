from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import partial

import pytest
import torch

from nextclick.models import aside
from nextclick.models.aside import AHEAD, Aside

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
    assert list(Aside(CPU).ahead(tasks(count, done))) == [n * n for n in range(count)]
    assert [number for number, _ in done] == list(range(count))
    beside = {name.startswith("aside") for _, name in done}
    assert beside <= {cores == 2}


def test_what_is_not_worth_a_thread_is_done_on_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "cores", lambda: 2)
    done: list[tuple[int, str]] = []
    assert list(Aside(CPU).ahead(tasks(3, done), worth=False)) == [0, 1, 4]
    assert {name for _, name in done} == {threading.current_thread().name}


def test_no_more_than_a_few_are_begun_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "cores", lambda: 2)
    done: list[tuple[int, str]] = []
    results = Aside(CPU).ahead(tasks(9, done))
    assert next(results) == 0
    assert len(done) <= AHEAD + 1


def test_an_error_in_a_task_is_raised_where_its_result_is_asked_for() -> None:
    def fail() -> int:
        raise ValueError("broken")

    results = Aside(CPU).ahead([lambda: 1, fail])
    assert next(results) == 1
    with pytest.raises(ValueError, match="broken"):
        next(results)


def test_a_copy_has_a_thread_of_its_own() -> None:
    one = Aside(CPU)
    other = copy.deepcopy(one)
    assert list(other.ahead([lambda: 1])) == [1]
    assert list(one.ahead([lambda: 2])) == [2]
