from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from nextclick.stream.monitoring.gc_freeze import freeze_garbage


class Knot:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_was_there_is_passed_over_and_what_comes_after_is_collected() -> None:
    before = Knot()
    old = weakref.ref(before)
    with freeze_garbage():
        del before
        new = weakref.ref(Knot())
        gc.collect()
        assert new() is None
        assert old() is not None
    gc.collect()
    assert old() is None


def test_a_failure_takes_it_back() -> None:
    with pytest.raises(ValueError, match="broken"), freeze_garbage():
        raise ValueError("broken")
    assert gc.get_freeze_count() == 0


def test_what_the_program_froze_itself_stays_frozen() -> None:
    gc.freeze()
    with freeze_garbage():
        pass
    assert gc.get_freeze_count() > 0
