"""The loss of a batch where each rank has some of the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..gru4rec.config import GRU4RecConfig
from ..items.table import Product, Table, pick
from ..optim import EPSILON
from .group import Group
from .losses import Candidates, SharedSoftmax, corrected, gradient_by_rows
from .packing import Form
from .shard import in_order_of
from .step import Step

if TYPE_CHECKING:
    from .worker import Worker

Whole = NDArray[np.int64]


class CandidateLoss:
    """The scores of a rank's own candidates, and the loss's gradients by these.

    Parameters
    ----------
    worker
        The rank.
    step
        The batch.
    outputs
        (m, size): of the network, of all ranks.

    Attributes
    ----------
    by_score
        (k, own): the gradient by the own candidates' scores for the known clicks.
    by_candidate
        The own candidates' places, and the gradients by their embeddings.

    """

    by_score: Tensor
    by_candidate: tuple[Tensor, Product]

    def __init__(self, worker: Worker, step: Step, outputs: Tensor) -> None:
        self._group, self._step = worker.group, step
        self._known = worker.to_device(step.known)
        config, vectors, buckets = worker.config, worker.items, worker.buckets
        whole = len(step.known) == step.m
        self._outputs = outputs if whole else pick(outputs, self._known)
        candidates = None
        if config.loss == "full-cross-entropy":
            places = np.arange(buckets.used(step.used))
            places = places[buckets.rows(places) > 0]
            rows = step.targets[step.known]
            row = np.flatnonzero(buckets.owners(rows) == self._group.rank)
            targets = np.stack([row, np.searchsorted(places, buckets.places(rows[row]))])
        else:
            candidates = _candidates(worker, step)
            columns = candidates.columns
            places = buckets.places(candidates.rows[columns])
            at = np.flatnonzero(columns < len(step.known))
            targets = np.stack([columns[at], at])
        self._places = worker.to_device(places)
        self._embedding = pick(vectors.embedding.values, self._places)
        bias = pick(vectors.bias.values, self._places)
        scores = torch.addmm(bias, self._outputs, self._embedding.T)
        self._softmax: SharedSoftmax | None = None
        if candidates is None:
            self._softmax = SharedSoftmax(scores, targets, config.smoothing)
        elif config.loss == "cross-entropy":
            scores = corrected(scores, candidates, config.logq)
            self._softmax = SharedSoftmax(scores, targets, config.smoothing)
        else:
            gradient = worker.updater.loss_gradient
            self._set(gradient_by_rows(self._group, scores, candidates, gradient))

    def _set(self, by_score: Tensor) -> None:
        self.by_score = by_score
        self.by_candidate = self._places, Product(by_score, self._outputs)

    def offer(self, outgoing: Sequence[list[Tensor]], incoming: Sequence[list[Form]]) -> None:
        """Add what the other ranks need to what they are sent."""
        if self._softmax:
            stats = self._softmax.stats()
            for there, back in zip(outgoing, incoming, strict=True):
                there.append(stats)
                back.append(Form(tuple(stats.shape), stats.dtype))

    def take(self, received: Sequence[list[Tensor]]) -> None:
        """Take what the other ranks have offered."""
        if self._softmax:
            self._set(self._softmax.gradient(torch.stack([part.pop(0) for part in received])))

    def by_output(self) -> Tensor:
        """Return the gradient by the outputs of the rank's own sessions."""
        step, outputs = self._step, self._outputs
        found = self.by_score @ self._embedding
        if len(step.known) < step.m:
            every = outputs.new_zeros((step.m, outputs.shape[1]))
            found = every.index_copy_(0, self._known, found)
        _, (own,) = self._group.sum_in_order("by output", (), [(found, step.counts)])
        return own


def _candidates(worker: Worker, step: Step) -> Candidates:
    plan, group = step.plan, worker.group
    rows = np.concatenate([step.targets[step.known], plan.negatives])
    of_targets, of_negatives = np.split(plan.expected, [step.m])
    expected = np.concatenate([of_targets[step.order][step.known], of_negatives])
    order, counts = in_order_of(worker.buckets.owners(rows), group.size)
    begin = sum(counts[: group.rank])
    columns = order[begin : begin + counts[group.rank]]
    return Candidates(rows, expected, step.about.floor, order, counts, columns)


def clip_together(
    group: Group,
    dense: Sequence[Tensor],
    touched: Sequence[tuple[Table, Tensor, Tensor]],
    most: float,
) -> None:
    """Shrink the gradients of all ranks together to a norm of at most `most`, see `clip`.

    Parameters
    ----------
    group
        The ranks.
    dense
        The gradients by the network's weights, which every rank has.
    touched
        Those of the rank's own items.
    most
        The largest norm.

    """
    own = dense[0].new_zeros(1)
    for _, _, gradient in touched:
        own += gradient.square().sum()
    ((squares,), _) = group.sum_in_order("clip", [own])
    for gradient in dense:
        squares += gradient.square().sum()
    scale = (most / (squares.sqrt() + EPSILON)).clamp(max=1.0)
    for gradient in (*dense, *(gradient for _, _, gradient in touched)):
        gradient.mul_(scale)


def needs_candidates(config: GRU4RecConfig) -> bool:
    """Whether a loss is over sampled candidates."""
    return config.loss != "full-cross-entropy"
