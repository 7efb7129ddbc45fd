"""How the processes of one life find each other, through a store that outlives them.

torchrun's store keeps what earlier lives of the processes have written, among it the addresses of
the dead, and its count of restarts is each machine's own. So the first process draws a token for
its life and writes it where all look for it. The others answer under that token, each with one of
its own, and the first lists the tokens that it has seen. A process that is not on the list has
found an earlier life, and looks again.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .place import Place, worker_name
from .stores import Store, part_of, tcp_store

FIRST = "nextclick/first"
"""Where the first process writes the token of its life."""

MEETING_SECONDS = 300.0
"""How long the processes look for each other: they load their libraries at different speeds."""

TOLD = "nextclick/told"
"""Where the first process of any life writes the last mistake that it has told."""

LOOK_SECONDS = 0.05
STORE_SECONDS = 10.0
"""How long an answer of the store may take while the processes meet."""


class MeetingError(RuntimeError):
    """The processes have not found each other."""


@dataclass(frozen=True, slots=True)
class Life:
    """One life of the processes: they have met, and are the same until one of them ends.

    Parameters
    ----------
    store
        Keeps what belongs to this life alone.
    task
        What the first process has said to the others.

    """

    store: Store
    task: dict[str, Any]


def connect(place: Place, seconds: float = STORE_SECONDS) -> Store:
    """Connect to the store; where there is no agent the first process keeps it.

    Raises
    ------
    RuntimeError
        It does not answer in time.

    """
    keep = place.is_first and not place.agent
    return tcp_store(place.address, place.port, keep=keep, seconds=seconds)


def call_together(
    place: Place, store: Store, task: dict[str, Any], seconds: float = MEETING_SECONDS
) -> Life:
    """Begin a life as its first process: wait until all others have answered.

    Parameters
    ----------
    place, store
        The first place, and the store of all lives.
    task
        What the others are to know, in JSON's types.
    seconds
        How long to wait.

    Raises
    ------
    MeetingError
        Some have not answered in time; the message names them.

    """
    token = secrets.token_hex(8)
    own = life_store(token, store)
    store.set(FIRST, token)
    missing = list(range(1, place.size))
    for _ in until(seconds):
        missing = [rank for rank in missing if not own.check([_hello(rank)])]
        if not missing:
            break
    else:
        names = ", ".join(worker_name(rank, place.size) for rank in missing)
        raise MeetingError(f"{names} did not come within {seconds:,.0f} s")
    tokens = {str(rank): own.get(_hello(rank)).decode() for rank in range(1, place.size)}
    own.set("go", json.dumps({"tokens": tokens, "task": task}))
    if not place.agent:
        # This process keeps the store: it may not end before all have read that.
        for _ in until(STORE_SECONDS):
            if all(own.check([f"read/{rank}"]) for rank in range(1, place.size)):
                break
    return Life(own, task)


def answer(place: Place, seconds: float = MEETING_SECONDS) -> Life:
    """Join the life that the first process begins, as another.

    Raises
    ------
    MeetingError
        It has not begun in time.

    """
    token = secrets.token_hex(8)
    store: Store | None = None
    said: set[str] = set()
    for _ in until(seconds):
        # Where a first process keeps the store it goes with it, and the next one opens another.
        with suppress(RuntimeError):
            if store is None:
                store = connect(place)
            if life := _joined(place, store, token, said):
                return life
            continue
        store, said = None, set()
    raise MeetingError(
        f"{worker_name(0, place.size)} has not begun within {seconds:,.0f} s at "
        f"{place.address}:{place.port}"
    )


def _joined(place: Place, store: Store, token: str, said: set[str]) -> Life | None:
    """Answer the life that is there now; return it if this process is one of it."""
    if not store.check([FIRST]):
        return None
    first = store.get(FIRST).decode()
    own = life_store(first, store)
    if first not in said:
        own.set(_hello(place.rank), token)
        said.add(first)
    if not own.check(["go"]):
        return None
    go = json.loads(own.get("go"))
    if go["tokens"].get(str(place.rank)) != token:
        return None
    own.set(f"read/{place.rank}", "")
    return Life(own, go["task"])


def is_news(place: Place, sentence: str) -> bool:
    """Whether no earlier life has ended with a sentence; from now on one has."""
    with suppress(RuntimeError):
        store = connect(place)
        if store.check([TOLD]) and store.get(TOLD).decode() == sentence:
            return False
        store.set(TOLD, sentence)
    return True


def life_store(token: str, store: Store) -> Store:
    """Return the part of a store that belongs to one life."""
    return part_of(f"nextclick/{token}", store)


def _hello(rank: int) -> str:
    return f"hello/{rank}"


def until(seconds: float, pause: float = LOOK_SECONDS) -> Iterator[None]:
    """Go on until some seconds have passed, with a pause after every turn."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > deadline:
            return
        time.sleep(pause)
