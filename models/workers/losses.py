"""The losses where each rank has some of the candidates' scores."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled
from ..gradients import LossGradient
from .group import Group
from .packing import Form

Whole = NDArray[np.int64]


class Candidates(NamedTuple):
    """The candidates of a batch, and which of them a rank has.

    Parameters
    ----------
    rows
        int64 (c,): all candidates' rows; the first k are the targets, of which the i-th is that of
        the i-th known click.
    expected
        float64 (c,): how often each is expected.
    floor
        See `sampled_cross_entropy`.
    order
        int64 (c,): the candidates, rank 0's first.
    counts
        How many of them each rank has.
    columns
        int64 (own,): the rank's own.

    """

    rows: Whole
    expected: NDArray[np.float64]
    floor: float
    order: Whole
    counts: list[int]
    columns: Whole


class SharedSoftmax:
    """The gradient of a cross-entropy whose columns are at several ranks.

    Each rank finds the maximum and the sum of exponentials of its own columns; from all of these
    every rank knows the whole softmax: ``(softmax_j(s_ij) - label_ij) / m``.

    Parameters
    ----------
    scores
        (m, own): of the rank's own columns, minus infinity where one is left out; overwritten.
    targets
        int64 (2, t): the rows and columns of the targets that are among these.
    smoothing
        See `cross_entropy`.

    """

    def __init__(self, scores: Tensor, targets: Whole, smoothing: float) -> None:
        self._targets = torch.from_numpy(targets).to(scores.device)
        self._smoothing = smoothing
        none = scores.new_full((len(scores),), -torch.inf)
        self._highest = scores.amax(dim=1) if scores.shape[1] else none
        self._inside = scores != -torch.inf if smoothing else None
        least = torch.finfo(scores.dtype).min
        self._shares = scores.sub_(self._highest.clamp(min=least)[:, None]).exp_()

    def stats(self) -> Tensor:
        """Return what the other ranks need: (3, m)."""
        sums = self._shares.sum(dim=1)
        inside = torch.zeros_like(sums) if self._inside is None else self._inside.sum(1).to(sums)
        return torch.stack([self._highest, sums, inside])

    def gradient(self, stats: Tensor) -> Tensor:
        """Return the gradient by the rank's own scores, from all ranks' `stats`: (ranks, 3, m)."""
        rows, smoothing = len(self._highest), self._smoothing
        highest = stats[:, 0]
        peak = highest.amax(dim=0)
        whole = (stats[:, 1] * (highest - peak).exp()).sum(dim=0)
        gradient = self._shares.mul_(((self._highest - peak).exp() / (whole * rows))[:, None])
        row, column = self._targets
        gradient[row, column] -= (1 - smoothing) / rows
        if self._inside is not None:
            gradient -= self._inside * (smoothing / (stats[:, 2].sum(dim=0) * rows))[:, None]
        return gradient


def corrected(scores: Tensor, candidates: Candidates, logq: float) -> Tensor:
    """Return the rank's own scores as the sampled cross-entropy takes them.

    Less the correction for the sampling, and minus infinity where a candidate repeats the target.
    """
    columns, known = candidates.columns, len(scores)
    expected = candidates.expected[columns]
    correction = torch.from_numpy(np.log(np.maximum(expected, candidates.floor)) * logq)
    correction = correction.to(scores)
    rows, targets = candidates.rows[columns], candidates.rows[:known]
    if on_host(scores):
        of = scores.numpy(), correction.numpy(), rows, columns, targets
        return torch.from_numpy(_correct(*of))
    left_out = (targets[:, None] == rows) & (np.arange(known)[:, None] != columns)
    return (scores - correction).masked_fill_(
        torch.from_numpy(left_out).to(scores.device), -torch.inf
    )


@compiled
def _correct(
    scores: NDArray[Any],
    correction: NDArray[Any],
    rows: Whole,
    columns: Whole,
    targets: Whole,
) -> NDArray[Any]:
    found = np.empty_like(scores)
    for row in range(len(scores)):
        target, read, write = targets[row], scores[row], found[row]
        for at in range(len(read)):
            score = read[at] - correction[at]
            write[at] = -np.inf if rows[at] == target and columns[at] != row else score
    return found


def gradient_by_rows(
    group: Group, scores: Tensor, candidates: Candidates, loss_gradient: LossGradient
) -> Tensor:
    """Return any loss's gradient by the rank's own scores.

    Each rank gets all scores of some of the clicks, finds the gradient there as one process does,
    and sends it back.

    Parameters
    ----------
    group
        The ranks.
    scores
        (m, own): of the rank's own candidates.
    candidates
        All of them.
    loss_gradient
        Called like a loss over candidates.

    """
    size, rank = group.size, group.rank
    bounds = [len(scores) * at // size for at in range(size + 1)]
    cuts = [slice(*pair) for pair in pairwise(bounds)]
    rows = cuts[rank].stop - cuts[rank].start
    forms = [[Form((rows, count), scores.dtype)] for count in candidates.counts]
    parts = group.exchange("loss", [[scores[cut].contiguous()] for cut in cuts], forms)
    mine = torch.cat([part for (part,) in parts], dim=1)
    # The loss takes its first columns for the rows' targets.
    order = candidates.order
    place_of = np.empty_like(order)
    place_of[order] = np.arange(len(order))
    first = np.zeros(len(order), np.bool_)
    first[cuts[rank]] = True
    places = np.concatenate([place_of[cuts[rank]], np.flatnonzero(~first[order])])
    columns = order[places]
    at = torch.from_numpy(places).to(scores.device)
    by_score = torch.zeros_like(mine)
    if rows:
        given = (
            torch.from_numpy(of[columns]).to(scores.device)
            for of in (candidates.rows, candidates.expected)
        )
        found = loss_gradient(mine.index_select(1, at), *given, candidates.floor)
        by_score[:, at] = found * (rows / len(scores))
    back = [[part.contiguous()] for part in by_score.split(candidates.counts, dim=1)]
    own = scores.shape[1]
    forms = [[Form((cut.stop - cut.start, own), scores.dtype)] for cut in cuts]
    return torch.cat([part for (part,) in group.exchange("loss", back, forms)])
