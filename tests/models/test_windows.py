from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.models.windows import align_windows

sessions: st.SearchStrategy[list[str | int]] = st.lists(st.sampled_from("abcdef"), max_size=40)


Whole = NDArray[np.int64]


def kept(of: dict[str | int, int]) -> Callable[[Sequence[str | int]], tuple[Whole, Whole]]:
    def find(sessions: Sequence[str | int]) -> tuple[Whole, Whole]:
        count = np.array([of.get(session, 0) for session in sessions], np.int64)
        return np.arange(len(count)), count

    return find


@given(sessions, st.dictionaries(st.sampled_from("abcd"), st.integers(1, 4)), st.integers(1, 4))
def test_every_click_gets_the_last_clicks_before_it(
    clicks: list[str | int], stored: dict[str | int, int], size: int
) -> None:
    stored = {session: min(held, size) for session, held in stored.items()}
    windows = align_windows(clicks, kept(stored), size)

    # Name the stored clicks of a session -kept … -1 and those of the batch by their place.
    histories = np.full((len(windows.sessions), windows.width), 10_000)
    for place, session in enumerate(windows.sessions):
        held = stored.get(session, 0)
        histories[place, size - held : size] = np.arange(-held, 0)
    histories[windows.group, windows.turn + size] = np.arange(len(clicks))

    past: dict[str | int, list[int]] = {
        session: list(range(-held, 0)) for session, held in stored.items()
    }
    expected, starts = {}, {}
    for place, session in enumerate(clicks):
        before = past.setdefault(session, [])
        if before:
            expected[place] = before[-size:]
            starts[place] = max(0, len(before) - size)
        before.append(place)

    found: dict[int, list[int]] = {place: [] for place in windows.scored.tolist()}
    flat = histories.reshape(-1)[windows.steps].tolist()
    for active in windows.sizes:
        for place in windows.scored[:active].tolist():
            found[place].append(flat.pop(0))
    assert not flat
    assert found == expected

    # Name a state by its session and how many of its clicks have passed.
    states = [(session, 0) for session in windows.sessions]
    passed = histories.reshape(-1)[windows.moved_clicks].tolist()
    for step, moving in enumerate(windows.move_counts, start=1):
        for session in [
            windows.sessions[place] for place in windows.moved_sessions[:moving].tolist()
        ]:
            assert passed.pop(0) == past[session][step - 1]
            states.append((session, step))
    assert not passed
    for place, start in zip(windows.scored.tolist(), windows.starts.tolist(), strict=True):
        assert states[start] == (clicks[place], starts[place])
    for session, next_start in zip(windows.sessions, windows.next_start.tolist(), strict=True):
        assert states[next_start] == (session, max(0, len(past[session]) - size))
    latest = list(dict.fromkeys(clicks[::-1]))[::-1]
    assert [windows.sessions[place] for place in windows.latest.tolist()] == latest


def test_windows_come_longest_first_then_in_stream_order() -> None:
    windows = align_windows(["a", "b", "c", "b", "c"], kept({"a": 1, "b": 1, "c": 1}), size=5)
    assert windows.scored.tolist() == [3, 4, 0, 1, 2]
    assert windows.sizes == [5, 2]
