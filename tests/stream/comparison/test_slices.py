from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.stream.comparison.item_counts import LOOK, POPULAR, RARE, ItemCounts
from nextclick.stream.comparison.slices import LABELS, REMEMBERED, SLICES, Slicer, slice_names


def reference(sessions: list[int], items: list[int]) -> list[list[str] | None]:
    """The kinds of each click, found again from all clicks before it."""
    found: list[list[str] | None] = []
    bar = float("inf")
    for at, (session, item) in enumerate(zip(sessions, items, strict=True)):
        if at and at % LOOK == 0:
            counts = sorted(np.unique(items[:at], return_counts=True)[1].tolist(), reverse=True)
            bar = max(RARE, counts[max(1, round(POPULAR * len(counts))) - 1])
        own = [
            other
            for before, other in zip(sessions[:at], items[:at], strict=True)
            if before == session
        ]
        if not own:
            found.append(None)
            continue
        clicks = items[:at].count(item)
        place = {1: "second", 2: "third"}.get(len(own), "later")
        target = "new" if not clicks else "rare" if clicks < RARE else "common"
        if clicks >= bar:
            target = "popular"
        repeat = "last" if own[-1] == item else "earlier" if item in own[-REMEMBERED:] else "none"
        found.append([place, target, repeat])
    return found


def kinds(slicer: Slicer, sessions: list[int], items: list[int]) -> list[list[str] | None]:
    names = slice_names()
    return [
        None if click[0] < 0 else [names[kind][1] for kind in click]
        for click in slicer.take(sessions, items).tolist()
    ]


def test_kinds_against_a_count_of_every_click_before() -> None:
    draw = np.random.default_rng(4)
    count = 2500
    sessions = draw.integers(count // 12, size=count).tolist()
    items = (draw.zipf(1.25, size=count) % 400).tolist()
    slicer = Slicer(ItemCounts(1, 10_000))
    found = kinds(slicer, sessions, items)
    assert found == reference(sessions, items)
    seen = {kind for click in found if click for kind in click}
    assert seen == {kind for line in SLICES.values() for kind in line}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=60), st.integers(0, 60))
@settings(max_examples=50)
def test_stopped_anywhere_and_cut_in_any_batches_the_kinds_are_the_same(
    clicks: list[tuple[int, int]], cut: int
) -> None:
    sessions, items = [session for session, _ in clicks], [item for _, item in clicks]
    first, resumed = Slicer(ItemCounts(1, 100)), Slicer(ItemCounts(1, 100))
    found = kinds(first, sessions[:cut], items[:cut])
    resumed.n_items.restore(first.n_items.state())
    resumed.restore(first.state())
    assert found + kinds(resumed, sessions[cut:], items[cut:]) == reference(sessions, items)


def test_a_session_that_has_ended_begins_anew() -> None:
    slicer = Slicer(ItemCounts(1, 100))
    assert kinds(slicer, [1, 1], [7, 7])[1] == ["second", "rare", "last"]
    slicer.forget([1, 2])
    assert kinds(slicer, [1, 1], [8, 7]) == [None, ["second", "rare", "none"]]


def test_a_repetition_is_looked_for_among_the_latest_clicks_only() -> None:
    slicer = Slicer(ItemCounts(1, 1000))
    items = [0, *range(1, REMEMBERED + 1), 0]
    assert kinds(slicer, [1] * len(items), items)[-1] == ["later", "rare", "none"]


def test_every_kind_has_words() -> None:
    assert set(LABELS) == set(SLICES) | {kind for line in SLICES.values() for kind in line}
