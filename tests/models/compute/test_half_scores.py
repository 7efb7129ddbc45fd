from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.compute import half_scores
from nextclick.models.compute.half_scores import HALF_ROWS, HalfChoice, HalfScan, never
from nextclick.models.compute.score_blocks import BlockScan, Wanted

Arrays = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Wanted]


def case(seed: int, clicks: int, rows: int, size: float = 1.0, sums: bool = True) -> Arrays:
    """Return what is scanned: rows of which many are equal, and bars at the targets' scores."""
    draw = np.random.default_rng(seed)
    outputs = draw.standard_normal((clicks, 7)).astype(np.float32) * size
    embedding = draw.standard_normal((rows, 7)).astype(np.float32)
    embedding[draw.integers(rows, size=rows // 3)] = embedding[0]
    bias = draw.choice([-np.inf, 0.0, 0.3, -7.123], rows).astype(np.float32)
    scores = outputs @ embedding.T + bias
    own = scores[np.arange(clicks), draw.integers(rows, size=clicks)]
    with np.errstate(invalid="ignore"):
        bars = own - 4e-6 * (np.abs(own) + 10 * size)
    lengths = draw.integers(0, min(rows, 5), clicks) if sums else np.zeros(clicks, np.int64)
    special = [draw.permutation(rows)[:length] for length in lengths]
    ends = lengths.cumsum()
    new = draw.permutation(rows)[: draw.integers(0, min(rows, 4))]
    wanted = Wanted(
        bars.astype(np.float32),
        sums,
        0,
        np.stack([ends - lengths, ends], axis=1).reshape(clicks, 2),
        np.concatenate([*special, []]).astype(np.int32),
        new.astype(np.int64),
        draw.integers(0, 2 * clicks + 1, len(new)),
        draw.permutation(2 * clicks)[:clicks],
    )
    one, two, three = (torch.from_numpy(of) for of in (outputs, embedding, bias))
    return one, two, three, wanted


SIZES = st.sampled_from([0.0, 1e-38, 1e-30, 1e-20, 1e-3, 1.0, 30.0, 1e6, 1e30])


@settings(max_examples=60, deadline=None)
# The squares of its outputs are less than any number.
@example(seed=202, clicks=1, rows=1, size=1e-30, sums=False)
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(1, 3000), SIZES, st.booleans())
def test_counts_in_bfloat16_first_are_those_of_float32(
    seed: int, clicks: int, rows: int, size: float, sums: bool
) -> None:
    arrays = case(seed, clicks, rows, size, sums)
    whole, half = BlockScan(*arrays).scanned(), HalfScan(*arrays).scanned()
    finite = np.isfinite(arrays[3].bars)
    assert half.above[finite].tolist() == whole.above[finite].tolist()
    assert half.broken.tolist() == whole.broken.tolist()
    np.testing.assert_allclose(half.special, whole.special, rtol=1e-5, atol=1e-5 * size)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 3000), st.floats(0, 1))
def test_later_bars_are_counted_exactly(seed: int, clicks: int, rows: int, share: float) -> None:
    arrays = case(seed, clicks, rows)
    late = arrays[3].bars[::-1].copy()
    chosen = np.flatnonzero(np.isfinite(late))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nextclick.models.compute.score_blocks.MOST_GROUPS", share)
        half = HalfScan(*arrays).count(chosen, late[chosen])
    outputs, embedding, bias, wanted = arrays
    only = wanted.only(chosen, late[chosen])
    expected = BlockScan(outputs[torch.from_numpy(chosen)], embedding, bias, only).scanned().above
    assert half.tolist() == expected.tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 3000), st.floats(0.01, 4))
def test_the_sum_of_exponentials_errs_no_more_than_its_bound(
    seed: int, clicks: int, rows: int, size: float
) -> None:
    arrays = case(seed, clicks, rows, size)
    outputs, embedding, bias, _ = arrays
    whole, half = BlockScan(*arrays).scanned(), HalfScan(*arrays).scanned()
    there = whole.highest > -np.inf
    norms = outputs.norm(dim=1) * embedding.norm(dim=1).max()
    largest = bias[bias > -torch.inf].abs().max() if (bias > -torch.inf).any() else 0
    # Two factors are rounded, and what comes out, a difference of two scores.
    bound = (2 * 2**-8 * norms + 2**-8 * 2 * (norms + largest)).numpy() + 1e-5
    logs = [found.highest[there] + np.log(found.total[there]) for found in (half, whole)]
    assert (np.abs(logs[0] - logs[1]) <= bound[there]).all()


@pytest.mark.parametrize("odd", [np.nan, -np.nan, np.inf])
def test_a_score_that_is_no_number_is_found(odd: float) -> None:
    arrays = case(3, 6, 50)
    arrays[3].new_rows = np.zeros(0, np.int64)
    arrays[3].new_clicks = np.zeros(0, np.int64)
    arrays[2][7] = odd
    assert HalfScan(*arrays).scanned().broken.all()
    arrays[2][7] = 0
    arrays[1][7] = odd
    assert HalfScan(*arrays).scanned().broken.all()


def test_an_empty_catalogue_has_nothing_above_a_bar() -> None:
    outputs, embedding, bias, wanted = case(1, 5, 10, sums=False)
    wanted.new_rows = wanted.new_clicks = np.zeros(0, np.int64)
    found = HalfScan(outputs, embedding[:0], bias[:0], wanted).scanned()
    assert not found.above.any()
    bias[:] = -np.inf
    wanted.bars[:] = 0
    assert not HalfScan(outputs, embedding, bias, wanted).scanned().above.any()


@pytest.mark.parametrize(("speed", "chosen"), [(1.9, True), (1.0, False)])
def test_bfloat16_is_chosen_for_large_catalogues_where_it_is_faster_and_told_once(
    speed: float, chosen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half_scores, "half_speed", lambda: speed)
    told: list[str] = []
    choose = HalfChoice(told.append)
    assert not choose(128, HALF_ROWS - 1)
    assert not choose(1, HALF_ROWS)
    assert not told
    assert choose(128, HALF_ROWS) is choose(128, HALF_ROWS + 1) is chosen
    (sentence,) = told
    assert ("bfloat16 first" in sentence) == chosen
    for other in (copy.deepcopy(choose), pickle.loads(pickle.dumps(choose))):
        assert other(128, HALF_ROWS) is chosen
    assert len(told) == 1


@pytest.mark.parametrize("memory", [0, 1000])
def test_a_model_ranks_the_same_in_bfloat16_first(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half_scores, "worth_half", lambda outputs, rows: True)
    draw = np.random.default_rng(0)
    ranks = []
    clicks = [(int(draw.integers(20)), int(draw.geometric(0.02))) for _ in range(1500)]
    for choose in (never, lambda outputs, rows: True):
        model = OnlineGRU4Rec(GRU4RecConfig(hidden=16, n_negatives=32, memory=memory), device="cpu")
        model.choose_half = choose
        found = []
        for start in range(0, len(clicks), 64):
            part = clicks[start : start + 64]
            result = model.test_then_learn([s for s, _ in part], [item for _, item in part])
            found.append(result.ranks)
        ranks.append(np.concatenate(found))
    same = (ranks[0] == ranks[1]).mean()
    # With the memory the sum of exponentials is rounded, and with it what is learned.
    assert same == 1 if not memory else same > 0.97
