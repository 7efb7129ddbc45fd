from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.items.counted import catalogue, clicks_of, learn, leave, popularity


@given(
    st.lists(st.lists(st.integers(1, 8), max_size=40), min_size=1, max_size=8),
    st.floats(1, 100),
)
def test_a_click_counts_half_after_a_half_life_of_further_clicks(
    stream: list[list[int]], half_life: float
) -> None:
    model = popularity(0.75, half_life=half_life)
    for rows in stream:
        learn(model, rows, 9)
    clicks = [row for rows in stream for row in rows]
    counts = np.zeros(9)
    for place, row in enumerate(clicks):
        counts[row] += 0.5 ** ((len(clicks) - 1 - place) / half_life)
    np.testing.assert_allclose(model.counts(torch.arange(9)).numpy(), counts, rtol=1e-9)
    assert model.mass == pytest.approx(counts.sum(), rel=1e-9)
    assert model.clicks == len(clicks)


@pytest.mark.parametrize("batch", [1, 64, 5000])
def test_decay_goes_on_for_however_many_half_lives(batch: int) -> None:
    model = popularity(1.0, half_life=3.0)
    rows = np.random.default_rng(0).integers(1, 5, size=20_000)
    for start in range(0, len(rows), batch):
        learn(model, rows[start : start + batch].tolist(), 5)
    weights = 0.5 ** (np.arange(len(rows) - 1, -1, -1) / 3)
    counts = np.bincount(rows, weights, minlength=5)
    np.testing.assert_allclose(model.counts(torch.arange(5)).numpy(), counts, rtol=1e-9)
    assert model.mass == pytest.approx(counts.sum(), rel=1e-9)
    assert set(model.sample(200).tolist()) <= {1, 2, 3, 4}


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_negatives_and_their_expectation_follow_the_decayed_clicks(alpha: float) -> None:
    model = popularity(alpha, half_life=2048.0)
    learn(model, clicks_of([6000, 3000, 0, 1000]), 5)
    learn(model, clicks_of([0, 0, 2000, 48]), 5)
    weights = 0.5 ** (np.arange(12_047, -1, -1) / 2048)
    clicks = [*clicks_of([6000, 3000, 0, 1000]), *clicks_of([0, 0, 2000, 48])]
    counts = np.bincount(clicks, weights, minlength=5)[1:]
    shares = counts**alpha / (counts**alpha).sum()
    drawn = np.bincount(model.sample(100_000).numpy(), minlength=5)[1:]
    expected = 100_000 * shares
    # Chi-square with three degrees of freedom: more than 21.1 comes once in ten thousand.
    assert ((drawn - expected) ** 2 / expected).sum() < 21.1
    found = model.expected(torch.arange(1, 5), 100, 10).numpy()
    np.testing.assert_allclose(found, 100 * shares + 10 * counts / counts.sum(), rtol=1e-9)


def test_without_a_half_life_old_clicks_count_like_new_ones() -> None:
    model = popularity(1.0)
    learn(model, clicks_of([2000, 0]), 3)
    learn(model, clicks_of([0, 2000]), 3)
    assert model.counts(torch.tensor([1, 2])).tolist() == [2000, 2000]


def test_an_item_that_comes_back_starts_at_no_clicks_whatever_the_scale() -> None:
    table = catalogue()
    model = popularity(1.0, table=table, half_life=10.0)
    learn(model, [1, 2] * 2000)
    leave(model, table, 1)
    assert model.counts(torch.tensor([1])).tolist() == [0]
    table.draw(torch.tensor([1]), 51)
    learn(model, [1])
    assert model.counts(torch.tensor([1])).tolist() == [1]
