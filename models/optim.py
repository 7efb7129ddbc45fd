"""Updates of only the rows that a batch touched."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-6


def sum_by_row(rows: Tensor, *gradients: Tensor) -> tuple[Tensor, ...]:
    """Sum the gradients of rows that occur more than once.

    An accumulator must see the sum of a row's gradients, not each of them.

    Parameters
    ----------
    rows
        int64 (n,), with repetitions.
    gradients
        Each of shape (n, …).

    Returns
    -------
    tuple of Tensor
        The u distinct rows in rising order, then each gradient as (u, …).

    Examples
    --------
    >>> sum_by_row(torch.tensor([5, 2, 5]), torch.tensor([1.0, 10.0, 2.0]))
    (tensor([2, 5]), tensor([10.,  3.]))

    """
    unique, place = torch.unique(rows, return_inverse=True)
    sums = [
        gradient.new_zeros((len(unique), *gradient.shape[1:])).index_add_(0, place, gradient)
        for gradient in gradients
    ]
    return (unique, *sums)


def adagrad(value: Tensor, memory: Tensor, gradient: Tensor, rate: float) -> None:
    """Update a dense parameter in place by Adagrad.

    Duchi et al., 2011, "Adaptive Subgradient Methods": ``G += g²; w -= rate · g / √(G + ε)``.
    """
    memory.addcmul_(gradient, gradient)
    value.addcdiv_(gradient, (memory + EPSILON).sqrt_(), value=-rate)


def adagrad_rows(
    value: Tensor, memory: Tensor, rows: Tensor, gradient: Tensor, rate: float
) -> None:
    """Update distinct rows of a table in place by Adagrad; the others are not read or written.

    Parameters
    ----------
    value, memory
        The table and its accumulator, (rows, …).
    rows
        int64 (u,), distinct.
    gradient
        (u, …).
    rate
        Step size.

    """
    accumulated = memory[rows].addcmul_(gradient, gradient)
    memory[rows] = accumulated
    value[rows] -= rate * gradient / (accumulated + EPSILON).sqrt_()
