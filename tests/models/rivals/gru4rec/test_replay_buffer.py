from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.recommender import Id
from nextclick.models.rivals.gru4rec.replay_buffer import ReplayBuffer

ITEMS = st.sampled_from([1, "1", 2, "x", "y"])
BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 5), ITEMS), max_size=7), max_size=20)


@given(BATCHES, st.integers(1, 9), st.integers(1, 5), st.booleans())
def test_the_latest_clicks_come_again_in_order(
    batches: list[list[tuple[int, Id]]], bound: int, size: int, restored: bool
) -> None:
    kept = ReplayBuffer(bound)
    every: list[tuple[int, Id]] = []
    for batch in batches:
        kept.add([session for session, _ in batch], [item for _, item in batch])
        every += batch
        if restored:
            arrays, names = kept.state()
            kept = ReplayBuffer(bound)
            kept.restore(arrays, names)
    again = list(kept.batches(size))
    latest = every[-bound:]
    assert [len(items) for _, items in again[:-1]] == [size] * len(again[:-1])
    found = [
        (session, item)
        for sessions, items in again
        for session, item in zip(sessions, items, strict=True)
    ]
    assert [(session, repr(item)) for session, item in found] == [
        (session, repr(item)) for session, item in latest
    ]
    assert len(kept) == len(latest)


def test_names_of_items_long_gone_are_not_kept() -> None:
    kept = ReplayBuffer(3)
    for item in range(100):
        kept.add([0], [item])
    assert len(kept._names) <= 7
    arrays, names = kept.state()
    assert names == [97, 98, 99]
    assert sum(array.size for array in arrays.values()) == 6
