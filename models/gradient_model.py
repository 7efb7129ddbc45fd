"""What the learner and the rivals that learn by gradients share."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .argument_checks import at_least, seed_of
from .base import CheckedModel, Request
from .batch import Batch, Checkpoint
from .compute.snapshot_buffer import SnapshotBuffer
from .compute.transfer import to_device
from .items.item_table import ItemTable
from .items.popularity import LARGEST_BATCH, Popularity
from .items.scored import POPULAR_CLICKS, popular_scores
from .items.table import pick
from .items.vocabulary import Vocabulary
from .ranking import NewItems, Ranking
from .recommender import BatchResult, Id, State
from .sessions import SessionStore
from .state import with_sampling_sums
from .windows import Whole


class GradientModel(CheckedModel):
    """A model that scores items by a product with a vector that a network makes of a session.

    It keeps a catalogue of items with their embeddings, windows of the live sessions, and counts
    that negatives are sampled by. A subclass makes these tables in its constructor.

    Parameters
    ----------
    max_sessions, max_items
        At most this many live sessions, and items in the catalogue after a batch.
    seed
        Random seed.
    device
        Where the model computes.

    """

    name: str
    largest_batch = LARGEST_BATCH
    items: ItemTable
    memory: object | None = None
    popularity: Popularity
    sessions: SessionStore
    vocabulary: Vocabulary

    def __init__(self, max_sessions: int, max_items: int, seed: int, device: torch.device) -> None:
        self.device = device
        self.max_sessions = at_least(max_sessions, "max_sessions", 1)
        self.max_items = at_least(max_items, "max_items", 1)
        self.seed = seed_of(seed)
        # Of initial weights, and of what learning draws: the first do not depend on the second.
        self._initial = torch.Generator().manual_seed(self.seed)
        self._draws = torch.Generator().manual_seed(self.seed + 1)
        self.copies = SnapshotBuffer()

    @property
    def n_items(self) -> int:
        """How many items are known."""
        return len(self.vocabulary)

    def _upgraded(self, state: State) -> State:
        return with_sampling_sums(state)

    def _admit(self, request: Request) -> Batch:
        """Find the windows of a batch, and add its new items to the catalogue."""
        windows = self.sessions.align_windows(request.sessions, request.after)
        before = Checkpoint(
            self.vocabulary.used,
            self.items.n_generations,
            self._initial.get_state(),
            self._draws.get_state(),
        )
        # Before new items enter: these may leave again, and others then have their admissions.
        allowed = None if request.allowed is None else request.allowed.rows(self.vocabulary)
        placed, new = self.vocabulary.admit(request.items)
        added = np.flatnonzero(new)
        drawn = self.items.draw_numbers(len(added)).numpy()
        draws = self._draw_negatives(request, placed[windows.scored])
        rows, *of_new, begun, drawing = windows.send(
            self.device, placed, placed[added], added, drawn, draws
        )
        result = BatchResult.empty(len(request.items), request.k)
        batch = Batch(request, windows, placed, new, rows, NewItems(*of_new), before, result)
        batch.drawn, batch.draws = begun, drawing if len(draws) else None
        if allowed is not None:
            batch.barred = self._barred(request, allowed, placed)
        return batch

    def _draw_negatives(self, request: Request, targets: Whole) -> NDArray[np.float64]:
        """Draw what a batch's negatives are sampled by; nothing where that is done later."""
        return np.zeros(0)

    def _barred(
        self, request: Request, allowed: NDArray[np.bool_], placed: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which rows must not be recommended, the batch's new items included."""
        assert request.allowed is not None
        barred = np.zeros(self.vocabulary.used, np.bool_)
        barred[: len(allowed)] = ~allowed
        barred[placed] = [item not in request.allowed for item in request.items]
        return barred

    def _test_frozen(self, request: Request) -> BatchResult:
        # A memory has evidence of the clicks before each one, also within a batch.
        return self._run(request) if self.memory is None else super()._test_frozen(request)

    def _recommend_allowed(self, request: Request) -> list[list[tuple[Id, float]]]:
        return self._run(request).recommended

    def _rollback(self, batch: Batch) -> None:
        """Undo all that a batch has changed before it was learned."""
        before, rows = batch.before, batch.placed[batch.new]
        self.vocabulary.withdraw(batch.placed[batch.new].tolist(), before.used)
        rows = rows[rows < len(self.items.generation)]
        if len(rows):
            self.items.clear(self._to_device(rows))
        self.items.n_generations = before.n_generations
        self._initial.set_state(before.initial)
        self._draws.set_state(before.draws)

    @torch.no_grad()
    def _gather_histories(self, batch: Batch) -> Tensor:
        """Draw the new items' embeddings; set `histories`, return the states before these."""
        windows, new = batch.windows, batch.new_items
        if batch.new.any():
            self.items.draw(new.rows, self.vocabulary.used, batch.drawn)
        batch.histories, states = self.sessions.histories(windows, self.items.keys_of(batch.rows))
        if batch.new.any():
            there = windows.on(self.device)
            group, turn = pick(there.group, new.clicks), pick(there.turn, new.clicks)
            # Row 0, where a session begins with the new item, is zero.
            previous = self.items.rows_of(batch.histories[group, turn + windows.size - 1])
            self._initialise_from(new.rows, previous)
        return states

    def _initialise_from(self, rows: Tensor, neighbours: Tensor) -> None:
        """Move new items' embeddings towards those of the items clicked just before them."""
        for table in dict.fromkeys([self.items.embedding, self.items.inputs]):
            table.values[rows] += self._neighbour_init * table.values[neighbours]

    @property
    @abstractmethod
    def _neighbour_init(self) -> float:
        """What part of the previous item's embedding is added to a new item's."""

    def _count(self, batch: Batch, max_idle: float) -> None:
        """Count a learned batch's clicks, and evict items.

        Parameters
        ----------
        batch
            The batch.
        max_idle
            Seconds after which an item without a click leaves the catalogue; 0: never.

        """
        request, vocabulary = batch.request, self.vocabulary
        clicked, known = batch.rows, np.flatnonzero(batch.placed)
        if len(known) < len(batch.placed):
            clicked = pick(clicked, self._to_device(known))
        self.popularity.learn(clicked, vocabulary.used)
        vocabulary.touch(request.items, request.time)
        self._evict(vocabulary.evict(request.time - max_idle if max_idle else -math.inf))

    def _evict(self, rows: list[int]) -> None:
        """Remove items from the tables: nothing of them is left for those that get their rows."""
        if rows:
            evicted = self._to_device(np.array(rows))
            self.items.clear(evicted)
            self.popularity.forget(evicted)

    def _fit_bound(self) -> None:
        """Evict the items beyond the bound: a state may be of a model with a larger one.

        Sessions beyond theirs stay until the next batch, which may have clicks of them.
        """
        self._evict(self.vocabulary.evict())

    def scores(self, outputs: Tensor) -> Tensor:
        """Return the score of each row's item: (n, used), for (n, size) vectors of sessions.

        Raises
        ------
        FloatingPointError
            One is not a number: the learning has diverged.

        """
        embedding, bias = self.items.scoring(self.vocabulary.used)
        scores = torch.addmm(bias, outputs, embedding.T)
        if torch.isnan(scores.amax(dim=1)).any():
            raise diverged()
        return scores

    def popular_shares(self) -> Tensor:
        """Return how popular each row's item is of late: (used,)."""
        used = self.vocabulary.used
        counts = self.popularity.counts(torch.arange(used, device=self.device)).cpu().numpy()
        shares = popular_scores(counts, self.vocabulary.clicked_lately(POPULAR_CLICKS))
        return torch.from_numpy(shares).to(self.items.bias.values)

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        return to_device(array, self.device)

    def _knows(self, item: Id) -> bool:
        return item in self.vocabulary

    def _forget(self, sessions: list[Id]) -> None:
        self.sessions.forget(sessions)


def record(
    result: BatchResult,
    ranking: Ranking,
    scored: NDArray[np.int64],
    vocabulary: Vocabulary,
) -> None:
    """Write the ranks and recommendations of scored clicks into the result of their batch.

    Parameters
    ----------
    result
        Written to.
    ranking
        Of the m scored clicks.
    scored
        int64 (m,): their places in the batch.
    vocabulary
        The catalogue.

    Raises
    ------
    FloatingPointError
        A score is not a number: the learning has diverged.

    """
    ranks, best, values = (of.numpy() for of in (ranking.ranks, ranking.best, ranking.scores))
    if (ranks < 0).any():
        raise diverged()
    result.scored[scored] = True
    result.ranks[scored] = ranks
    if best.shape[1]:
        for place, rows, scores in zip(
            scored.tolist(), best.tolist(), values.tolist(), strict=True
        ):
            result.recommended[place] = [
                (vocabulary.id_of(row), score)
                for row, score in zip(rows, scores, strict=True)
                if score > -math.inf
            ]


def diverged() -> FloatingPointError:
    """Return the error of a model whose scores are not numbers."""
    return FloatingPointError(
        "a score is not a number: the learning has diverged; lower learning_rate"
    )
