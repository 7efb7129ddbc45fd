"""The ranks of a batch's targets, found by all ranks together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..memory.mixture import evaluate
from ..memory.mixture_kernel import Predictions
from ..memory.special_items import padded
from ..ranking import SLACK, sizes
from .packing import Form
from .ranker import ShardRanker
from .recall import Recall
from .step import Outcome, Step

if TYPE_CHECKING:
    from .worker import Worker

Whole = NDArray[np.int64]
Offers = Sequence[list[Tensor]]
Forms = Sequence[list[Form]]

BROKEN = -(1 << 40)
"""Counted where a score is not a number: no count makes up for it."""


class Ranks(ABC):
    """How one rank finds its part of the ranks, in the order in which the ranks exchange it.

    Parameters
    ----------
    worker
        The rank.
    step
        The batch.
    outputs
        (m, size): of the network, of all ranks.

    """

    passes = 1
    """How often the scores are passed over."""

    def __init__(self, worker: Worker, step: Step, outputs: Tensor) -> None:
        self.group, self.step, self.buckets = worker.group, step, worker.buckets
        self.device = worker.device
        embedding, bias = worker.items.scoring(worker.buckets.used(step.used))
        self.ranker = ShardRanker(
            outputs,
            embedding,
            bias,
            worker.to_device(step.new_places),
            worker.to_device(step.unknown()),
            keep=self.passes > 1 or step.k > 0,
        )
        self.unseen = worker.to_device(step.unseen)
        # Own targets.
        targets = step.targets
        own = (self.buckets.owners(targets) == self.group.rank) & (targets > 0)
        self.own_targets = worker.to_device(np.flatnonzero(own))
        self.places = worker.to_device(self.buckets.places(targets[own]))
        self.extents = sizes(outputs[self.own_targets], embedding, bias, self.places)
        self.least = outputs.new_zeros(step.m)

    @abstractmethod
    def offer(self, outgoing: Offers, incoming: Forms) -> None:
        """Add what the other ranks need to what they are sent."""

    @abstractmethod
    def take(self, received: Offers) -> None:
        """Take what the other ranks have offered."""

    def compare(self) -> None:
        """Count the rank's own items that reach the targets."""
        least = self.least.masked_fill(self.unseen, torch.inf)
        self._found = self.ranker.count(least)

    def counts(self) -> Tensor:
        """Return what the rank adds to the ranks: int64 (m,)."""
        return self._found.masked_fill(self._found < 0, BROKEN)

    def finish(self, counts: Tensor) -> Outcome:
        """Return the ranks, from the sum of all ranks' counts, and the best items."""
        ranks = self.limit(counts.clone())
        ranks = torch.where(ranks < 0, -1, ranks).masked_fill_(self.unseen, 0)
        back = torch.from_numpy(np.argsort(self.step.order)).to(self.device)
        outcome = Outcome(ranks[back].cpu().numpy())
        if self.step.k:
            best, scores = self.lists(min(self.step.k, self.step.used))
            outcome.best, outcome.scores = best[back], scores[back]
        return outcome

    def limit(self, counts: Tensor) -> Tensor:
        """Return the ranks that counts stand for."""
        return counts

    @abstractmethod
    def lists(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the rows of the k best items and their scores: (m, k)."""

    def best_of_all(self, k: int, left_out: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the best rows of all ranks by the network, and their scores: (m, ranks · k)."""
        barred = None
        if len(self.step.plan.barred):
            places = np.arange(self.buckets.used(self.step.used))
            own = self.step.plan.barred[self.buckets.rows(places)]
            barred = torch.from_numpy(own).to(self.device)
        places, scores = self.ranker.best(k, left_out, barred)
        rows = torch.from_numpy(self.buckets.rows(places.cpu().numpy())).to(self.device)
        forms = [Form((self.step.m, k), rows.dtype), Form((self.step.m, k), scores.dtype)]
        size = self.group.size
        parts = self.group.exchange("lists", [[rows, scores]] * size, [forms] * size)
        found = zip(*parts, strict=True)
        return tuple(torch.cat(part, dim=1) for part in found)  # type: ignore[return-value]


class NetworkRanks(Ranks):
    """By the network's scores: a target's own score is the bar for all other items."""

    def offer(self, outgoing: Offers, incoming: Forms) -> None:
        """Offer the bars of the own targets."""
        # Products of other shapes round differently: what rounding cannot tell apart is equal.
        slack = SLACK * torch.finfo(self.least.dtype).eps * self.extents
        bars = torch.full_like(self.least, -torch.inf)
        bars[self.own_targets] = self.ranker.at(self.own_targets, self.places) - slack
        for there, back in zip(outgoing, incoming, strict=True):
            there.append(bars)
            back.append(Form(tuple(bars.shape), bars.dtype))

    def take(self, received: Offers) -> None:
        """Take the bars of all targets."""
        self.least = torch.stack([part.pop(0) for part in received]).amax(dim=0)

    def lists(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the rows of the k best items and their scores: (m, k)."""
        none = torch.zeros(0, dtype=torch.int64, device=self.device)
        rows, scores = self.best_of_all(k, (none, none))
        values, at = scores.topk(k, dim=1)
        return rows.gather(1, at), values


class MixtureRanks(Ranks):
    """By the mixture with the memory, which the rank of a click's session weighs.

    Parameters
    ----------
    worker, step, outputs
        See `Ranks`.
    recall
        The rank's memory.

    """

    passes = 2

    def __init__(self, worker: Worker, step: Step, outputs: Tensor, recall: Recall) -> None:
        super().__init__(worker, step, outputs)
        self._recall = recall
        clicks, rows, self._order, self._asked = recall.requests()
        size, own = self.group.size, step.own.start
        self._clicks = clicks
        counts = [[torch.tensor([count])] for count in self._asked]
        told = self.group.exchange("evidence", counts, [[Form((1,), torch.int64)]] * size)
        self._asks = [int(count) for (count,) in told]
        pairs = np.stack([own + clicks, rows]).astype(np.int32)
        cuts = np.cumsum(self._asked)[:-1]
        outgoing = [[torch.from_numpy(part)] for part in np.split(pairs, cuts, axis=1)]
        incoming = [[Form((2, count), torch.int32)] for count in self._asks]
        asked = self.group.exchange("evidence", outgoing, incoming)
        both = np.concatenate([part.numpy() for (part,) in asked], axis=1).astype(np.int64)
        self._special = (
            worker.to_device(both[0]),
            worker.to_device(self.buckets.places(both[1])),
        )
        self._highest, self._sums = self.ranker.softmax()
        self._dtype = self.least.dtype

    def offer(self, outgoing: Offers, incoming: Forms) -> None:
        """Offer to each rank what its own clicks need of the rank's own items."""
        step = self.step
        answers = self.ranker.at(*self._special).split(self._asks)
        extents = torch.zeros_like(self.least).index_copy_(0, self.own_targets, self.extents)
        of_clicks = [of.split(step.counts) for of in (self._highest, self._sums, extents)]
        own = step.counts[self.group.rank]
        kinds = self._dtype, torch.float64, self._dtype
        for rank, (there, back) in enumerate(zip(outgoing, incoming, strict=True)):
            there += [of[rank] for of in of_clicks] + [answers[rank]]
            back += [Form((own,), kind) for kind in kinds]
            back.append(Form((self._asked[rank],), self._dtype))

    def take(self, received: Offers) -> None:
        """Weigh the evidence for the own clicks by what all ranks have offered."""
        highest, sums, extents, answers = ([part.pop(0) for part in received] for _ in range(4))
        peaks = torch.stack(highest).double()
        peak = peaks.amax(dim=0)
        total = (torch.stack(sums) * (peaks - peak).exp()).sum(dim=0)
        step, items = self.step, self._items_of_own()
        # Before the first item there is none to share the probability among.
        peak.masked_fill_(items == 0, 0)
        self._log_sum = torch.where(items == 0, 0.0, peak + total.log())
        extent = torch.stack(extents).amax(dim=0).double()
        scores = torch.cat(answers).double().cpu().numpy()
        special = np.empty_like(scores)
        log_sum = self._log_sum.cpu().numpy()
        special[self._order] = np.exp(scores - log_sum[self._clicks])
        kind = torch.zeros(0, dtype=self._dtype).numpy().dtype
        known = ~step.unseen[step.own] if step.learn else np.zeros(len(extent), np.bool_)
        # The softmax adds rounding of its own.
        slack = SLACK * torch.finfo(self._dtype).eps * (extent + 1)
        predictions = Predictions(
            special.astype(kind),
            (peak - self._log_sum).exp().cpu().numpy(),
            known,
            slack.cpu().numpy(),
        )
        recall = self._recall
        self._evaluation, recall.gradient = evaluate(recall.memory, recall.evidence, predictions)

    def _items_of_own(self) -> Tensor:
        items = self.step.plan.items[self.step.order][self.step.own]
        return torch.from_numpy(items).to(self.device)

    def compare(self) -> None:
        """Count the rank's own items that reach the targets by the network's scores alone."""
        evaluation = self._evaluation
        with np.errstate(divide="ignore"):
            least = np.log(evaluation.threshold.astype(np.float64)) + self._log_sum.cpu().numpy()
        own = torch.from_numpy(least).to(self.device, self._dtype)
        self.least = self.group.gather("bars", own, self.step.counts)
        super().compare()

    def counts(self) -> Tensor:
        """Return what the rank adds to the ranks; for own clicks also what evidence changes."""
        counts, evaluation = super().counts(), self._evaluation
        # Where the probability is too small for a number, all items tie with it.
        tied = np.where(evaluation.target_prob == 0, self._items_of_own().cpu().numpy(), 0)
        more = np.where(np.isnan(evaluation.target_prob), BROKEN, evaluation.n_above + tied)
        counts[self.step.own] += torch.from_numpy(more).to(self.device)
        return counts

    def limit(self, counts: Tensor) -> Tensor:
        """Return the ranks that counts stand for: none is more than there are items."""
        items = torch.from_numpy(self.step.plan.items[self.step.order]).to(self.device)
        return counts.minimum(items)

    def lists(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the rows of the k best items and their probabilities: (m, k)."""
        rows, scores = self.best_of_all(k, self._special)
        evidence, evaluation = self._recall.evidence, self._evaluation
        special, final = padded(evidence, evaluation.final)
        widest = torch.tensor([special.shape[1]])
        size = self.group.size
        told = self.group.exchange("lists", [[widest]] * size, [[Form((1,), torch.int64)]] * size)
        width = max(int(count) for (count,) in told)
        wide = ((0, 0), (0, width - special.shape[1]))
        special = np.pad(special, wide)
        final = np.pad(final, wide, constant_values=-1.0)
        own = (
            self._log_sum,
            torch.from_numpy(evaluation.network_scale),
            torch.from_numpy(special),
            torch.from_numpy(final),
        )
        log_sum, scale, rows_of, probs = (
            self.group.gather("lists", of.to(self.device), self.step.counts) for of in own
        )
        probs = probs.masked_fill(self._absent(rows_of), -1)
        rest = (scores.double() - log_sum[:, None]).exp() * scale[:, None]
        rest.masked_fill_(scores == -torch.inf, -1)
        values, at = torch.cat([rest, probs], dim=1).topk(k, dim=1)
        best = torch.cat([rows, rows_of], dim=1).gather(1, at)
        return best, values.masked_fill(values < 0, -torch.inf).to(self._dtype)

    def _absent(self, rows: Tensor) -> Tensor:
        """Return where rows are no items that may be listed: (m, w)."""
        step, plan = self.step, self.step.plan
        found = rows.cpu().numpy()
        absent = found == 0
        if len(plan.barred):
            absent |= plan.barred[found]
        before = plan.scored[step.order] + int(step.about.after)
        for row, click in zip(plan.new_rows.tolist(), plan.new_clicks.tolist(), strict=True):
            absent |= (found == row) & (before <= click)[:, None]
        return torch.from_numpy(absent).to(self.device)


def make_ranks(worker: Worker, step: Step, outputs: Tensor) -> Ranks:
    """Return how the worker's model ranks."""
    if worker.recall:
        return MixtureRanks(worker, step, outputs, worker.recall)
    return NetworkRanks(worker, step, outputs)
