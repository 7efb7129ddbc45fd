from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.compute.snapshot_buffer import SnapshotBuffer
from nextclick.models.sessions import SessionStore


def store(bound: int = 100, window: int = 3) -> SessionStore:
    return SessionStore(window, 2, bound, torch.device("cpu"), torch.float32)


def click(kept: SessionStore, sessions: list[str], rows: list[int]) -> None:
    windows = kept.align_windows(sessions)
    histories, states = kept.histories(windows, torch.tensor(rows, dtype=torch.int64))
    kept.advance(windows, histories, states + 1)


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 99)), max_size=9)),
    st.integers(6, 8),
)
def test_it_keeps_the_last_clicks_of_each_session(
    batches: list[list[tuple[str, int]]], bound: int
) -> None:
    kept = store(bound)
    past: dict[str, list[int]] = {}
    for batch in batches:
        click(kept, [session for session, _ in batch], [row for _, row in batch])
        for session, row in batch:
            past.setdefault(session, []).append(row)
    live = list(past)
    windows = kept.align_windows(live)
    histories, _ = kept.histories(windows, torch.zeros(len(live), dtype=torch.int64))
    for session, track, held in zip(live, histories.tolist(), windows.kept.tolist(), strict=True):
        assert held == min(3, len(past[session]))
        assert track[3 - held : 3] == past[session][-3:]
        assert track[: 3 - held] == [0] * (3 - held)


def test_the_session_least_recently_clicked_makes_room() -> None:
    kept = store(bound=2)
    click(kept, ["a"], [1])
    click(kept, ["b"], [2])
    click(kept, ["a"], [3])
    click(kept, ["c"], [4])
    assert ("a" in kept, "b" in kept, "c" in kept, len(kept)) == (True, False, True, 2)


def test_within_a_batch_the_last_click_counts() -> None:
    kept = store(bound=2)
    click(kept, ["a", "b", "a"], [1, 2, 3])
    click(kept, ["c"], [4])
    assert ("a" in kept, "b" in kept) == (True, False)


def test_a_new_session_finds_nothing_of_the_one_that_had_its_place() -> None:
    kept = store(bound=1)
    click(kept, ["a", "a"], [1, 2])
    windows = kept.align_windows(["b"])
    histories, states = kept.histories(windows, torch.tensor([7]))
    assert histories.tolist() == [[0, 0, 0, 7]]
    assert states.tolist() == [[0, 0]]
    assert not len(windows.scored)


@given(st.lists(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 9)), max_size=5)))
def test_a_restored_store_goes_on_the_same(batches: list[list[tuple[str, int]]]) -> None:
    one, other = store(bound=5), store(bound=5)
    for batch in batches:
        click(one, [session for session, _ in batch], [row for _, row in batch])
        other.restore(*one.state(SnapshotBuffer()))
        assert list(one.state(SnapshotBuffer())[0]) == list(other.state(SnapshotBuffer())[0])
        for name, array in one.state(SnapshotBuffer())[1].items():
            assert torch.equal(array, other.state(SnapshotBuffer())[1][name])
    click(one, ["x", "y", "z"], [1, 2, 3])
    click(other, ["x", "y", "z"], [1, 2, 3])
    assert one.state(SnapshotBuffer())[0] == other.state(SnapshotBuffer())[0]


@given(
    st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=5), max_size=12),
    st.integers(5, 7),
    st.integers(5, 9),
)
def test_where_a_batch_will_be_kept_is_known_before_it_is(
    batches: list[list[str]], bound: int, larger: int
) -> None:
    """Each session in turn, by its last click, drops the oldest ones where there is no room."""
    kept = store(bound)
    # A state of a larger bound may be restored.
    roomy = store(larger)
    for name in "klmnopqrs"[:larger]:
        click(roomy, [name], [1])
    kept.restore(*roomy.state(SnapshotBuffer()))
    plain = list(kept)
    for batch in batches:
        windows = kept.align_windows(batch)
        before = list(kept)
        histories, states = kept.histories(windows, torch.ones(len(batch), dtype=torch.int64))
        assert list(kept) == before
        slots = kept.advance(windows, histories, states)
        assert slots.tolist() == windows.slots_after.tolist()
        for session in (windows.sessions[place] for place in windows.latest.tolist()):
            if session in plain:
                plain.remove(session)
            while len(plain) >= bound:
                plain.pop(0)
            plain.append(session)
        assert list(kept) == plain
        assert len(set(kept.held.tolist())) == len(plain)
