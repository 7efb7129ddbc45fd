from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import click_log
from nextclick.models.click_log import ClickLog
from nextclick.models.habits import NOWHERE, Habits, Place, Trace
from nextclick.models.items import ItemTable
from nextclick.models.optim import Adagrad

CPU = torch.device("cpu")
ITEMS = 5


def make(bound: int) -> ClickLog:
    generator = torch.Generator().manual_seed(0)
    items = ItemTable(2, None, 0.1, Adagrad(0.1), CPU, torch.float64, generator)
    items.draw(torch.arange(1, ITEMS + 1), ITEMS + 1)
    return ClickLog(bound, items, CPU)


def log_batch(log: ClickLog, batch: list[tuple[int, int]], places: dict[str | int, Place]) -> Trace:
    """Log a batch of (session, row)."""
    sessions: list[str | int] = [session for session, _ in batch]
    trace = Habits().trace(sessions, [row for _, row in batch], places, log.count)
    rows = torch.tensor([row for _, row in batch], dtype=torch.int64)[trace.logged]
    stamps = log._items.stamp(rows)
    log.write(trace, stamps, rows)
    log.settle(stamps, rows)
    places.update(trace.ends)
    return trace


clicks = st.lists(st.tuples(st.integers(0, 3), st.integers(1, ITEMS)), max_size=60)


@given(clicks, st.integers(1, 9), st.integers(1, 40))
@settings(max_examples=80)
def test_every_click_is_linked_as_a_plain_list_of_clicks_says(
    stream: list[tuple[int, int]], batch: int, bound: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(click_log, "LARGEST_BATCH", 10)  # So that the log wraps around.
        log, places = make(bound), dict[str | int, Place]()
        plain: list[tuple[int, int]] = []
        for start in range(0, len(stream), batch):
            part = stream[start : start + batch]
            trace = log_batch(log, part, places)
            for at, (session, row) in enumerate(part):
                own = [n for n, (other, _) in enumerate(plain) if other == session]
                assert trace.now[at] == len(plain)
                assert trace.own[at] == (own[-1] if own else NOWHERE)
                if not own or plain[own[-1]][1] != row:
                    plain.append((session, row))
        assert log.count == len(plain)
        for number in range(max(0, len(plain) - bound), len(plain)):
            session, row = plain[number]
            in_sight = [n for n in range(number) if n >= number - bound]
            before = [n for n in in_sight if plain[n][0] == session][-1:]
            earlier = [n for n in range(number) if plain[n][1] == row][-1:]
            after = [n for n in range(number + 1, len(plain)) if plain[n][0] == session][:1]
            after = [n for n in after if number >= n - bound]
            one = torch.tensor([number])
            assert log.at(log.stamps, one).item() == log._items.stamp(torch.tensor([row])).item()
            assert log.at(log.previous, one).tolist() == (before or [NOWHERE])
            assert log.at(log.next, one).tolist() == (after or [NOWHERE])
            assert log.at(log.earlier, one).tolist() == (earlier or [NOWHERE])


@given(clicks, clicks)
@settings(max_examples=30)
def test_what_is_undone_was_never_there(
    stream: list[tuple[int, int]], tried: list[tuple[int, int]]
) -> None:
    log, places = make(30), dict[str | int, Place]()
    log_batch(log, stream, places)
    before, count = log.state()
    sessions: list[str | int] = [session for session, _ in tried]
    trace = Habits().trace(sessions, [row for _, row in tried], places, log.count)
    rows = torch.tensor([row for _, row in tried], dtype=torch.int64)[trace.logged]
    log.undo(log.write(trace, log._items.stamp(rows), rows))
    after, again = log.state()
    assert again == count
    for name, column in before.items():
        # What was undone may have made room.
        assert torch.equal(column, after[name][: len(column)]), name


def test_the_latest_click_on_an_item_is_told_as_of_each_moment() -> None:
    log, places = make(30), dict[str | int, Place]()
    log_batch(log, [(1, 3), (2, 4)], places)
    trace = Habits().trace([3, 4, 5], [3, 4, 3], places, log.count)
    rows = torch.tensor([3, 4, 3])
    stamps = log._items.stamp(rows)
    log.write(trace, stamps, rows)
    three = torch.full((5,), 3)
    found = log.latest_before(three, log._items.stamp(three), torch.tensor([2, 3, 4, 5, 5]))
    assert found.tolist() == [0, 2, 2, 4, 4]


def test_an_item_that_has_left_is_not_found_again() -> None:
    log, places = make(30), dict[str | int, Place]()
    log_batch(log, [(1, 3)], places)
    log._items.clear(torch.tensor([3]))
    log._items.draw(torch.tensor([3]), ITEMS + 1)
    row = torch.tensor([3])
    assert log.latest_before(row, log._items.stamp(row), torch.tensor([1])).item() == NOWHERE
