from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from nextclick.stream.workers import meeting
from nextclick.stream.workers.meeting import Life, MeetingError
from nextclick.stream.workers.place import Place
from nextclick.stream.workers.stores import tcp_store


@pytest.fixture
def agent() -> Iterator[Place]:
    """Yield the first place of three, with a store that outlives all lives."""
    server = tcp_store("127.0.0.1", 0, keep=True)
    yield Place(0, 3, address="127.0.0.1", port=server.port, agent=True)
    del server


@pytest.fixture
def begin() -> Iterator[Callable[..., Future[Any]]]:
    """Yield what calls a function in a thread."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


Begin = Callable[..., Future[Any]]


def first(place: Place, task: dict[str, Any], seconds: float = 60) -> Life:
    return meeting.call_together(place, meeting.connect(place), task, seconds)


def other(place: Place, rank: int, seconds: float = 60) -> Life:
    return meeting.answer(replace(place, rank=rank), seconds)


def test_all_learn_what_the_first_says(agent: Place, begin: Begin) -> None:
    others = [begin(other, agent, rank) for rank in (1, 2)]
    life = first(agent, {"work": "run"})
    assert [each.result().task for each in others] == [{"work": "run"}] * 2
    life.store.set("beat", "1")
    assert others[0].result().store.get("beat") == b"1"


@pytest.mark.parametrize("early", [True, False], ids=["others first", "first first"])
def test_each_life_has_a_store_of_its_own_however_many_there_were(
    agent: Place, begin: Begin, early: bool
) -> None:
    for number in range(4):
        if early:
            others = [begin(other, agent, rank) for rank in (1, 2)]
            leading = begin(first, agent, {"life": number})
        else:
            leading = begin(first, agent, {"life": number})
            others = [begin(other, agent, rank) for rank in (1, 2)]
        lives = [each.result() for each in (leading, *others)]
        assert [life.task for life in lives] == [{"life": number}] * 3
        assert not any(life.store.check(["used"]) for life in lives)
        lives[0].store.set("used", "")


def test_a_life_whose_first_died_before_all_had_come_is_left(agent: Place, begin: Begin) -> None:
    dead = begin(first, agent, {"life": 0}, 1)
    early = begin(other, agent, 1)
    with pytest.raises(MeetingError, match="worker 3 of 3 did not come within 1 s"):
        dead.result()
    late = begin(other, agent, 2)
    assert first(agent, {"life": 1}).task == {"life": 1}
    assert early.result().task == late.result().task == {"life": 1}


def test_one_that_comes_too_late_for_a_life_waits_for_the_next(agent: Place, begin: Begin) -> None:
    before = [begin(other, agent, rank) for rank in (1, 2)]
    first(agent, {"life": 0})
    assert [each.result().task["life"] for each in before] == [0, 0]
    late = begin(other, agent, 1)
    with pytest.raises(MeetingError, match="worker 1 of 3 has not begun"):
        other(agent, 2, 1)
    assert not late.done()
    again = begin(other, agent, 2)
    first(agent, {"life": 1})
    assert late.result().task == again.result().task == {"life": 1}


def test_without_an_agent_the_first_keeps_the_store_and_the_next_opens_another(
    begin: Begin,
) -> None:
    place = Place(0, 2, address="127.0.0.1", port=free_port())
    for number in range(3):
        waiting = begin(other, place, 1)
        life = first(place, {"life": number})
        assert waiting.result().task == {"life": number}
        del life


def free_port() -> int:
    server = tcp_store("127.0.0.1", 0, keep=True)
    return int(server.port)


def test_a_mistake_is_news_once(agent: Place) -> None:
    assert meeting.is_news(agent, "--bach: no such option")
    assert not meeting.is_news(agent, "--bach: no such option")
    assert meeting.is_news(agent, "no such file")


def test_a_store_that_nobody_keeps_is_no_reason_to_be_silent() -> None:
    place = Place(0, 2, address="127.0.0.1", port=free_port(), agent=True)
    assert meeting.is_news(place, "no such file")
