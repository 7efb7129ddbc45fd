"""Clicks a second of a model, and lists a second, on traffic drawn at random."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, NEGATIVES = 100, 2048

LONGEST = 8
"""Clicks of a session at most; the mean is near that of a shop, three of four are scored."""


TESTED = 1024
"""Sessions that the official code is tested on: more than its evaluation takes at once."""


class Clock:
    """How much of a part's time is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + 0.95 * seconds

    def over(self, needed: float) -> bool:
        """Whether less than the needed seconds are left; says so."""
        left = self._end - time.monotonic()
        if left < needed:
            note("The time of this part is over: the rows that are missing were left out.")
        return left < needed


def row(**cells: Any) -> None:
    """Print a row for the table."""
    print(json.dumps(cells), flush=True)


def note(sentence: str) -> None:
    """Print a remark on the table."""
    print(json.dumps({"note": sentence}), flush=True)


def filled(items: int, memory: bool, device: str, dtype: str, clock: Clock) -> Any:
    """Return a model that knows a number of items, each clicked once."""
    from nextclick.models import GRU4RecConfig, OnlineGRU4Rec

    bound = GRU4RecConfig().memory if memory else 0
    config = GRU4RecConfig(hidden=HIDDEN, n_negatives=NEGATIVES, memory=bound)
    model = OnlineGRU4Rec(config, max_items=items, device=device, dtype=dtype)
    began = time.monotonic()
    for start in range(0, items, 16_384):
        part = list(range(start, min(start + 16_384, items)))
        names = [-1 - number for number in range(len(part))]
        model.learn_many(names, part)
        model.forget(names)
        if clock.over(0):
            raise SystemExit("filling the catalogue took all the time")
    seconds = time.monotonic() - began
    note(f"{items:,} items entered in {seconds:.1f} s, {device}, {dtype}, memory {memory}.")
    return model


def traffic(items: int, batch: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield batches: sessions and items of the clicks.

    As many sessions are live as a batch has clicks, and go on in random order.
    """
    draw = np.random.default_rng(1)
    live, begun = np.arange(batch), batch
    left = draw.integers(2, LONGEST + 1, batch)
    while True:
        chosen = draw.integers(0, batch, batch)
        clicked = (draw.zipf(1.2, batch) - 1) % items
        yield live[chosen].tolist(), clicked.tolist()
        left -= np.bincount(chosen, minlength=batch)
        ended = np.flatnonzero(left <= 0)
        live[ended] = np.arange(begun, begun + len(ended))
        left[ended] = draw.integers(2, LONGEST + 1, len(ended))
        begun += len(ended)


def settle() -> None:
    """Wait until the card has done what it was asked for."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(model: Any, items: int, batch: int, seconds: float) -> dict[str, float | None]:
    """Return clicks and scored pairs a second of test and training, and the card's memory."""
    import torch

    batches = traffic(items, batch)
    seen: set[int] = set()

    def step() -> tuple[int, int]:
        names, clicked = next(batches)
        tested = model.test_then_learn(names, clicked)
        seen.update(names)
        return len(names), int(tested.scored.sum())

    for _ in range(5):
        step()
    settle()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    clicks = pairs = 0
    while time.perf_counter() - began < seconds:
        more, scored = step()
        clicks, pairs = clicks + more, pairs + scored
    settle()
    took = time.perf_counter() - began
    model.forget(list(seen))
    peak = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None
    return {
        "clicks/s": clicks / took,
        "pairs/s": pairs / took,
        "ms a batch": 1e3 * took * batch / clicks,
        "GB of the card": peak,
    }


def asked(model: Any, together: int, seconds: float) -> dict[str, float]:
    """Return lists a second, and how long a call takes, for visitors asked for together."""
    from nextclick.models import Query

    items = model.n_items
    draw = np.random.default_rng(2)
    took: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(took) < 6:
        queries = [
            Query(items=draw.integers(0, items, draw.integers(1, LONGEST)).tolist(), k=20)
            for _ in range(together)
        ]
        start = time.perf_counter()
        model.recommend_each(queries)
        took.append(time.perf_counter() - start)
    # The first calls compile and reserve.
    calm = np.array(took[3:])
    return {
        "lists/s": together / float(calm.mean()),
        "median ms a call": 1e3 * float(np.median(calm)),
        "99 % within, ms": 1e3 * float(np.quantile(calm, 0.99)),
    }


def write_sessions(folder: Path, sessions: int, items: int) -> None:
    """Write a log as the official code reads it, and its first sessions to be tested on."""
    draw = np.random.default_rng(3)
    lengths = draw.integers(2, LONGEST + 1, sessions)
    clicked = (draw.zipf(1.2, int(lengths.sum())) - 1) % items
    # Every item is known.
    clicked[:items] = np.arange(items)
    names = np.repeat(np.arange(sessions), lengths)
    pairs = zip(names.tolist(), clicked.tolist(), strict=True)
    lines = [f"{name}\t{item}\t{at}\n" for at, (name, item) in enumerate(pairs)]
    for file, count in (("train.tsv", len(lines)), ("test.tsv", int(lengths[:TESTED].sum()))):
        head = "SessionId\tItemId\tTime\n"
        (folder / file).write_text(head + "".join(lines[:count]))
