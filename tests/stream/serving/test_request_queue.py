from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from nextclick.models import Answer
from nextclick.stream.serving import request_queue
from nextclick.stream.serving.request_queue import BusyError, Reply, RequestQueue
from nextclick.stream.serving.requests import Request


class Echo:
    """Answers each request with its own session; nobody else may be at it."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls: list[int] = []
        self.seconds = seconds
        self.failure: Exception | None = None
        self._busy = threading.Lock()

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        assert self._busy.acquire(blocking=False), "two at once"
        self.calls.append(len(requests))
        time.sleep(self.seconds)
        self._busy.release()
        if self.failure:
            raise self.failure
        answers = [Answer([(str(request.session), 1.0)]) for request in requests]
        pairs = zip(answers, requests, strict=True)
        return [Reply(answer, request, 0, 0, 0.0) for answer, request in pairs]


async def asked(queue: RequestQueue, *sessions: str) -> list[Any]:
    replies = await queue.ask([Request(session=session) for session in sessions])
    return [reply.answer.best[0][0] for reply in replies]


def on_loop(queue: RequestQueue, work: Callable[[], Any]) -> Any:
    async def begin() -> Any:
        queue.begin(asyncio.get_running_loop())
        return await asyncio.wait_for(work(), 60)

    return asyncio.run(begin())


def test_what_comes_together_is_answered_by_one_call() -> None:
    echo = Echo()
    queue = RequestQueue(echo)

    async def work() -> None:
        found = await asyncio.gather(*(asked(queue, str(at)) for at in range(40)))
        assert found == [[str(at)] for at in range(40)]

    on_loop(queue, work)
    assert echo.calls == [40]


def test_no_call_answers_more_than_it_may() -> None:
    echo = Echo()
    queue = RequestQueue(echo)

    async def work() -> None:
        names = [str(at) for at in range(150)]
        assert await asked(queue, *names) == names

    on_loop(queue, work)
    assert echo.calls == [64, 64, 22]


def test_whoever_holds_the_model_answers_what_waits() -> None:
    echo = Echo()
    queue = RequestQueue(echo)
    held, go_on = threading.Event(), threading.Event()

    def learn() -> None:
        with queue.held():
            held.set()
            assert go_on.wait(60)
            with queue.idle():
                pass

    async def work() -> None:
        thread = threading.Thread(target=learn)
        thread.start()
        held.wait(60)
        waiting = asyncio.gather(*(asked(queue, str(at)) for at in range(5)))
        await asyncio.sleep(0.05)
        assert echo.calls == []
        go_on.set()
        assert len(await waiting) == 5
        thread.join()

    on_loop(queue, work)
    assert echo.calls == [5]


def test_none_is_forgotten_however_the_model_is_held() -> None:
    echo = Echo(seconds=0.0005)
    queue = RequestQueue(echo)
    ended = threading.Event()

    def learn() -> None:
        with queue.held():
            while not ended.is_set():
                time.sleep(0.001)
                with queue.idle():
                    time.sleep(0.0003)

    async def work() -> None:
        thread = threading.Thread(target=learn)
        thread.start()
        for turn in range(200):
            names = [f"{turn}-{at}" for at in range(turn % 4 + 1)]
            assert await asked(queue, *names) == names
        ended.set()
        thread.join()

    on_loop(queue, work)
    assert sum(echo.calls) == sum(turn % 4 + 1 for turn in range(200))


def test_too_many_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "MOST_WAITING", 3)
    queue = RequestQueue(Echo())

    async def work() -> None:
        waiting = asyncio.gather(*(asked(queue, str(at)) for at in range(3)))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="too many"):
            await asked(queue, "4")
        assert len(await waiting) == 3

    on_loop(queue, work)


def test_who_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "LONGEST_WAIT", 0.01)
    queue = RequestQueue(Echo())

    async def work() -> None:
        with queue.held():
            waiting = asyncio.ensure_future(asked(queue, "anna"))
            await asyncio.sleep(0.05)
            queue.give_up_old()
            with pytest.raises(BusyError, match="has not answered"):
                await waiting

    on_loop(queue, work)


def test_a_failure_of_the_model_reaches_all_who_wait_and_nobody_else() -> None:
    echo = Echo()
    queue = RequestQueue(echo)

    async def work() -> None:
        echo.failure = FloatingPointError("diverged")
        found = await asyncio.gather(asked(queue, "a"), asked(queue, "b"), return_exceptions=True)
        assert [type(one) for one in found] == [FloatingPointError] * 2
        echo.failure = None
        assert await asked(queue, "c") == ["c"]

    on_loop(queue, work)


def test_whoever_asks_and_goes_away_harms_nobody() -> None:
    queue = RequestQueue(Echo())

    async def work() -> None:
        gone = asyncio.ensure_future(asked(queue, "gone"))
        await asyncio.sleep(0)
        gone.cancel()
        assert await asked(queue, "anna") == ["anna"]

    on_loop(queue, work)
