"""The ranks of a batch's targets, found by all ranks together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.half_scores import scan
from ..compute.score_blocks import ROOM, BlockScan, Scanned, Wanted, join_sums
from ..compute.torch_scan import TorchScan
from ..items.best_items import best_listed
from ..items.own_scores import own_scores
from ..memory.mixture import Mixture
from ..ranking import SLACK, room_for
from .packing import Form
from .recall import Recall, spans_of
from .replica import Shard
from .step import Outcome, Step

Whole = NDArray[np.int64]
Small = NDArray[np.int32]
Offers = Sequence[list[Tensor]]
Forms = Sequence[list[Form]]

BROKEN = -(1 << 40)
"""Counted where a score is not a number: no count makes up for it."""

BEYOND = 1 << 40
"""More than there are items."""


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

    more = 0
    """How much more rounding there is than that of the scores."""

    def __init__(self, worker: Shard, step: Step, outputs: Tensor) -> None:
        self.group, self.step, self.buckets = worker.group, step, worker.buckets
        self._outputs = outputs
        self._embedding, self._bias = worker.items.scoring(worker.buckets.used(step.used))
        self.kind: np.dtype[Any] = torch.zeros(0, dtype=outputs.dtype).numpy().dtype
        self.before = step.plan.scored[step.order] + int(step.about.after)

    def own_bars(self) -> tuple[Tensor, Tensor]:
        """Return the scores that items must reach to tie with the own targets, and their sizes.

        (m,) each: minus infinity, and 0, where another rank has the target.
        """
        step, outputs = self.step, self._outputs
        own = (self.buckets.owners(step.targets) == self.group.rank) & (step.targets > 0)
        at = torch.from_numpy(np.flatnonzero(own)).to(outputs.device)
        places = torch.from_numpy(self.buckets.places(step.targets[own])).to(outputs.device)
        scores, extents = own_scores(outputs[at], self._embedding, self._bias, places)
        # Products of other shapes round differently: what rounding cannot tell apart is equal.
        slack = SLACK * torch.finfo(outputs.dtype).eps * (extents + self.more)
        bars = outputs.new_full((step.m,), -torch.inf).index_copy_(0, at, scores - slack)
        return bars, torch.zeros_like(bars).index_copy_(0, at, extents)

    def wanted(self, bars: NDArray[Any], special: tuple[Whole, Small] | None) -> Wanted:
        """Return what is wanted of the own items' scores.

        Parameters
        ----------
        bars
            (m,): see `Wanted`.
        special
            The spans and places of the special items; None where there are none.

        """
        step, barred = self.step, np.zeros((0, 0), np.bool_)
        if len(step.plan.barred):
            places = np.arange(len(self._bias))
            barred = step.plan.barred[self.buckets.rows(places)][None]
        return Wanted(
            np.where(step.unseen, np.inf, bars).astype(self.kind),
            special is not None,
            # All ranks together list as many as one process does.
            room_for(step.k, len(self._bias), ROOM // self.group.size),
            *(special or (np.zeros((step.m, 2), np.int64), np.zeros(0, np.int32))),
            step.new_places,
            step.plan.new_clicks[step.new],
            self.before,
            barred,
        )

    def scan(self, wanted: Wanted) -> BlockScan | TorchScan:
        """Return a scan of the own items' scores for all clicks."""
        return scan(self._outputs, self._embedding, self._bias, wanted)

    @abstractmethod
    def offer(self, outgoing: Offers, incoming: Forms) -> None:
        """Add what the other ranks need to what they are sent."""

    @abstractmethod
    def take(self, received: Offers) -> None:
        """Take what the other ranks have offered."""

    @abstractmethod
    def counts(self) -> Tensor:
        """Return what the rank adds to the ranks, on the host: int64 (m,)."""

    @abstractmethod
    def found(self) -> Scanned:
        """Return what was found among the own items' scores."""

    def finish(self, counts: Tensor) -> Outcome:
        """Return the ranks, from the sum of all ranks' counts, and the best items."""
        step, sums = self.step, counts.cpu().numpy()
        # A target is among those that reach its bar, however the product rounds its score.
        ranks = np.where(sums < 0, -1, np.clip(sums, 1, step.plan.items[step.order]))
        ranks[step.unseen] = 0
        back = np.argsort(step.order)
        outcome = Outcome(ranks[back])
        if step.k:
            best, scores = self.lists(min(step.k, step.used))
            outcome.best, outcome.scores = best[back], scores[back]
        return outcome

    def lists(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the rows of the k best items and what they are listed with: (m, k)."""
        group, counts = self.group, self.step.counts
        found = self.found()
        places, scores = best_listed(found.listed, found.listed_rows, k)
        rows = torch.from_numpy(self.buckets.rows(places).astype(np.int32)).split(counts)
        parts = torch.from_numpy(scores).split(counts)
        own = counts[group.rank]
        forms = [Form((own, k), torch.int32), Form((own, k), torch.float64)]
        outgoing = [[rows[rank], parts[rank]] for rank in range(group.size)]
        received = group.exchange("lists", outgoing, [forms] * group.size)
        all_rows, all_scores = (
            torch.cat(part, dim=1).numpy() for part in zip(*received, strict=True)
        )
        best, values = self.merge(all_rows, all_scores, k)
        return (
            group.gather("lists", torch.from_numpy(best), counts),
            group.gather("lists", torch.from_numpy(values), counts).to(self._outputs.dtype),
        )

    def merge(
        self, rows: Small, scores: NDArray[np.float64], k: int
    ) -> tuple[Whole, NDArray[np.float64]]:
        """Return the best of what all ranks list for the own clicks: (own, k)."""
        return best_listed(scores, rows, k)


class NetworkRanks(Ranks):
    """By the network's scores: a target's own score is the bar for all items."""

    def offer(self, outgoing: Offers, incoming: Forms) -> None:
        """Offer the bars of the own targets."""
        bars, _ = self.own_bars()
        for there, back in zip(outgoing, incoming, strict=True):
            there.append(bars)
            back.append(Form(tuple(bars.shape), bars.dtype))

    def take(self, received: Offers) -> None:
        """Take the bars of all targets."""
        bars = torch.stack([part.pop(0) for part in received]).amax(dim=0).cpu().numpy()
        self._wanted = self.wanted(bars, None)

    def counts(self) -> Tensor:
        """Return what the rank adds to the ranks, on the host: int64 (m,)."""
        self._found = found = self.scan(self._wanted).scanned()
        return torch.from_numpy(np.where(found.broken, BROKEN, found.above))

    def found(self) -> Scanned:
        """Return what was found among the own items' scores."""
        return self._found


class MixtureRanks(Ranks):
    """By the mixture with the memory, which the rank of a click's session weighs.

    Parameters
    ----------
    worker, step, outputs
        See `Ranks`.
    recall
        The rank's memory.

    """

    more = 1

    def __init__(self, worker: Shard, step: Step, outputs: Tensor, recall: Recall) -> None:
        super().__init__(worker, step, outputs)
        self._recall = recall
        self._scan = self.scan(self.wanted(*self._share_evidence()))
        self._found = self._scan.scanned()

    def _share_evidence(self) -> tuple[NDArray[Any], tuple[Whole, Small]]:
        """Ask the other ranks for scores; return bars and special items."""
        group, step, recall = self.group, self.step, self._recall
        ranks, own = group.size, step.own
        clicks, rows, self._order, self._asked = recall.requests()
        counts = [[torch.tensor([count])] for count in self._asked]
        told = group.exchange("evidence", counts, [[Form((1,), torch.int64)]] * ranks)
        self._asks = [int(count) for (count,) in told]
        pairs = np.stack([own.start + clicks, rows]).astype(np.int32)
        bars, extents = self.own_bars()
        outgoing = [
            [torch.from_numpy(part).to(bars.device), bars, extents]
            for part in np.split(pairs, np.cumsum(self._asked)[:-1], axis=1)
        ]
        incoming = [
            [
                Form((2, asked), torch.int32),
                Form((step.m,), bars.dtype),
                Form((step.m,), bars.dtype),
            ]
            for asked in self._asks
        ]
        parts, all_bars, sizes = zip(*group.exchange("evidence", outgoing, incoming), strict=True)
        size = torch.stack(sizes).amax(dim=0)[own].cpu().numpy().astype(np.float64)
        # The softmax adds rounding of its own.
        self._slack = SLACK * torch.finfo(bars.dtype).eps * (size + 1)
        bar = torch.stack(all_bars).amax(dim=0).cpu().numpy()
        both = torch.cat(parts, dim=1).cpu().numpy()
        return bar, self._special(both[0], both[1])

    def _special(self, clicks: Small, rows: Small) -> tuple[Whole, Small]:
        """Return spans and places."""
        return spans_of(clicks, self.step.m), self.buckets.places(rows.astype(np.int64)).astype(
            np.int32
        )

    def offer(self, outgoing: Offers, incoming: Forms) -> None:
        """Offer to each rank what its own clicks need of the rank's own items."""
        found, counts = self._found, self.step.counts
        answers = torch.from_numpy(found.special).split(self._asks)
        of_clicks = [
            torch.from_numpy(of).split(counts) for of in (found.highest, found.total, found.broken)
        ]
        own, dtype = counts[self.group.rank], self._outputs.dtype
        kinds = dtype, torch.float64, torch.bool
        for rank, (there, back) in enumerate(zip(outgoing, incoming, strict=True)):
            there += [of[rank] for of in of_clicks] + [answers[rank]]
            back += [Form((own,), kind) for kind in kinds]
            back.append(Form((self._asked[rank],), dtype))

    def take(self, received: Offers) -> None:
        """Weigh the evidence for the own clicks by what all ranks have offered."""
        highest, total, broken, answers = (
            [part.pop(0).cpu() for part in received] for _ in range(4)
        )
        step, recall, own = self.step, self._recall, self.step.own
        most, sums = join_sums(torch.stack(highest).numpy(), torch.stack(total).numpy())
        special = np.empty(len(self._order), self.kind)
        special[self._order] = torch.cat(answers).numpy()
        any_broken = torch.stack(broken).any(dim=0).numpy()
        # What else was found is not read.
        none = np.zeros((len(most), 0), self.kind)
        above = np.zeros(len(most), np.int64)
        joined = Scanned(above, most, sums, special, any_broken, none, none.astype(np.int32))
        known = ~step.unseen[own] & step.learn
        self._mixture = Mixture(recall.memory, recall.evidence, joined, known, self._slack)
        recall.gradient = self._mixture.gradient
        self._broken = any_broken

    def counts(self) -> Tensor:
        """Return what the rank adds to the ranks, on the host: int64 (m,)."""
        group, step, found, mixture = self.group, self.step, self._found, self._mixture
        late = ~mixture.alone & ~step.unseen[step.own] & ~self._broken
        own = [torch.from_numpy(mixture.alone), torch.from_numpy(late)]
        own.append(torch.from_numpy(mixture.bars(self.kind)))
        alone, recount, bars = (group.gather("bars", of, step.counts).numpy() for of in own)
        counts = np.where(alone, found.above, 0)
        again = np.flatnonzero(recount)
        if len(again):
            counts[again] = self._scan.count(again, bars[again])
        counts[found.broken] = BROKEN
        # The special items that reach the target; beyond all items where all tie with it.
        more = mixture.ranks(np.zeros_like(counts[step.own]), np.full(len(late), BEYOND))
        counts[step.own] += np.where(more < 0, BROKEN, more)
        return torch.from_numpy(counts)

    def found(self) -> Scanned:
        """Return what was found among the own items' scores."""
        return self._found

    def merge(
        self, rows: Small, scores: NDArray[np.float64], k: int
    ) -> tuple[Whole, NDArray[np.float64]]:
        """Return the most probable of what all ranks list for the own clicks, and of evidence."""
        barred = self.step.plan.barred
        special = self._mixture.special(barred[None] if len(barred) else None)
        return best_listed(self._mixture.probabilities(scores), rows, k, special)


def make_ranks(worker: Shard, step: Step, outputs: Tensor) -> Ranks:
    """Return how the worker's model ranks."""
    if worker.recall:
        return MixtureRanks(worker, step, outputs, worker.recall)
    return NetworkRanks(worker, step, outputs)
