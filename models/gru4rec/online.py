"""The online learner: GRU4Rec tested and trained on every batch of a stream."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..argument_checks import at_least, seed_of
from ..base import CheckedModel, fits
from ..compute.background import Worker
from ..compute.device import choose_device
from ..compute.snapshot_buffer import SnapshotBuffer
from ..items.item_table import SHIFT, ItemTable
from ..items.popularity import LARGEST_BATCH, Popularity
from ..items.table import pick
from ..items.vocabulary import Vocabulary
from ..memory.history import SPECIAL, microseconds
from ..memory.memory import Lookup, Memory
from ..memory.mixture import mix
from ..optim import make_rule
from ..queries import Answer, Query
from ..ranking import CatalogueRanker, NewItems, Ranking
from ..recommender import BatchResult, Id, State, prefixed, within
from ..sessions import SessionStore
from ..state import load_state, save_state
from ..windows import Windows
from .answering import Answering
from .batch import Batch
from .cells import GATES
from .config import GRU4RecConfig
from .mixed_precision import Precision
from .network import GRU4Rec
from .size_check import check_room, needs_of
from .trainer import Gradients, Trainer

WORTH_A_THREAD = 1 << 17
"""With fewer scores in a batch they are ranked sooner than another thread has begun."""

WORTH_A_PRODUCT = 1 << 13
"""With fewer scores in a batch not even the scores alone, without their ranking, are worth one."""


class OnlineGRU4Rec(CheckedModel):
    """GRU4Rec that learns from clicks it sees once, in the order in which they come.

    Every batch is scored with the parameters as they stood before it, over the whole catalogue as
    it stood before each click, and then learned: one forward pass serves both. Gradients flow
    through the last K clicks of a session (truncated back-propagation through time,
    Williams & Peng, 1990); what lies before enters as a constant state.

    Parameters
    ----------
    config
        What the model is made of and how it learns; the defaults where it is not given.
    max_sessions, max_items
        At most this many live sessions, and items in the catalogue after a batch; those least
        recently clicked are dropped.
    seed
        Of initial weights and negatives.
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
    largest_batch = LARGEST_BATCH
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
        self.device = choose_device(device)
        check_room(needs_of(config, 8 if dtype == "float64" else 4), self.device)
        max_sessions = at_least(max_sessions, "max_sessions", 1)
        max_items = at_least(max_items, "max_items", 1)
        seed = seed_of(seed)
        self._initial = torch.Generator().manual_seed(seed)
        self._draws = torch.Generator().manual_seed(seed + 1)
        sizes = config.layers
        top = [*sizes, *config.feed_forward][-1]
        reads = {"tied": top, "separate": sizes[0], "one-hot": None}[config.embedding]
        self.network = GRU4Rec(
            reads,
            sizes,
            cell=config.cell,
            reset=config.reset,
            feed_forward=config.feed_forward,
            activation=config.activation,
            input_dropout=config.input_dropout,
            dropout=config.dropout,
        )
        self.network.initialise(
            config.init_range, config.identity, config.update_gate_bias, self._initial
        )
        self.precision = Precision(self.network, dtype)
        self.dtype = self.precision.kept
        self.network.to(self.device, self.dtype)
        own = {
            "tied": None,
            "separate": sizes[0],
            "one-hot": GATES[config.cell] * sizes[0],
        }
        self.items = ItemTable(
            top,
            own[config.embedding],
            config.item_spread,
            make_rule(config.optimizer, config.item_learning_rate, config.momentum),
            self.device,
            self.dtype,
            self._initial,
        )
        self._worker = Worker(self.device)
        self.copies = SnapshotBuffer()
        self.vocabulary = Vocabulary(config.min_count, max_items)
        self.popularity = Popularity(config.alpha, self.items, self._draws, config.half_life)
        self.trainer = Trainer(config, self.network, self.items, self.popularity)
        self.sessions = SessionStore(
            config.window, self.network.width, max_sessions, self.device, self.dtype
        )
        self.memory: Memory | None = None
        if config.memory:
            self.memory = Memory(config.memory, config.memory_rate, config.memory_boost, seed)
        self._answering = Answering(self)

    @property
    def n_items(self) -> int:
        """How many items are known."""
        return len(self.vocabulary)

    def _run(
        self,
        sessions: list[Id],
        items: list[Id],
        k: int,
        time: float,
        times: NDArray[np.float64] | None,
        *,
        test: bool,
        learn: bool,
        after: bool = False,
    ) -> BatchResult:
        """Test the batch, learn it, or both; `after`: give what is best after each click."""
        batch = self._admit(sessions, items, times, after)
        try:
            gradients = self._score(batch, k, test=test, learn=learn, after=after)
        except BaseException:
            self._worker.wait()
            self._rollback(batch)
            raise
        if learn:
            self._learn(batch, gradients, items, time)
        else:
            self._rollback(batch)
        return batch.tested

    def _admit(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        times: NDArray[np.float64] | None,
        after: bool,
    ) -> Batch:
        """Line a batch up, let its new items in, and begin to look up its evidence."""
        windows = self.sessions.align_windows(sessions, after)
        before = self.vocabulary.used, self.items.n_generations
        random = self._initial.get_state(), self._draws.get_state()
        placed, new = self.vocabulary.admit(items)
        parallel = len(windows.scored) * self.vocabulary.used >= WORTH_A_THREAD
        noting: Iterator[None] = iter(())
        kept: list[Lookup] = []
        if self.memory:
            admissions = self.vocabulary.admissions
            stamped = placed + (admissions[placed] << SHIFT)
            of = windows.group, windows.slots, stamped, windows.scored
            note = partial(self.memory.lookup, *of, admissions, microseconds(times, len(items)))
            noting = self._worker.submit([lambda: kept.append(note(after=after))], parallel)
        rows = self._to_device(placed)
        new_items = NewItems(rows[self._to_device(new)], self._to_device(np.flatnonzero(new)))
        tested = BatchResult(np.zeros(len(items), np.bool_), np.zeros(len(items), np.int64))
        return Batch(
            windows, placed, new, rows, new_items, parallel, noting, kept, tested, before, random
        )

    def _score(
        self, batch: Batch, k: int, *, test: bool, learn: bool, after: bool
    ) -> Gradients | None:
        """Rank a batch's scored clicks and find what they teach; no parameter moves."""
        windows, new_items, tested = batch.windows, batch.new_items, batch.tested
        tested.recommended = [[] for _ in tested.ranks] if k else []
        if batch.new.any():
            self.items.draw(new_items.rows, self.vocabulary.used)
        batch.histories, states = self.sessions.histories(windows, self.items.keys_of(batch.rows))
        if batch.new.any():
            self._take_after(new_items, windows, batch.histories)
        # Where something is left out in training, training has a pass of its own.
        with torch.set_grad_enabled(learn and not self.network.random):
            starts, batch.ends = self._slide(windows, batch.histories, states)
            steps, inputs, outputs = self._forward(windows, batch.histories, starts)
        noted = batch.lookup()
        if not len(windows.scored):
            return None
        scored = self._to_device(windows.scored)
        targets = pick(batch.rows, scored) if not after else torch.zeros_like(scored)
        # After its click an item that it brought into the catalogue is known.
        if test or noted:
            race = self._race(outputs.detach(), targets, scored + after, new_items, batch.parallel)
            if not batch.parallel and len(targets) * self.vocabulary.used >= WORTH_A_PRODUCT:
                race.begin(self._worker)
        if self.memory and noted:
            told = partial(mix, self.memory, noted.evidence, race, k=k, learn=learn)
            mixing = self._worker.submit(
                [partial(told, part) for part in race.parts], batch.parallel
            )
        elif test:
            ranking = [partial(race.rank, part, k) for part in race.parts]
            rankings = self._worker.submit(ranking, batch.parallel)
        known = np.flatnonzero(batch.placed[windows.scored])
        gradients = None
        if learn and len(known):
            began = perf_counter()
            if self.network.random:
                inputs.requires_grad_()
                outputs = self.precision.run("forward", inputs, windows.sizes, starts, self._draws)
            if len(known) < len(targets):
                outputs, targets = outputs[self._to_device(known)], targets[self._to_device(known)]
            gradients = self.trainer.gradients(steps, inputs, outputs, targets, self.vocabulary)
            tested.learning = perf_counter() - began
        if self.memory and noted:
            mixed = list(mixing)
            batch.gradient = np.sum([gradient for _, gradient in mixed], axis=0)
            rankings = iter([ranking for ranking, _ in mixed])
        if test or noted:
            self._report(race.finish(list(rankings)), windows.scored, tested)
        return gradients

    def _learn(
        self, batch: Batch, gradients: Gradients | None, items: Sequence[Id], time: float
    ) -> None:
        """Learn a batch, and keep its sessions as they stand after it."""
        began = perf_counter()
        if gradients:
            self.trainer.update(gradients)
        slots = self.sessions.advance(batch.windows, batch.histories, batch.ends)
        noted = batch.lookup()
        if self.memory and noted:
            self.memory.commit(noted, slots)
            known = int((batch.tested.ranks > 0).sum())
            if known:
                self.memory.step(batch.gradient / known)
        clicked = batch.rows[self._to_device(np.flatnonzero(batch.placed))]
        self.popularity.learn(clicked, self.vocabulary.used)
        self.vocabulary.touch(items, time)
        self._end(
            self.vocabulary.evict(
                time - self.config.max_idle if self.config.max_idle else -math.inf
            )
        )
        self.copies.prepare(
            self.items.size(self.vocabulary.used)
            + self.sessions.size
            + (self.memory.size if self.memory else 0)
        )
        batch.tested.learning += perf_counter() - began

    def _rollback(self, batch: Batch) -> None:
        """Let a batch never have been."""
        used, n_generations = batch.before
        noted = batch.lookup()
        if self.memory and noted:
            self.memory.rollback(noted)
        self.vocabulary.withdraw(batch.placed[batch.new].tolist(), used)
        self.items.clear(batch.new_items.rows[batch.new_items.rows < len(self.items.generation)])
        self.items.n_generations = n_generations
        for generator, state in zip((self._initial, self._draws), batch.random, strict=True):
            generator.set_state(state)

    @torch.no_grad()
    def _take_after(self, new_items: NewItems, windows: Windows, histories: Tensor) -> None:
        """Let each new item start near the one clicked before it."""
        clicks = new_items.clicks
        group, turn = self._to_device(windows.group)[clicks], self._to_device(windows.turn)[clicks]
        # Row 0, where a session begins with the new item, is zero.
        neighbour = self.items.rows_of(histories[group, turn + windows.size - 1])
        for table in dict.fromkeys([self.items.embedding, self.items.inputs]):
            table.values[new_items.rows] += self.config.neighbour_init * table.values[neighbour]

    def _end(self, evicted: list[int]) -> None:
        """Let items leave the catalogue: nothing of them is left for those that get their rows."""
        if evicted:
            rows = self._to_device(np.array(evicted))
            self.items.clear(rows)
            self.popularity.forget(rows)

    def _forward(
        self, windows: Windows, histories: Tensor, starts: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network over the windows of a batch.

        Returns
        -------
        steps
            int64 (sum of sizes,): the rows of the windows' clicks, packed.
        inputs
            (sum of sizes, inputs): their embeddings, a leaf of the graph.
        outputs
            (m, size): the output before each scored click.

        """
        steps = self.items.rows_of(pick(histories.view(-1), self._to_device(windows.steps)))
        inputs = pick(self.items.inputs.values, steps)
        inputs.requires_grad_(torch.is_grad_enabled())
        return steps, inputs, self.precision.run("forward", inputs, windows.sizes, starts)

    def _race(
        self, outputs: Tensor, targets: Tensor, clicks: Tensor, new_items: NewItems, shared: bool
    ) -> CatalogueRanker:
        """Line up the targets of a batch to be ranked."""
        used = self.vocabulary.used
        embedding, bias = self.items.embedding.values[:used], self.items.bias.values[:used]
        width = SPECIAL if self.memory else 0
        return CatalogueRanker(outputs, embedding, bias, targets, clicks, new_items, width, shared)

    @torch.no_grad()
    def _slide(self, windows: Windows, histories: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Move the windows' starts over the clicks that fall out of them.

        Returns
        -------
        starts
            (m, width): the state before each scored window.
        ends
            (u, width): the state before the last K clicks of each track.

        """
        if windows.move_counts:
            clicked = self.items.rows_of(
                pick(histories.view(-1), self._to_device(windows.moved_clicks))
            )
            inputs = pick(self.items.inputs.values, clicked)
            moved = pick(states, self._to_device(windows.moved_sessions))
            after = self.precision.run("states", inputs, windows.move_counts, moved)
            states = torch.cat([states, after])
        return pick(states, self._to_device(windows.starts)), pick(
            states, self._to_device(windows.next_start)
        )

    def _report(self, ranking: Ranking, scored: NDArray[np.int64], tested: BatchResult) -> None:
        ranks = ranking.ranks.cpu().numpy()
        if (ranks < 0).any():
            raise FloatingPointError(
                "a score is not a number: the learning has diverged; lower the rate"
            )
        tested.scored[scored] = True
        tested.ranks[scored] = ranks
        if ranking.best.shape[1]:
            for place, best, scores in zip(
                scored.tolist(), ranking.best.tolist(), ranking.scores.tolist(), strict=True
            ):
                tested.recommended[place] = self._named(best, scores)

    def _named(self, rows: list[int], scores: list[float]) -> list[tuple[Id, float]]:
        return [
            (self.vocabulary.id_of(row), score)
            for row, score in zip(rows, scores, strict=True)
            if score > -np.inf and not (self.memory and score < 0)
        ]

    def _to_device(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _recommend_each(self, queries: list[Query]) -> list[Answer]:
        return self._answering.answer(queries)

    def _knows(self, item: Id) -> bool:
        return item in self.vocabulary

    def _forget(self, sessions: list[Id]) -> None:
        self.sessions.forget(sessions)

    def state(self) -> State:
        """Copy all that the next click depends on."""
        state = save_state(self, self.network, self.trainer.memories)
        if self.memory:
            used = self.vocabulary.used
            recall = self.memory.state(self.sessions.held, used, self.copies)
            state.arrays |= prefixed("recall.", recall)
        return state

    def _upgraded(self, state: State) -> State:
        if not self.memory:
            return state
        return State(state.arrays | self.memory.upgraded(state.arrays, "recall."), state.values)

    def _restore(self, state: State) -> None:
        load_state(self, self.network, self.trainer.memories, state)
        if self.memory:
            recall = within("recall.", state.arrays)
            fits(len(recall["items"]) <= self.vocabulary.used, "the memory's rows and the items")
            fits(
                len(recall["places"]) == len(self.sessions), "the memory's places and the sessions"
            )
            self.memory.restore(recall)
