"""The benchmarks' stopwatch follows the code, and counts each moment once."""

from __future__ import annotations

import runpy
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STOPWATCH = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "speed" / "stopwatch.py"))
Stopwatch = STOPWATCH["Stopwatch"]


class Clock:
    """A clock that the work itself moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def work(clock: Clock) -> Iterator[Any]:
    """Return a module with work that takes a known time."""
    module = types.ModuleType("some_work")

    def inner() -> str:
        clock.now += 3
        return "done"

    def outer() -> str:
        clock.now += 1
        found: str = module.inner()
        clock.now += 1
        return found

    def steps() -> Iterator[int]:
        for step in range(2):
            clock.now += 5
            yield step

    vars(module).update(inner=inner, outer=outer, steps=steps)
    sys.modules["some_work"] = module
    yield module
    del sys.modules["some_work"]


PLACES = {
    "outer": ("some_work:outer",),
    "inner": ("some_work:inner",),
    "steps": ("some_work:steps",),
}


def test_every_place_is_there() -> None:
    assert STOPWATCH["missing"]() == {}


def test_what_is_inside_counts_there_only(work: Any, clock: Clock) -> None:
    with Stopwatch(PLACES, clock) as watch:
        assert work.outer() == "done"
        for _ in work.steps():
            clock.now += 100
    assert watch.seconds == {"outer": 2.0, "inner": 3.0, "steps": 10.0}


def test_afterwards_all_is_as_before(work: Any, clock: Clock) -> None:
    before = dict(vars(work))
    with Stopwatch(PLACES, clock) as watch:
        pass
    work.outer()
    assert dict(vars(work)) == before
    assert watch.seconds == {"outer": 0.0, "inner": 0.0, "steps": 0.0}


def test_other_threads_count_and_are_told(work: Any, clock: Clock) -> None:
    with Stopwatch(PLACES, clock) as watch:
        thread = threading.Thread(target=work.inner)
        thread.start()
        thread.join()
        work.inner()
    assert watch.seconds["inner"] == 6.0
    assert watch.aside["inner"] == 3.0


def test_a_missing_place_is_named_and_its_phase_has_no_time(work: Any, clock: Clock) -> None:
    places = {"model": ("some_work:inner", "some_work:gone"), "sleep": ("no_such_module:work",)}
    with Stopwatch(places, clock) as watch:
        work.inner()
    assert watch.missing == {"model": ["some_work:gone"], "sleep": ["no_such_module:work"]}
    assert watch.told("model") is None


def test_an_inherited_function_is_put_back(clock: Clock) -> None:
    class Base:
        def work(self) -> None:
            time.sleep(0)

    class Child(Base):
        pass

    module = types.ModuleType("inherited_work")
    vars(module)["Child"] = Child
    sys.modules["inherited_work"] = module
    try:
        with Stopwatch({"work": ("inherited_work:Child.work",)}, clock):
            assert "work" in vars(Child)
            Child().work()
        assert "work" not in vars(Child)
    finally:
        del sys.modules["inherited_work"]
