"""Rivals once more, from the whole history and without haste, to compare with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Click = tuple[int, int]
History = list[Click]
Scores = dict[int, float]

clicks = st.tuples(st.integers(0, 4), st.integers(0, 7))
histories: st.SearchStrategy[History] = st.lists(clicks, max_size=60)


def follow(model: Any, history: History, plain: Callable[[History, int], Scores]) -> None:
    """Assert that a model's ranks are those of a plain function's scores, click by click."""
    tested = model.test_then_learn([s for s, _ in history], [i for _, i in history])
    for place, (session, item) in enumerate(history):
        before = history[:place]
        assert tested.scored[place] == (session in {s for s, _ in before})
        if not tested.scored[place]:
            continue
        known = {i for _, i in before}
        scores = plain(before, session)
        assert set(scores) <= known
        own = scores.get(item, 0.0)
        # Sums that are rounded in another order count as equal.
        rank = sum(scores.get(other, 0.0) >= own * (1 - 1e-9) for other in known)
        assert tested.ranks[place] == (rank if item in known else 0), place


def clicks_of(history: History, session: int) -> list[int]:
    return [item for s, item in history if s == session]


def distinct(items: list[int], window: int) -> list[int]:
    """Return the last items, each once, in the order of their last clicks."""
    kept: list[int] = []
    for item in items:
        kept = [*(other for other in kept if other != item), item][-window:]
    return kept


def popularity(history: History, half_life: float) -> Scores:
    scores: Scores = defaultdict(float)
    for place, (_, item) in enumerate(history):
        scores[item] += 0.5 ** ((len(history) - place) / half_life)
    return scores


def rules(history: History, session: int, steps: int, half_life: float) -> Scores:
    last = clicks_of(history, session)[-1]
    scores: Scores = defaultdict(float)
    for place, (owner, item) in enumerate(history):
        before = clicks_of(history[:place], owner)
        for step in range(1, min(steps, len(before)) + 1):
            if before[-step] == last:
                scores[item] += 0.5 ** ((len(history) - place) / half_life) / step
    return scores


def item_knn(
    history: History, session: int, alpha: float, shrink: float, decay: float, window: int
) -> Scores:
    pairs: dict[tuple[int, int], float] = defaultdict(float)
    holders: dict[int, int] = defaultdict(int)
    for place, (owner, item) in enumerate(history):
        held = distinct(clicks_of(history[:place], owner), window)
        if item in held:
            pairs[item, item] += 1
            continue
        holders[item] += 1
        for other in held:
            pairs[item, other] += 1
            pairs[other, item] += 1
    scores: Scores = defaultdict(float)
    for far, own in enumerate(reversed(distinct(clicks_of(history, session), window))):
        for (one, other), count in pairs.items():
            if one == own:
                norm = (holders[one] + shrink) ** alpha * (holders[other] + shrink) ** (1 - alpha)
                scores[other] += decay**far * count / norm
    return scores


def neighbours(
    history: History,
    session: int,
    *,
    neighbours: int,
    sample: int,
    kept: int,
    window: int,
    own: bool,
    importance: Callable[[int, int], float],
    nearness: Callable[[float, int, int], float] = lambda overlap, length, age: overlap,
    trust: Callable[[int], float] = lambda far: 1.0,
    closeness: Callable[[int], float] | None = None,
    idf: float = 0.0,
) -> Scores:
    numbers: dict[int, int] = {}
    past: dict[int, list[int]] = {}
    last: dict[int, int] = {}
    holding: dict[int, list[int]] = defaultdict(list)
    holders: dict[int, int] = defaultdict(int)
    begun = 0
    for place, (name, item) in enumerate(history):
        written = [item]
        if numbers.get(name) not in past:
            written = [*distinct(clicks_of(history[:place], name), window), item]
            begun += 1
            numbers[name] = begun
            past[begun] = []
            for gone in past.pop(begun - kept, []):
                holding[gone] = [number for number in holding[gone] if number != begun - kept]
        number = numbers[name]
        last[number] = place
        for one in written:
            if one in past[number]:
                past[number].remove(one)
            else:
                holders[one] += 1
                holding[one] = [*holding[one], number][-sample:]
            past[number].append(one)
            if len(past[number]) > window:
                gone = past[number].pop(0)
                holding[gone] = [other for other in holding[gone] if other != number]

    mine = distinct(clicks_of(history, session), window)[::-1]
    overlap: dict[int, float] = defaultdict(float)
    nearest_shared: dict[int, int] = {}
    for far, item in enumerate(mine):
        for number in holding[item]:
            overlap[number] += importance(far, len(mine))
            nearest_shared.setdefault(number, far)
    if not own:
        overlap.pop(numbers[session], None)
    found = sorted(overlap, key=lambda number: -last[number])[:sample]
    near = {
        number: nearness(overlap[number], len(past[number]), len(history) - last[number] - 1)
        for number in found
    }

    def weigh(number: int, item: int) -> float:
        """Weight the session's own items by their importance, where no closeness does."""
        if closeness or number != numbers[session]:
            return 1
        return importance(mine.index(item), len(mine))

    scores: Scores = defaultdict(float)
    for number in sorted(found, key=lambda number: -near[number])[:neighbours]:
        held = past[number]
        shared = max(place for place, item in enumerate(held) if item in mine)
        for place, item in enumerate(held):
            scores[item] += (
                near[number]
                * trust(nearest_shared[number])
                * (closeness(abs(place - shared)) if closeness else 1)
                * weigh(number, item)
                * (1 + idf * max(0.0, math.log(begun / holders[item])))
            )
    return scores


def context_tree(
    history: History, session: int, depth: int, prior: float, trust: float, half_life: float
) -> Scores:
    counts: dict[tuple[int, ...], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    weights: dict[tuple[int, ...], float] = defaultdict(lambda: trust)

    def contexts(before: list[int]) -> list[tuple[int, ...]]:
        return [tuple(before[len(before) - size :]) for size in range(min(depth, len(before)) + 1)]

    def forecasts(before: list[int], item: int, known: int) -> list[tuple[float, float]]:
        """Return p and q of each context, the shortest first."""
        found, mixed = [], 1 / known
        for context in contexts(before):
            total = sum(counts[context].values())
            told = (counts[context][item] + prior * mixed) / (total + prior)
            weight = weights[context] if context else 1.0
            mixed = weight * told + (1 - weight) * mixed
            found.append((told, mixed))
        return found

    for place, (owner, item) in enumerate(history):
        known = len({i for _, i in history[: place + 1]})
        before = clicks_of(history[:place], owner)
        found = forecasts(before, item, known)
        for context, (told, mixed) in zip(contexts(before), found, strict=True):
            weights[context] = min(max(weights[context] * told / mixed, 1e-3), 1 - 1e-3)
            counts[context][item] += 1
        for followers in counts.values():
            for follower in followers:
                followers[follower] *= 0.5 ** (1 / half_life)
    items = {i for _, i in history}
    before = clicks_of(history, session)
    return {item: forecasts(before, item, len(items))[-1][1] for item in items}
