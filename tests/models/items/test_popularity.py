from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.compute.snapshot_buffer import SnapshotBuffer
from nextclick.models.items.popularity import Popularity
from nextclick.models.items.vocabulary import NO_ITEM
from tests.models.items.counted import catalogue, clicks_of, learn, leave, popularity


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.75, 1.0])
def test_draws_follow_the_clicks_to_the_power_alpha(alpha: float) -> None:
    model = popularity(alpha)
    counts = [1, 2, 40, 7, 1, 300, 16]
    learn(model, clicks_of(counts))
    draws = 100_000
    found = np.bincount(model.sample(draws).numpy(), minlength=8)
    assert found[0] == 0
    assert len(found) == 8
    weights = np.array(counts, np.float64) ** alpha
    expected = draws * weights / weights.sum()
    # Chi-square with six degrees of freedom: more than 27.9 comes once in ten thousand.
    assert ((found[1:] - expected) ** 2 / expected).sum() < 27.9


def test_there_is_no_sample_before_the_first_batch() -> None:
    model = popularity(0.75)
    drawn = model.sample(5)
    assert drawn.shape == (0,)
    assert drawn.dtype == torch.int64
    assert model.expected(torch.tensor([1, 2]), 5, 2).tolist() == [0, 0]
    learn(model, [1, 2])
    assert model.sample(5).shape == (5,)
    assert model.sample(5).dtype == torch.int64
    assert model.sample(0).shape == (0,)


def test_an_empty_batch_is_not_the_first() -> None:
    model = popularity(0.75)
    model.learn(torch.zeros(0, dtype=torch.int64), 1)
    learn(model, [1, 2])
    assert model.sample(5).shape == (5,)


@pytest.mark.parametrize("first", [1, 10, 700, 5000])
@pytest.mark.parametrize("batch", [1, 64, 3000])
def test_new_clicks_are_drawn_once_clicks_have_doubled_or_1024_are_gathered(
    first: int, batch: int
) -> None:
    model = popularity(1.0)
    learn(model, [1] * first)
    since = 0
    while since < min(1024, first):
        assert set(model.sample(50).tolist()) == {1}
        learn(model, [2] * batch)
        since += batch
    # Each of the first clicks was on row 1, all since on row 2.
    share = 10_000 * first / (first + since)
    assert abs(model.sample(10_000).tolist().count(1) - share) < 6 * share**0.5


def test_click_by_click_early_negatives_are_not_all_of_the_first_item() -> None:
    model = popularity(1.0)
    for row in range(1, 65):
        learn(model, [row])
    assert len(set(model.sample(500).tolist())) == 64


def test_a_fresh_table_lasts_another_1024_clicks() -> None:
    model = popularity(1.0)
    learn(model, [1] * 1030)
    learn(model, [2] * 1023)
    assert set(model.sample(1000).tolist()) == {1}
    learn(model, [2])
    assert set(model.sample(1000).tolist()) == {1, 2}


batches = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=600), min_size=1, max_size=6)


@given(batches, st.sampled_from([0.5, 0.75, 1.0]), st.integers(0, 50), st.integers(0, 50))
def test_expected_is_the_formula(
    stream: list[list[int]], alpha: float, samples: int, batch: int
) -> None:
    model = popularity(alpha)
    counts = dict.fromkeys(range(31), 0)
    total, refreshed = 0, None
    for rows in stream:
        for row in rows:
            counts[row] += 1
            total += 1
        learn(model, rows, 31)
        if refreshed is None or total - refreshed >= min(1024, refreshed):
            refreshed = total
            mass = sum(count**alpha for count in counts.values() if count)
    asked = [*range(31), 5000]
    found = model.expected(torch.tensor(asked), samples, batch).tolist()
    for row, value in zip(asked, found, strict=True):
        count = counts.get(row, 0)
        share = count**alpha / mass if count else 0.0
        assert value == pytest.approx(samples * share + batch * count / total, rel=1e-12)


def test_a_row_never_counted_is_never_expected_even_if_draws_are_uniform() -> None:
    model = popularity(0.0)
    learn(model, [1, 2])
    assert model.expected(torch.tensor([1, 2, 3, 5000]), 10, 0).tolist() == [5, 5, 0, 0]


def test_candidates_come_as_often_as_expected() -> None:
    counts = [5, 60, 1, 200, 34]
    model = popularity(0.75)
    learn(model, clicks_of(counts))
    rounds = 4000
    found = torch.zeros(6, dtype=torch.float64)
    for _ in range(rounds):
        found += torch.bincount(model.sample(20), minlength=6)
    expected = rounds * model.expected(torch.arange(6), 20, 0)
    assert ((found - expected).abs() <= 5 * expected.sqrt()).all()


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=50), st.integers(1, 10))
def test_every_click_is_counted_however_far_the_catalogue_grows(
    rows: list[int], batch: int
) -> None:
    model = popularity(0.75, table=catalogue(5000))
    used = 1
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        used = max(used, *(row + 1 for row in part))
        learn(model, part, used)
    assert model.clicks == len(rows)
    assert model.mass == len(rows)
    assert model.counts(torch.arange(6000)).tolist() == [rows.count(row) for row in range(6000)]


def test_the_same_seed_draws_the_same() -> None:
    models = [popularity(0.75, seed) for seed in (1, 1, 2)]
    for model in models:
        learn(model, list(range(1, 51)))
    first, same, other = (model.sample(50).tolist() for model in models)
    assert first == same
    assert first != other


@pytest.mark.parametrize("before", [0, 10, 1500])
@pytest.mark.parametrize("half_life", [0.0, 2.0, 500.0])
def test_a_restored_one_goes_on_to_the_last_bit(before: int, half_life: float) -> None:
    table = catalogue(3000)
    generators = [torch.Generator().manual_seed(4) for _ in range(3)]
    unbroken, broken, restored = (
        Popularity(0.75, table, generator, half_life) for generator in generators
    )
    rows = np.random.default_rng(0).integers(1, 3000, size=before + 3000).tolist()
    for model in (unbroken, broken):
        for row in rows[:before]:
            learn(model, [row], 3001)
        model.sample(7)
    arrays, values = broken.state(SnapshotBuffer())
    random = generators[1].get_state()
    for row in rows[before:]:  # The state is a copy.
        learn(broken, [row], 3001)
    broken.forget(torch.arange(1, 100))
    restored.restore(arrays, json.loads(json.dumps(values)))
    generators[2].set_state(random)
    asked = torch.tensor([1, 2, 3, 2999])
    for place, row in enumerate(rows[before:]):
        learn(unbroken, [row], 3001)
        learn(restored, [row], 3001)
        if place % 100 == 0:
            assert torch.equal(unbroken.sample(20), restored.sample(20))
            assert torch.equal(unbroken.expected(asked, 9, 3), restored.expected(asked, 9, 3))


def test_an_item_that_has_left_is_drawn_as_no_item() -> None:
    table = catalogue()
    model = popularity(1.0, table=table)
    learn(model, [1, 1, 2, 3])
    before = model.sample(1000)
    assert set(before.tolist()) == {1, 2, 3}
    leave(model, table, 2)
    model._generator.manual_seed(0)
    gone = before.masked_fill(before == 2, NO_ITEM)
    assert torch.equal(model.sample(1000), gone)
    # Its row's next item was not there when the table was made.
    table.draw(torch.tensor([2]), 51)
    learn(model, [2])
    model._generator.manual_seed(0)
    assert torch.equal(model.sample(1000), gone)
    assert model.expected(torch.tensor([NO_ITEM]), 10, 10).tolist() == [0]


def test_the_clicks_of_an_item_that_has_left_are_forgotten() -> None:
    table = catalogue()
    model = popularity(1.0, table=table)
    learn(model, clicks_of([4000, 10, 30]))
    leave(model, table, 1)
    assert model.expected(torch.tensor([1]), 10, 10).tolist() == [0]
    table.draw(torch.tensor([1]), 51)
    learn(model, clicks_of([1000, 10, 30]))
    drawn = np.bincount(model.sample(10_000).numpy(), minlength=4)
    expected = 10_000 * np.array([1000, 20, 60]) / 1080
    assert drawn[NO_ITEM] == 0
    assert (np.abs(drawn[1:] - expected) <= 5 * expected**0.5).all()


@pytest.mark.parametrize(
    "alpha",
    [
        0.0,
        0.75,
    ],
)
def test_a_row_without_an_item_is_never_drawn(alpha: float) -> None:
    table = catalogue()
    model = popularity(alpha, table=table)
    learn(model, [1, 2, 3])
    leave(model, table, 2)
    learn(model, [1, 3] * 600)
    assert set(model.sample(1000).tolist()) == {1, 3}


Steps = list[tuple[str, list[int]]]
EVENTS: st.SearchStrategy[Steps] = st.lists(
    st.tuples(st.just("click"), st.lists(st.integers(1, 40), min_size=1, max_size=700))
    | st.tuples(st.just("leave"), st.lists(st.integers(1, 40), max_size=4, unique=True)),
    min_size=1,
    max_size=12,
)


@given(
    EVENTS,
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    st.sampled_from([0.0, 1.0, 30.0, 5000.0]),
    st.sampled_from([1, 4000]),
    st.integers(1, 500),
)
def test_every_item_gets_its_share_of_the_numbers_as_of_the_last_refresh(
    events: Steps, alpha: float, half_life: float, apart: int, batch: int
) -> None:
    table = catalogue(40 * apart)
    model = popularity(alpha, table=table, half_life=half_life)
    # The definition: when each click was, by item; and what the table is made of.
    clicks: dict[int, list[int]] = {}
    shares: dict[int, float] = {}
    total, refreshed = 0, 0
    for event, numbers in events:
        rows = [apart * number for number in numbers]
        if event == "leave":
            for row in [row for row in rows if row in clicks]:
                leave(model, table, row)
                del clicks[row]
                # Until the next refresh no item is drawn in its place.
                shares[NO_ITEM] = shares.get(NO_ITEM, 0.0) + shares.pop(row, 0.0)
                table.draw(torch.tensor([row]), 40 * apart + 1)
            continue
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            for row in part:
                clicks.setdefault(row, []).append(total)
                total += 1
            learn(model, part, 40 * apart + 1)
            if total - refreshed >= min(1024, refreshed):
                refreshed = total
                powers = {
                    row: sum(0.5 ** ((total - 1 - at) / half_life if half_life else 0) for at in of)
                    ** alpha
                    for row, of in clicks.items()
                }
                shares = {row: power / sum(powers.values()) for row, power in powers.items()}
    if not shares:
        return
    count = 20_000
    every = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    drawn = np.bincount(model._table.draw(every).numpy(), minlength=40 * apart + 1)
    expected = np.zeros(len(drawn))
    expected[list(shares)] = list(shares.values())
    # An interval holds as many of equidistant numbers as its length says, but for one at its ends.
    beyond = (NO_ITEM, *(row for row in clicks if row not in shares))
    apart_by = np.abs(drawn - count * expected)
    assert np.delete(apart_by, beyond).max(initial=0) <= 1 + 1e-6
    # What left was in several intervals.
    assert apart_by[NO_ITEM] <= 1 + len(events) * 4
    assert drawn[list(beyond[1:])].sum() == 0
