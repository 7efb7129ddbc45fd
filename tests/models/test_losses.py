from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import get_args

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models import GRU4RecConfig
from nextclick.models.losses import (
    LOSSES,
    binary_cross_entropy,
    bpr,
    bpr_max,
    cross_entropy,
    sampled_cross_entropy,
    top1,
    top1_max,
)

# Each loss, and those that have options with them.
VARIANTS: dict[str, Callable[..., torch.Tensor]] = {
    **LOSSES,
    "cross-entropy, uncorrected": partial(sampled_cross_entropy, logq=0.0),
    "cross-entropy, smoothed": partial(sampled_cross_entropy, smoothing=0.2),
    "bpr-max, bent": partial(bpr_max, regularisation=0.3, elu=0.5),
    "binary-cross-entropy, corrected": partial(binary_cross_entropy, logq=0.5),
}


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def bent(x: float, elu: float) -> float:
    return elu * (math.exp(x) - 1) if elu and x < 0 else x


# What one row loses, term by term, by its target's score and its negatives'.
def bpr_row(own: float, others: list[float]) -> float:
    return -sum(math.log(logistic(own - other)) for other in others) / len(others)


def top1_row(own: float, others: list[float]) -> float:
    return sum(logistic(other - own) + logistic(other**2) for other in others) / len(others)


def weights(others: list[float]) -> list[float]:
    total = sum(math.exp(other) for other in others)
    return [math.exp(other) / total for other in others]


def bpr_max_row(own: float, others: list[float], regularisation: float, elu: float) -> float:
    own, others = bent(own, elu), [bent(other, elu) for other in others]
    chance = penalty = 0.0
    for weight, other in zip(weights(others), others, strict=True):
        chance += weight * logistic(own - other)
        penalty += weight * other**2
    return -math.log(chance) + regularisation * penalty


def top1_max_row(own: float, others: list[float]) -> float:
    total = 0.0
    for weight, other in zip(weights(others), others, strict=True):
        total += weight * (logistic(other - own) + logistic(other**2))
    return total


def binary_row(own: float, others: list[float]) -> float:
    missed = sum(math.log(1 - logistic(other)) for other in others) / len(others)
    return -math.log(logistic(own)) - missed


def smoothed_row(own: float, others: list[float], smoothing: float) -> float:
    count = 1 + len(others)
    total = math.exp(own) + sum(math.exp(other) for other in others)
    loss = -(1 - smoothing + smoothing / count) * math.log(math.exp(own) / total)
    for other in others:
        loss -= smoothing / count * math.log(math.exp(other) / total)
    return loss


def draw(
    targets: int, negatives: int, items: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw scores, candidates that repeat themselves, and how often they are expected."""
    generator = torch.Generator().manual_seed(seed)
    count = targets + negatives
    scores = 2 * torch.randn(targets, count, generator=generator, dtype=torch.float64)
    candidates = torch.randint(1, items + 1, (count,), generator=generator)
    expected = 4 * torch.rand(items + 1, generator=generator, dtype=torch.float64)
    return scores, candidates, expected.where(expected > 1, 0)[candidates]


def average(
    row: Callable[[float, list[float]], float],
    scores: list[list[float]],
    candidates: list[int],
) -> float:
    """Average what the rows lose; one without negatives loses nothing."""
    total = 0.0
    for i, line in enumerate(scores):
        others = [s for s, c in zip(line, candidates, strict=True) if c != candidates[i]]
        if others:
            total += row(line[i], others)
    return total / len(scores)


def test_the_floor_is_one_unless_given() -> None:
    scores = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64)
    candidates = torch.tensor([1, 2, 3])
    few = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    loss = sampled_cross_entropy(scores, candidates, few)
    assert torch.equal(loss, sampled_cross_entropy(scores, candidates, torch.ones(3).double()))
    assert not torch.equal(loss, sampled_cross_entropy(scores, candidates, few, floor=0.1))


def test_two_clicks_on_one_item_are_not_each_others_negatives() -> None:
    scores = torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss = sampled_cross_entropy(scores, torch.tensor([4, 4]), torch.ones(2).double())
    assert loss.item() == 0


shapes = st.tuples(st.integers(1, 6), st.integers(0, 8), st.integers(1, 9), st.integers(0, 10_000))


@given(shapes)
def test_ranking_losses_are_their_formulas(shape: tuple[int, int, int, int]) -> None:
    scores, candidates, expected = draw(*shape)
    for loss, row in ((bpr, bpr_row), (top1, top1_row), (top1_max, top1_max_row)):
        wanted = average(row, scores.tolist(), candidates.tolist())
        found = loss(scores, candidates, expected)
        assert found.shape == ()
        assert found.item() == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@given(shapes, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_bpr_max_is_its_formula(
    shape: tuple[int, int, int, int], regularisation: float, elu: float
) -> None:
    scores, candidates, expected = draw(*shape)
    row = partial(bpr_max_row, regularisation=regularisation, elu=elu)
    wanted = average(row, scores.tolist(), candidates.tolist())
    found = bpr_max(scores, candidates, expected, regularisation=regularisation, elu=elu)
    assert found.item() == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@given(shapes, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([1.0, 2.5]))
def test_binary_cross_entropy_is_its_formula(
    shape: tuple[int, int, int, int], logq: float, floor: float
) -> None:
    scores, candidates, expected = draw(*shape)
    corrected = [
        [s - logq * math.log(max(floor, q)) for s, q in zip(line, expected.tolist(), strict=True)]
        for line in scores.tolist()
    ]
    wanted = average(binary_row, corrected, candidates.tolist())
    found = binary_cross_entropy(scores, candidates, expected, floor, logq=logq)
    assert found.item() == pytest.approx(wanted, rel=1e-11, abs=1e-12)


@given(
    shapes,
    st.sampled_from([1.0, 0.01, 3.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.1, 0.7]),
)
def test_sampled_cross_entropy_is_its_formula(
    shape: tuple[int, int, int, int], floor: float, logq: float, smoothing: float
) -> None:
    scores, candidates, expected = draw(*shape)
    corrected = [
        [s - logq * math.log(max(floor, q)) for s, q in zip(line, expected.tolist(), strict=True)]
        for line in scores.tolist()
    ]
    row = partial(smoothed_row, smoothing=smoothing)
    wanted = average(row, corrected, candidates.tolist())
    found = sampled_cross_entropy(
        scores, candidates, expected, floor, logq=logq, smoothing=smoothing
    )
    assert found.item() == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@given(shapes, st.sampled_from([0.0, 0.1, 0.7]))
def test_cross_entropy_over_the_catalogue_is_its_formula(
    shape: tuple[int, int, int, int], smoothing: float
) -> None:
    targets, more, _, seed = shape
    scores, _, _ = draw(targets, more, 1, seed)
    places = torch.randint(
        scores.shape[1], (targets,), generator=torch.Generator().manual_seed(seed)
    )
    wanted = 0.0
    for line, place in zip(scores.tolist(), places.tolist(), strict=True):
        others = [score for j, score in enumerate(line) if j != place]
        wanted += smoothed_row(line[place], others, smoothing) / targets
    found = cross_entropy(scores, places, smoothing)
    assert found.shape == ()
    assert found.item() == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    # Rows without an item have no part in it, smoothed or not.
    padded = torch.nn.functional.pad(scores, (1, 2), value=-torch.inf)
    assert cross_entropy(padded, places + 1, smoothing).item() == pytest.approx(wanted, abs=1e-12)


def test_label_smoothing_without_masked_columns_is_torch_s() -> None:
    scores, _, _ = draw(5, 4, 1, 3)
    targets = torch.tensor([0, 8, 3, 3, 1])
    wanted = torch.nn.functional.cross_entropy(scores, targets, label_smoothing=0.15)
    torch.testing.assert_close(cross_entropy(scores, targets, 0.15), wanted)


def test_losses_are_called_alike_and_each_is_an_option() -> None:
    (option,) = (field for field in msgspec.structs.fields(GRU4RecConfig) if field.name == "loss")
    assert {*LOSSES, "full-cross-entropy"} == set(get_args(option.type))
    values = {loss(*draw(4, 6, 9, 5), 2.0).item() for loss in LOSSES.values()}
    assert len(values) == len(LOSSES)


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    scores, _, _ = draw(4, 5, 1, 6)
    scores.requires_grad_()
    candidates = torch.tensor([1, 2, 1, 3, 3, 4, 5, 2, 6])
    expected = 3 * torch.rand(9, generator=torch.Generator().manual_seed(7)).double()
    loss = VARIANTS[name]
    assert torch.autograd.gradcheck(lambda s: loss(s, candidates, expected, 0.5), (scores,))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_repeated_target_is_no_negative(name: str) -> None:
    candidates = torch.tensor([5, 6, 5, 7])
    expected = torch.tensor([1.5, 1.0, 1.5, 2.0], dtype=torch.float64)
    scores = torch.tensor([[0.3, -0.2, 0.9, 0.4], [0.1, 0.7, -0.5, 0.2]], dtype=torch.float64)
    loss = VARIANTS[name]
    gradients = []
    for repeat in (0.9, 50.0, -50.0):
        scores[0, 2] = repeat
        leaf = scores.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(leaf, candidates, expected), leaf)
        gradients.append(gradient)
    assert gradients[0][0, 2] == 0
    assert gradients[0][1, 2] != 0  # For row 1 it is a negative like any other.
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])
    # And the row loses what it loses without that column.
    alone = loss(scores[:1, [0, 1, 3]], candidates[[0, 1, 3]], expected[[0, 1, 3]])
    assert loss(scores[:1], candidates, expected).item() == pytest.approx(alone.item(), rel=1e-14)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_column_without_an_item_is_no_negative(name: str) -> None:
    scores, candidates, expected = draw(3, 5, 9, 8)
    scores[:, 6] = -torch.inf
    candidates[6], expected[6] = 0, 0.0
    kept = [0, 1, 2, 3, 4, 5, 7]
    loss = VARIANTS[name]
    wanted = loss(scores[:, kept], candidates[kept], expected[kept])
    scores.requires_grad_()
    found = loss(scores, candidates, expected)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-14)
    (gradient,) = torch.autograd.grad(found, scores)
    assert gradient.isfinite().all()
    assert (gradient[:, 6] == 0).all()


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("candidates", [[4], [4, 4, 4]])
def test_a_row_without_negatives_teaches_nothing(name: str, candidates: list[int]) -> None:
    scores = torch.tensor([[0.4, 1.2, -3.0][: len(candidates)]], requires_grad=True)
    loss = VARIANTS[name](scores, torch.tensor(candidates), torch.ones(len(candidates)))
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, scores)
    assert (gradient == 0).all()


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_large_scores_are_safe(name: str, dtype: torch.dtype) -> None:
    signs = torch.tensor([[1, -1, 1, -1, 0], [-1, -1, 1, 1, 0], [1, -1, -1, -1, -1]])
    scores = (1e4 * signs).to(dtype).requires_grad_()
    expected = torch.tensor([0.0, 2.0, 1.0, 1e4, 5.0], dtype=torch.float64)
    loss = VARIANTS[name](scores, torch.arange(1, 6), expected)
    assert loss.dtype == dtype
    assert loss.isfinite()
    (gradient,) = torch.autograd.grad(loss, scores)
    assert gradient.dtype == dtype
    assert gradient.isfinite().all()


def test_a_target_far_below_its_negatives_still_learns() -> None:
    scores = torch.tensor([[-500.0, 500.0, 499.0]], dtype=torch.float64, requires_grad=True)
    candidates, ones = torch.tensor([1, 2, 3]), torch.ones(3)
    for loss in (sampled_cross_entropy, bpr, partial(bpr_max, regularisation=0.0)):
        value = loss(scores, candidates, ones)
        assert value.item() == pytest.approx(1000, abs=1)
        (gradient,) = torch.autograd.grad(value, scores)
        assert gradient[0, 0].item() == pytest.approx(-1)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_score_that_is_not_a_number_is_seen(name: str) -> None:
    for row, column in ((0, 0), (0, 4), (1, 0)):
        scores, _, _ = draw(2, 3, 9, 9)
        scores[row, column] = torch.nan
        assert VARIANTS[name](scores, torch.arange(1, 6), torch.ones(5)).isnan()
