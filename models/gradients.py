"""The gradient of a loss, by the scores and through them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .compute.device import on_host
from .compute.jit import compiled, summing
from .compute.prefetch import AHEAD, prefetch_row
from .items.item_table import ItemTable
from .items.table import FEW_TERMS, Product, pick
from .losses import LOSSES, repeated

LossGradient = Callable[..., Tensor]
"""Called like a loss, returns its gradient by the scores."""


class ScoreGradients(NamedTuple):
    """Gradients of a loss.

    Parameters
    ----------
    scores
        (m, c): by the scores.
    outputs
        (m, size): by the network's outputs.
    embedding
        (c, size): by the candidates' embeddings, not yet multiplied.

    """

    scores: Tensor
    outputs: Tensor
    embedding: Product


def score_candidates(
    items: ItemTable, outputs: Tensor, candidates: Tensor, loss_gradient: LossGradient, *given: Any
) -> ScoreGradients:
    """Score candidates, and return the gradients of the scores' loss.

    Parameters
    ----------
    items
        The tables; they stay as they are.
    outputs
        (m, size): of the network.
    candidates
        int64 (c,): their rows.
    loss_gradient
        Returns the loss's gradient by the scores, (m, c), from these and what is `given`.

    """
    outputs = outputs.detach()
    if on_host(outputs) and outputs.shape[0] <= FEW_TERMS:
        # Where the rows lie: their copies, and products with them, take longer.
        table, bias, rows = (
            of.numpy() for of in (items.embedding.values, items.bias.values, candidates)
        )
        by_score = loss_gradient(
            torch.from_numpy(_scores(outputs.numpy(), table, bias, rows)), *given
        )
        by_output = torch.from_numpy(_by_output(by_score.numpy(), table, rows))
    else:
        embedding = pick(items.embedding.values, candidates)
        scores = torch.addmm(pick(items.bias.values, candidates), outputs, embedding.T)
        by_score = loss_gradient(scores, *given)
        by_output = by_score @ embedding
    return ScoreGradients(by_score, by_output, Product(by_score, outputs))


def make_gradient(name: str, **options: float) -> LossGradient:
    """Return the gradient of a loss over candidates, by its name and options."""
    if name == "cross-entropy" and not options.get("smoothing"):
        return partial(sampled_gradient, logq=options.get("logq", 1.0))
    return gradient_of(partial(LOSSES[name], **options))


def gradient_of(loss: Callable[..., Tensor]) -> LossGradient:
    """Return the gradient of a loss, as `torch.autograd` finds it.

    Examples
    --------
    >>> gradient_of(torch.sum)(torch.zeros(2))
    tensor([1., 1.])

    """

    def loss_gradient(scores: Tensor, *arguments: Any) -> Tensor:
        with torch.enable_grad():
            scores = scores.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(scores, *arguments), scores)
        return gradient

    return loss_gradient


def sampled_gradient(
    scores: Tensor, candidates: Tensor, expected: Tensor, floor: float = 1.0, *, logq: float = 1.0
) -> Tensor:
    """Return the gradient of `sampled_cross_entropy`, written out; the parameters are its.

    ``(softmax_j(s_ij - logq · log q_j) - [i = j]) / m``. In place it takes half the time that
    `torch.autograd` does.
    """
    correction = expected.clamp(min=floor).log_().mul_(logq).to(scores.dtype)
    if on_host(scores):
        of = (scores.numpy(), correction.numpy(), candidates.numpy())
        corrected = torch.from_numpy(_correct(*of))
    else:
        left_out = repeated(scores, candidates)
        corrected = (scores - correction).masked_fill_(left_out, -torch.inf)
    loss_gradient = torch.softmax(corrected, dim=1, out=corrected)
    loss_gradient.diagonal().sub_(1)
    return loss_gradient.div_(len(scores))


@compiled
def _correct(
    scores: NDArray[Any], correction: NDArray[Any], candidates: NDArray[np.int64]
) -> NDArray[Any]:
    """Take the correction off the scores; minus infinity where the target is repeated."""
    corrected = np.empty_like(scores)
    for row in range(len(scores)):
        target, read, write = candidates[row], scores[row], corrected[row]
        for column in range(len(read)):
            score = read[column] - correction[column]
            write[column] = -np.inf if candidates[column] == target and column != row else score
    return corrected


@summing
def _scores(
    outputs: NDArray[Any],
    embedding: NDArray[Any],
    bias: NDArray[Any],
    candidates: NDArray[np.int64],
) -> NDArray[Any]:
    """Return the candidates' scores: (m, c)."""
    scores = np.empty((len(outputs), len(candidates)), outputs.dtype)
    for column in range(len(candidates)):
        if column + AHEAD < len(candidates):
            prefetch_row(embedding, candidates[column + AHEAD])
        candidate = embedding[candidates[column]]
        for row in range(len(outputs)):
            score, output = bias[candidates[column]], outputs[row]
            for place in range(len(output)):
                score += output[place] * candidate[place]
            scores[row, column] = score
    return scores


@summing
def _by_output(
    by_score: NDArray[Any], embedding: NDArray[Any], candidates: NDArray[np.int64]
) -> NDArray[Any]:
    """Return the gradient by the outputs: (m, size)."""
    by_output = np.zeros((len(by_score), embedding.shape[1]), by_score.dtype)
    for column in range(len(candidates)):
        candidate = embedding[candidates[column]]
        for row in range(len(by_score)):
            slope, into = by_score[row, column], by_output[row]
            for place in range(len(into)):
                into[place] += slope * candidate[place]
    return by_output
