from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.losses import sampled_cross_entropy


def by_hand(
    scores: list[list[float]], candidates: list[int], expected: list[float], floor: float
) -> float:
    """Evaluate the formula term by term."""
    total = 0.0
    for i, row in enumerate(scores):
        terms = []
        for j, score in enumerate(row):
            if j == i or candidates[j] != candidates[i]:
                terms.append(math.exp(score) / max(floor, expected[j]))
        total -= math.log(math.exp(row[i]) / max(floor, expected[i]) / math.fsum(terms))
    return total / len(scores)


@given(
    st.integers(1, 8),
    st.integers(0, 12),
    st.integers(1, 10),
    st.sampled_from([1.0, 0.01, 3.0]),
    st.integers(0, 10_000),
)
def test_loss_is_the_formula(
    targets: int, negatives: int, items: int, floor: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    count = targets + negatives
    scores = 3 * torch.randn(targets, count, generator=generator, dtype=torch.float64)
    candidates = torch.randint(1, items + 1, (count,), generator=generator)
    # A candidate is expected as often in one column as in another; some are never.
    expected = 4 * torch.rand(items + 1, generator=generator, dtype=torch.float64)
    expected = expected.where(expected > 1, 0)[candidates]
    found = sampled_cross_entropy(scores, candidates, expected, floor)
    wanted = by_hand(scores.tolist(), candidates.tolist(), expected.tolist(), floor)
    assert found.shape == ()
    assert found.item() == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_the_floor_is_one_unless_given() -> None:
    scores = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64)
    candidates = torch.tensor([1, 2, 3])
    few = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    loss = sampled_cross_entropy(scores, candidates, few)
    assert torch.equal(loss, sampled_cross_entropy(scores, candidates, torch.ones(3).double()))
    assert not torch.equal(loss, sampled_cross_entropy(scores, candidates, few, floor=0.1))


def test_an_accidental_hit_neither_counts_nor_gets_a_gradient() -> None:
    candidates = torch.tensor([5, 6, 5, 7])
    ones = torch.ones(4, dtype=torch.float64)
    scores = torch.zeros(2, 4, dtype=torch.float64)
    scores[0, 2] = 100.0  # The target of row 0 again, as a negative.
    scores.requires_grad_()
    loss = sampled_cross_entropy(scores, candidates, ones)
    assert loss.item() == pytest.approx((math.log(3) + math.log(4)) / 2)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert gradient[0, 2] == 0
    assert gradient[1, 2] > 0  # For row 1 it is a negative like any other.


def test_two_clicks_on_one_item_are_not_each_others_negatives() -> None:
    scores = torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss = sampled_cross_entropy(scores, torch.tensor([4, 4]), torch.ones(2).double())
    assert loss.item() == 0


def test_gradient_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(2)
    scores = torch.randn(4, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    candidates = torch.tensor([1, 2, 1, 3, 3, 4, 5, 2, 6])
    expected = 3 * torch.rand(9, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda s: sampled_cross_entropy(s, candidates, expected), (scores,)
    )


def test_scores_keep_their_type() -> None:
    scores = torch.zeros(1, 2, dtype=torch.float32)
    loss = sampled_cross_entropy(scores, torch.tensor([1, 2]), torch.ones(2, dtype=torch.float64))
    assert loss.dtype == torch.float32
