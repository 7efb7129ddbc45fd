"""Step rules, for whole parameters and for only the rows that a batch touched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .compute.device import on_host
from .compute.jit import compiled
from .compute.prefetch import AHEAD, prefetch_row

EPSILON = 1e-6


class Optimizer(ABC):
    """How a parameter moves along its gradient, and what it remembers for that.

    A rule works in place and elementwise, or row by row: given some rows of a table with the same
    rows of the state it does what it would do to these rows alone. That is a *lazy* update:
    rows without a gradient neither move nor forget.
    """

    @abstractmethod
    def state(self, value: Tensor) -> list[Tensor]:
        """Return the initial state of a parameter: zeros, with as many rows as it has."""

    @abstractmethod
    def step(self, value: Tensor, state: Sequence[Tensor], gradient: Tensor) -> None:
        """Move the parameter and its state, in place."""

    def step_rows(
        self, value: Tensor, state: Sequence[Tensor], rows: Tensor, gradient: Tensor
    ) -> None:
        """Move only these distinct rows; the others are neither read nor written."""
        tables = [value, *state]
        moved, *remembered = (table.index_select(0, rows) for table in tables)
        self.step(moved, remembered, gradient)
        for table, part in zip(tables, (moved, *remembered), strict=True):
            table[rows] = part


class Adagrad(Optimizer):
    """Adagrad: ``G += g²; w -= rate · g / √(G + ε)``.

    Duchi et al., 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization".

    Parameters
    ----------
    rate
        Step size.
    by_row
        One G for a whole row, of the mean of its g²: a table's state shrinks to one number a row.

    """

    def __init__(self, rate: float, by_row: bool = False) -> None:
        self.rate = rate
        self.by_row = by_row

    def state(self, value: Tensor) -> list[Tensor]:
        """Return G, zero."""
        return [torch.zeros_like(value[:, :1] if self.by_row and value.ndim > 1 else value)]

    def step(self, value: Tensor, state: Sequence[Tensor], gradient: Tensor) -> None:
        """Take a step."""
        (sums,) = state
        if not self.by_row and on_host(value):
            number = value.numpy().dtype.type
            values, squares, slopes = (
                of.view(-1).numpy() for of in (value, sums, gradient.contiguous())
            )
            _step(values, squares, slopes, number(self.rate), number(EPSILON))
            return
        if sums.shape == gradient.shape:
            sums.addcmul_(gradient, gradient)
        else:
            sums.add_(gradient.square().mean(dim=1, keepdim=True))
        value.addcdiv_(gradient, (sums + EPSILON).sqrt_(), value=-self.rate)

    def step_rows(
        self, value: Tensor, state: Sequence[Tensor], rows: Tensor, gradient: Tensor
    ) -> None:
        """Move only these distinct rows, on a CPU in one pass over each."""
        if self.by_row or not on_host(value):
            super().step_rows(value, state, rows, gradient)
        elif rows.shape[0]:
            table, sums, slopes = value.numpy(), state[0].numpy(), gradient.numpy()
            if table.ndim == 1:
                table, sums, slopes = table[:, None], sums[:, None], slopes[:, None]
            number = table.dtype.type
            _step_rows(table, sums, rows.numpy(), slopes, number(self.rate), number(EPSILON))


@compiled
def _step(
    values: NDArray[Any], sums: NDArray[Any], slopes: NDArray[Any], rate: Any, epsilon: Any
) -> None:
    for place in range(len(values)):
        slope = slopes[place]
        sums[place] += slope * slope
        values[place] -= rate * slope / np.sqrt(sums[place] + epsilon)


@compiled
def _step_rows(
    values: NDArray[Any],
    sums: NDArray[Any],
    rows: NDArray[np.int64],
    gradient: NDArray[Any],
    rate: Any,
    epsilon: Any,
) -> None:
    for at in range(len(rows)):
        if at + AHEAD < len(rows):
            prefetch_row(values, rows[at + AHEAD])
            prefetch_row(sums, rows[at + AHEAD])
        _step(values[rows[at]], sums[rows[at]], gradient[at], rate, epsilon)


class RMSprop(Optimizer):
    """RMSprop: ``G += (1 − decay) (g² − G); w -= rate · g / √(G + ε)``.

    Hinton et al., 2012, lecture 6e of "Neural Networks for Machine Learning".

    Parameters
    ----------
    rate
        Step size.
    decay
        What is left of G after a step; the nearer to 1, the longer it looks back.

    """

    def __init__(self, rate: float, decay: float = 0.99) -> None:
        self.rate = rate
        self.decay = decay

    def state(self, value: Tensor) -> list[Tensor]:
        """Return G, zero."""
        return [torch.zeros_like(value)]

    def step(self, value: Tensor, state: Sequence[Tensor], gradient: Tensor) -> None:
        """Take a step."""
        (mean,) = state
        mean.mul_(self.decay).addcmul_(gradient, gradient, value=1 - self.decay)
        value.addcdiv_(gradient, (mean + EPSILON).sqrt_(), value=-self.rate)


class Adam(Optimizer):
    """Adam, with moments and a step count of each row's own.

    ``m += (1 − β₁)(g − m); v += (1 − β₂)(g² − v);
    w -= rate · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)``: Kingma & Ba, 2015, "Adam: A Method for
    Stochastic Optimization", algorithm 1. Of a table only the touched rows' moments and t move.

    Parameters
    ----------
    rate
        Step size.
    first, second
        β₁ and β₂.

    """

    def __init__(self, rate: float, first: float = 0.9, second: float = 0.999) -> None:
        self.rate = rate
        self.first = first
        self.second = second

    def state(self, value: Tensor) -> list[Tensor]:
        """Return m, v and t, zero."""
        steps = value[:, :1] if value.ndim > 1 else value
        return [torch.zeros_like(value), torch.zeros_like(value), torch.zeros_like(steps)]

    def step(self, value: Tensor, state: Sequence[Tensor], gradient: Tensor) -> None:
        """Take a step."""
        mean, square, steps = state
        steps.add_(1)
        mean.lerp_(gradient, 1 - self.first)
        square.mul_(self.second).addcmul_(gradient, gradient, value=1 - self.second)
        size = (square / (1 - self.second**steps)).sqrt_().add_(EPSILON)
        value.sub_(mean / (1 - self.first**steps) / size, alpha=self.rate)


class Momentum(Optimizer):
    """Another rule's steps, carried on: ``v ← momentum · v + step; w += v``.

    As in the official GRU4Rec, the velocity is of the steps, not of the gradients.

    Parameters
    ----------
    rule
        Gives the steps.
    momentum
        What is left of the velocity at the next step.

    """

    def __init__(self, rule: Optimizer, momentum: float) -> None:
        self.rule = rule
        self.momentum = momentum

    def state(self, value: Tensor) -> list[Tensor]:
        """Return the velocity and the state of the rule beneath."""
        return [torch.zeros_like(value), *self.rule.state(value)]

    def step(self, value: Tensor, state: Sequence[Tensor], gradient: Tensor) -> None:
        """Take a step."""
        velocity, *own = state
        velocity.mul_(self.momentum)
        self.rule.step(velocity, own, gradient)
        value.add_(velocity)


RULES = ("adagrad", "row-adagrad", "rmsprop", "adam")


def make_rule(name: str, rate: float, momentum: float = 0.0) -> Optimizer:
    """Make a rule by its name.

    Raises
    ------
    ValueError
        There is no such rule.

    Examples
    --------
    >>> make_rule("adagrad", 0.1).rate
    0.1

    """
    rules: dict[str, Optimizer] = {
        "adagrad": Adagrad(rate),
        "row-adagrad": Adagrad(rate, by_row=True),
        "rmsprop": RMSprop(rate),
        "adam": Adam(rate),
    }
    if name not in rules:
        raise ValueError(f"optimizer must be one of {', '.join(RULES)}, not {name!r}")
    return Momentum(rules[name], momentum) if momentum else rules[name]


def clip(gradients: Sequence[Tensor], most: float) -> None:
    """Shrink gradients together, in place, to a norm of at most `most` (Pascanu et al., 2013)."""
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    scale = (most / (norm + EPSILON)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)
