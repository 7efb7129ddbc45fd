"""The online learner: GRU4Rec tested and trained on every batch of a stream."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base import Request, fits
from ..batch import Batch
from ..compute.background import Worker, gather
from ..compute.device import choose_device, on_host
from ..compute.half_scores import never
from ..gradient_model import GradientModel, record
from ..items.item_table import SHIFT, ItemTable
from ..items.popularity import Popularity
from ..items.table import pick
from ..items.vocabulary import Vocabulary
from ..memory.history import Clicks
from ..memory.layout import microseconds
from ..memory.memory import Memory
from ..memory.mixture import mix
from ..optim import make_rule
from ..queries import Answer, Query
from ..ranking import CatalogueRanker, Ranking
from ..recommender import BatchResult, State, prefixed, within
from ..sessions import SessionStore
from ..state import load_state, save_state
from ..windows import Whole
from .answering import Answering, PopularItems
from .config import GRU4RecConfig
from .mixed_precision import Precision
from .parts import input_size, make_network
from .size_check import check_room, needs_of
from .trainer import Gradients, Trainer

PARALLEL_RANKING = 1 << 17
"""A batch with fewer scores is ranked sooner than another thread has begun."""

PARALLEL_SCORES = 1 << 13
"""With fewer scores, another thread is not even worth it for the scores without their ranking."""


@dataclass(slots=True)
class Outputs:
    """The network's outputs for a batch, with what their gradient needs.

    Parameters
    ----------
    steps
        int64 (sum of sizes,): the rows of the windows' clicks, packed.
    starts
        (m, width): the state before each scored window.
    inputs
        (sum of sizes, inputs): the clicks' embeddings, a leaf of the graph.
    outputs
        (m, size): the output before each scored click.

    """

    steps: Tensor
    starts: Tensor
    inputs: Tensor
    outputs: Tensor


class OnlineGRU4Rec(GradientModel):
    """GRU4Rec that learns from each click of a stream once, in their order.

    Every batch is scored with the parameters as they stood before it, over the whole catalogue as
    it stood before each click, and then learned: one forward pass serves both. Gradients flow
    through the last K clicks of a session (truncated back-propagation through time,
    Williams & Peng, 1990); what lies before enters as a constant state.

    Parameters
    ----------
    config
        Architecture, training and memory; the defaults where it is not given.
    max_sessions, max_items
        At most this many live sessions, and items in the catalogue after a batch; those least
        recently clicked are dropped.
    seed
        Random seed of initial weights and negatives.
    device
        ``"auto"`` (a GPU where there is one), ``"cpu"`` or ``"cuda"``.
    dtype
        ``"float32"``, ``"float64"``, or ``"bfloat16"``: the network's arithmetic, on a GPU; what is
        learned is kept, and scored, in float32.

    Examples
    --------
    >>> model = OnlineGRU4Rec(GRU4RecConfig(hidden=16), device="cpu")
    >>> for session in range(50):
    ...     for item in ("shoes", "socks", "hat"):
    ...         model.learn_one(session, item)
    >>> [item for item, score in model.recommend(["shoes"], k=1)]
    ['socks']

    """

    name = "gru4rec"
    FIXED = ("network.", "memory.", "random.", "recall.weights", "recall.sums", "recall.totals")

    def __init__(
        self,
        config: GRU4RecConfig | None = None,
        *,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "float32",
    ) -> None:
        self.config = config = GRU4RecConfig() if config is None else config
        if not isinstance(config, GRU4RecConfig):
            raise TypeError(f"config must be a GRU4RecConfig, not {config!r:.80}")
        host_or_gpu = choose_device(device)
        check_room(needs_of(config, 8 if dtype == "float64" else 4), host_or_gpu)
        super().__init__(max_sessions, max_items, seed, host_or_gpu)
        self.network = make_network(config, self._initial)
        self.precision = Precision(self.network, dtype)
        self.dtype = self.precision.kept
        self.network.to(self.device, self.dtype)
        self.items = ItemTable(
            config.output_size,
            input_size(config),
            config.item_spread,
            make_rule(config.optimizer, config.item_learning_rate, config.momentum),
            self.device,
            self.dtype,
            self._initial,
        )
        self.vocabulary = Vocabulary(config.min_count, self.max_items)
        self.popularity = Popularity(config.alpha, self.items, self._draws, config.half_life)
        self.trainer = Trainer(config, self.network, self.items, self.popularity)
        self.sessions = SessionStore(
            config.window, self.network.width, self.max_sessions, self.device, self.dtype
        )
        self.memory: Memory | None = None
        if config.memory:
            self.memory = Memory(config.memory, config.memory_rate, config.memory_boost, self.seed)
        self.choose_half: Callable[[int, int], bool] = never
        self._worker = Worker(self.device)
        self._popular = PopularItems()

    def _run(self, request: Request) -> BatchResult:
        """Test the batch, learn it, or both."""
        batch = self._admit(request)
        try:
            gradients = self._score(batch)
        except BaseException:
            self._worker.wait()
            self._rollback(batch)
            raise
        if request.learn:
            self._learn(batch, gradients)
        else:
            self._rollback(batch)
        return batch.result

    def _admit(self, request: Request) -> Batch:
        """Find the windows of a batch, add its new items, and begin to look up its evidence."""
        batch = super()._admit(request)
        windows, vocabulary = batch.windows, self.vocabulary
        batch.parallel = len(windows.scored) * vocabulary.used >= PARALLEL_RANKING
        if self.memory:
            admissions = vocabulary.admissions
            clicks = Clicks(
                windows.slots,
                windows.group,
                batch.placed + (admissions[batch.placed] << SHIFT),
                microseconds(request.times, len(request.items)),
                windows.scored,
                request.after,
            )
            batch.evidence = self._worker.submit(
                self.memory.lookup, clicks, admissions, parallel=batch.parallel
            )
        return batch

    def _score(self, batch: Batch) -> Gradients | None:
        """Rank a batch's scored clicks and compute what they teach; no parameter moves."""
        request = batch.request
        states = self._gather_histories(batch)
        # With dropout, training has a forward pass of its own.
        with torch.set_grad_enabled(request.learn and not self.network.random):
            forward = self._forward(batch, states)
        if not len(batch.windows.scored):
            if batch.evidence:
                batch.evidence.result()
            return None
        targets = self._targets(batch)
        ranker, tasks = None, []
        if request.test or self.memory:
            ranker = self._ranker(batch, forward.outputs.detach(), targets)
            tasks = [
                self._worker.submit(self._rank, batch, ranker, part, parallel=batch.parallel)
                for part in ranker.parts
            ]
        gradients = self._gradients(batch, forward, targets) if request.learn else None
        if ranker:
            parts = gather(tasks)
            if self.memory:
                batch.memory_gradient = np.sum([gradient for _, gradient in parts], axis=0)
            ranking = ranker.finish([ranking for ranking, _ in parts])
            record(batch.result, ranking, batch.windows.scored, self.vocabulary)
        return gradients

    def _forward(self, batch: Batch, states: Tensor) -> Outputs:
        """Run the network over the windows of a batch, from the states before the histories."""
        windows, histories = batch.windows, batch.histories
        starts, batch.ends = self._move_starts(batch, states)
        steps = self.items.rows_of(pick(histories.view(-1), windows.on(self.device).steps))
        inputs = pick(self.items.inputs.values, steps)
        inputs.requires_grad_(torch.is_grad_enabled())
        outputs = self.precision.run("forward", inputs, windows.sizes, starts)
        return Outputs(steps, starts, inputs, outputs)

    @torch.no_grad()
    def _move_starts(self, batch: Batch, states: Tensor) -> tuple[Tensor, Tensor]:
        """Move the windows' starts over the clicks that fall out of them.

        Returns
        -------
        starts
            (m, width): the state before each scored window.
        ends
            (u, width): the state before the last K clicks of each history.

        """
        windows, histories = batch.windows, batch.histories
        there = windows.on(self.device)
        if windows.move_counts:
            clicked = self.items.rows_of(pick(histories.view(-1), there.moved_clicks))
            inputs = pick(self.items.inputs.values, clicked)
            moved = pick(states, there.moved_sessions)
            after = self.precision.run("states", inputs, windows.move_counts, moved)
            states = torch.cat([states, after])
        return pick(states, there.starts), pick(states, there.next_start)

    def _targets(self, batch: Batch) -> Tensor:
        """Return the rows of the scored clicks' items; of none, after the clicks."""
        scored = batch.windows.on(self.device).scored
        return torch.zeros_like(scored) if batch.request.after else pick(batch.rows, scored)

    def _ranker(self, batch: Batch, outputs: Tensor, targets: Tensor) -> CatalogueRanker:
        """Return the ranker of a batch's targets; begin to compute its scores."""
        used = self.vocabulary.used
        # After its click an item that it added to the catalogue is known.
        clicks = batch.windows.on(self.device).scored + batch.request.after
        scoring = self.items.scoring(used)
        ranker = CatalogueRanker(
            outputs, *scoring, targets, clicks, batch.new_items, batch.parallel
        )
        ranker.k, ranker.barred, ranker.evidence = batch.request.k, batch.barred, batch.evidence
        ranker.half = on_host(self.device) and self.choose_half(len(targets), used)
        if not batch.parallel and len(targets) * used >= PARALLEL_SCORES:
            ranker.begin(self._worker)
        return ranker

    def _rank(
        self, batch: Batch, ranker: CatalogueRanker, part: slice
    ) -> tuple[Ranking, NDArray[np.float64]]:
        """Rank some of a batch's targets; return what they teach the memory, too."""
        if self.memory and batch.evidence:
            evidence = batch.evidence.result()
            return mix(self.memory, evidence, ranker, part, batch.request.learn)
        return ranker.rank(part), batch.memory_gradient

    def _gradients(self, batch: Batch, forward: Outputs, targets: Tensor) -> Gradients | None:
        """Return what the scored clicks teach the network and the items; None for nothing."""
        windows = batch.windows
        known = np.flatnonzero(batch.placed[windows.scored])
        if not len(known):
            return None
        began = perf_counter()
        inputs, outputs = forward.inputs, forward.outputs
        if self.network.random:
            inputs.requires_grad_()
            draw = partial(torch.rand, generator=self._draws)
            outputs = self.precision.run("forward", inputs, windows.sizes, forward.starts, draw)
        if len(known) < len(targets):
            places = self._to_device(known)
            outputs, targets = outputs[places], targets[places]
        gradients = self.trainer.gradients(
            forward.steps, inputs, outputs, targets, self.vocabulary, batch.draws
        )
        batch.result.learning = perf_counter() - began
        return gradients

    def _learn(self, batch: Batch, gradients: Gradients | None) -> None:
        """Learn a batch, and keep its sessions as they stand after it."""
        began = perf_counter()
        if gradients:
            self.trainer.update(gradients)
        slots = self.sessions.advance(batch.windows, batch.histories, batch.ends)
        if self.memory:
            self.memory.commit(slots)
            known = int((batch.result.ranks > 0).sum())
            if known:
                self.memory.step(batch.memory_gradient / known)
        self._count(batch, self.config.max_idle)
        memory_size = self.memory.size if self.memory else 0
        tables_size = self.items.size(self.vocabulary.used)
        self.copies.prepare(tables_size + self.sessions.size + memory_size)
        batch.result.learning += perf_counter() - began

    def _rollback(self, batch: Batch) -> None:
        """Undo all that a batch has changed before it was learned."""
        if self.memory and batch.evidence and not batch.evidence.cancel():
            # Whatever came of it: an interrupt may have cut it off after it changed the memory.
            wait([batch.evidence])
            self.memory.rollback()
        super()._rollback(batch)

    def _draw_negatives(self, request: Request, targets: Whole) -> NDArray[np.float64]:
        config = self.config
        sampled = config.loss != "full-cross-entropy" and not self.network.random
        # With dropout, these come after its own draws.
        if request.learn and sampled and targets.any():
            return self.popularity.draw(config.n_negatives)
        return np.zeros(0)

    def _recommend_each(self, queries: list[Query]) -> list[Answer]:
        return Answering(self, self._popular).answer(queries)

    @property
    def _neighbour_init(self) -> float:
        return self.config.neighbour_init

    def state(self) -> State:
        """Copy all that the next click depends on."""
        state = save_state(self, self.network, self.trainer.optimizer_state)
        if self.memory:
            used = self.vocabulary.used
            recall = self.memory.state(self.sessions.held, used, self.copies)
            state.arrays |= prefixed("recall.", recall)
        return state

    def _upgraded(self, state: State) -> State:
        state = super()._upgraded(state)
        if not self.memory:
            return state
        return State(state.arrays | self.memory.upgraded(state.arrays, "recall."), state.values)

    def _restore(self, state: State) -> None:
        load_state(self, self.network, self.trainer.optimizer_state, state)
        if self.memory:
            recall = within("recall.", state.arrays)
            rows, places = len(recall["items"]), len(recall["places"])
            fits(rows <= self.vocabulary.used, "the memory's rows and the items")
            fits(places == len(self.sessions), "the memory's places and the sessions")
            self.memory.restore(recall)
        self._fit_bound()
