from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nextclick.models.optim import (
    EPSILON,
    RULES,
    Adagrad,
    Adam,
    Momentum,
    Optimizer,
    RMSprop,
    clip,
    make_rule,
)

Touches = list[list[int]]
touches: st.SearchStrategy[Touches] = st.lists(
    st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=5
)

EVERY_RULE: list[Optimizer] = [make_rule(name, 0.3, m) for name in RULES for m in (0.0, 0.8)]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def walk(
    rule: Optimizer, value: Tensor, gradients: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Step along the gradients from a copy of the value."""
    value = value.clone()
    state = rule.state(value)
    for gradient in gradients:
        rule.step(value, state, gradient)
    return value, state


def plain(name: str, momentum: float, gradients: Sequence[float], rate: float) -> float:
    """Move one number from zero, by the formulas as they are written."""
    w = G = m = v = speed = 0.0
    for t, g in enumerate(gradients, start=1):
        if name in ("adagrad", "row-adagrad"):  # One number is a row of its own.
            G += g * g
            step = -rate * g / math.sqrt(G + EPSILON)
        elif name == "rmsprop":
            G = 0.99 * G + 0.01 * g * g
            step = -rate * g / math.sqrt(G + EPSILON)
        else:
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g * g
            step = -rate * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + EPSILON)
        speed = momentum * speed + step
        w += speed
    return w


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("name", RULES)
def test_a_number_moves_by_the_formula(name: str, momentum: float, size: float) -> None:
    """Small gradients show where epsilon is added."""
    gradients = [g * size for g in (1.0, -0.5, 2.0, 0.0, 0.3, 0.3)]
    rule = make_rule(name, 0.1, momentum)
    for shape in ((1,), (1, 1)):
        value, _ = walk(
            rule,
            torch.zeros(shape, dtype=torch.float64),
            [torch.full(shape, g, dtype=torch.float64) for g in gradients],
        )
        expected = plain(name, momentum, gradients, 0.1)
        assert value.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [(5, 4), (5,)])
@pytest.mark.parametrize(
    ("rule", "torch_rule"),
    [
        (Adagrad(0.05), lambda p: torch.optim.Adagrad(p, lr=0.05, eps=0.0)),
        (RMSprop(0.05), lambda p: torch.optim.RMSprop(p, lr=0.05, alpha=0.99, eps=0.0)),
        (RMSprop(0.05, decay=0.7), lambda p: torch.optim.RMSprop(p, lr=0.05, alpha=0.7, eps=0.0)),
        (Adam(0.05), lambda p: torch.optim.Adam(p, lr=0.05, eps=EPSILON)),
        (Adam(0.05, 0.5, 0.9), lambda p: torch.optim.Adam(p, 0.05, (0.5, 0.9), eps=EPSILON)),
    ],
)
def test_dense_steps_are_those_of_torch(
    rule: Optimizer,
    torch_rule: Callable[[list[Tensor]], torch.optim.Optimizer],
    shape: tuple[int, ...],
) -> None:
    """torch adds Adagrad's and RMSprop's epsilon outside the root; far above it both agree."""
    value = randn(*shape)
    reference = torch.nn.Parameter(value.clone())
    optimizer = torch_rule([reference])
    state = rule.state(value)
    # Where epsilon stands elsewhere, gradients are so large that it is lost beside them.
    size = 1.0 if isinstance(rule, Adam) else 1e4
    for step in range(20):
        gradient = size * randn(*shape, seed=step + 1)
        gradient += size * gradient.sign()
        reference.grad = gradient.clone()
        optimizer.step()
        kept = gradient.clone()
        rule.step(value, state, gradient)
        assert torch.equal(gradient, kept)
        torch.testing.assert_close(value, reference.detach(), rtol=0, atol=1e-10)
    if isinstance(rule, Adagrad):
        torch.testing.assert_close(state[0], optimizer.state[reference]["sum"])
    elif isinstance(rule, RMSprop):
        torch.testing.assert_close(state[0], optimizer.state[reference]["square_avg"])


def test_row_adagrad_keeps_the_mean_square_of_a_row() -> None:
    value = randn(5, 4)
    gradients = [randn(5, 4, seed=seed) for seed in range(1, 7)]
    found, (memory,) = walk(Adagrad(0.1, by_row=True), value, gradients)
    assert memory.shape == (5, 1)
    for row in range(5):
        G = 0.0
        expected = value[row].clone()
        for gradient in gradients:
            G += sum(g * g for g in gradient[row].tolist()) / 4
            expected -= 0.1 * gradient[row] / math.sqrt(G + EPSILON)
        assert memory[row].item() == pytest.approx(G, rel=1e-12)
        torch.testing.assert_close(found[row], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", [Adagrad(0.1), Adagrad(0.1, by_row=True), RMSprop(0.1), Adam(0.1)])
def test_momentum_carries_the_rules_steps_on(rule: Optimizer) -> None:
    """``v ← m · v − step; w += v`` over the steps that the rule takes alone."""
    gradients = [randn(5, 4, seed=seed) for seed in range(1, 7)]
    found, _ = walk(Momentum(rule, 0.7), torch.ones(5, 4, dtype=torch.float64), gradients)
    expected, velocity = torch.ones(5, 4, dtype=torch.float64), torch.zeros(5, 4).double()
    path = [walk(rule, torch.zeros(5, 4).double(), gradients[:steps])[0] for steps in range(7)]
    for before, after in pairwise(path):
        velocity = 0.7 * velocity + (after - before)
        expected += velocity
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_momentum_over_adagrad_is_that_of_gru4rec() -> None:
    """``v = m · v − rate · g / √(G + ε); w += v``."""
    w, v, G = (torch.zeros(3, dtype=torch.float64) for _ in range(3))
    gradients = [randn(3, seed=seed) for seed in range(6)]
    for g in gradients:
        G += g**2
        v = 0.4 * v - 0.2 * g / (G + 1e-6).sqrt()
        w += v
    found, _ = walk(make_rule("adagrad", 0.2, 0.4), torch.zeros(3).double(), gradients)
    torch.testing.assert_close(found, w, rtol=1e-12, atol=1e-12)


@given(touches, st.sampled_from(EVERY_RULE), st.booleans(), st.integers(0, 10_000))
@settings(max_examples=60)
def test_a_rows_path_depends_on_its_own_gradients_alone(
    stream: Touches, rule: Optimizer, vectors: bool, seed: int
) -> None:
    """Each row of a table, stepped by subsets, moves as a parameter of its own would."""
    shape = (4,) if vectors else ()
    start = randn(10, *shape, seed=seed)
    value, state = start.clone(), rule.state(start)
    own: dict[int, list[Tensor]] = {row: [] for row in range(10)}
    for place, rows in enumerate(stream):
        gradient = randn(len(rows), *shape, seed=seed + place + 1)
        for row in set(rows):
            parts = [part for part, other in zip(gradient, rows, strict=True) if other == row]
            own[row].append(torch.stack(parts).sum(dim=0)[None])
        before = [value.clone(), *(memory.clone() for memory in state)]
        touched = sorted(set(rows))
        unique = torch.tensor(touched, dtype=torch.int64)
        summed = gradient.new_zeros((len(touched), *shape))
        summed.index_add_(
            0, torch.tensor([touched.index(row) for row in rows], dtype=torch.int64), gradient
        )
        parts = [value[unique], *(memory[unique] for memory in state)]
        rule.step(parts[0], parts[1:], summed)
        for whole, part in zip([value, *state], parts, strict=True):
            whole[unique] = part
        rest = [row for row in range(10) if row not in rows]
        for old, new in zip(before, [value, *state], strict=True):
            assert torch.equal(old[rest], new[rest])
    for row, gradients in own.items():
        alone, its = walk(rule, start[row : row + 1], gradients)
        torch.testing.assert_close(value[row : row + 1], alone, rtol=1e-12, atol=1e-12)
        for memory, other in zip(state, its, strict=True):
            torch.testing.assert_close(memory[row : row + 1], other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", EVERY_RULE)
@pytest.mark.parametrize("shape", [(6, 3), (6, 1), (6,)])
def test_memories_are_zero_and_have_the_values_rows(
    rule: Optimizer, shape: tuple[int, ...]
) -> None:
    value = torch.full(shape, -torch.inf)
    for memory in rule.state(value):
        assert len(memory) == 6
        assert memory.ndim == value.ndim
        assert memory.dtype == value.dtype
        assert not memory.any()


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_no_gradient_at_first_is_no_step(rule: Optimizer) -> None:
    for value in (torch.ones(2), torch.ones(2, 3), torch.full((2,), -torch.inf)):
        moved, _ = walk(rule, value, [torch.zeros_like(value)] * 3)
        assert torch.equal(moved, value)


def test_a_rule_is_made_by_its_name() -> None:
    for name in RULES:
        assert not isinstance(make_rule(name, 0.1), Momentum)
        assert isinstance(make_rule(name, 0.1, 0.5), Momentum)
    with pytest.raises(ValueError, match="adagrad, row-adagrad, rmsprop, adam, not 'sgd'"):
        make_rule("sgd", 0.1)


@given(st.floats(1e-3, 1e3), st.floats(0.1, 10.0))
def test_clipping_shrinks_all_gradients_together(size: float, most: float) -> None:
    gradients = [randn(4, 3, seed=1) * size, randn(5, seed=2) * size]
    before = torch.cat([gradient.flatten() for gradient in gradients])
    clip(gradients, most)
    after = torch.cat([gradient.flatten() for gradient in gradients])
    if before.norm() < most - 2 * EPSILON:
        assert torch.equal(after, before)
    else:
        assert after.norm() <= most
        assert after.norm() == pytest.approx(min(most, before.norm().item()), rel=1e-3)
        torch.testing.assert_close(after / after.norm(), before / before.norm())


def test_clipping_nothing_is_no_trouble() -> None:
    gradients = [torch.zeros(3), torch.zeros(0, 2)]
    clip(gradients, 1.0)
    assert gradients[0].tolist() == [0, 0, 0]
