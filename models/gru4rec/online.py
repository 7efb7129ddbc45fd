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
from ..compute.background import Aside
from ..compute.device import choose_device
from ..compute.snapshot_buffer import Copies
from ..items.item_table import SHIFT, ItemTable
from ..items.popularity import LARGEST_BATCH, Popularity
from ..items.table import pick
from ..items.vocabulary import Vocabulary
from ..memory.history import SPECIAL, microseconds
from ..memory.memory import Memory, Noted
from ..memory.mixture import mix
from ..optim import make_rule
from ..ranking import Births, Race, Ranking
from ..recommender import Id, State, Tested, prefixed, within
from ..sessions import SessionStore
from ..state import copy_of, put_back
from ..windows import Windows
from .batch import Batch
from .cells import GATES
from .config import Recipe
from .mixed_precision import Precision
from .network import GRU4Rec
from .size_check import check_room, recipe_needs
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
    recipe
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
    >>> model = OnlineGRU4Rec(Recipe(hidden=16), device="cpu")
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
        recipe: Recipe | None = None,
        *,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "float32",
    ) -> None:
        self.recipe = recipe = Recipe() if recipe is None else recipe
        if not isinstance(recipe, Recipe):
            raise TypeError(f"recipe must be a Recipe, not {recipe!r:.80}")
        self.device = choose_device(device)
        check_room(recipe_needs(recipe, 8 if dtype == "float64" else 4), self.device)
        max_sessions = at_least(max_sessions, "max_sessions", 1)
        max_items = at_least(max_items, "max_items", 1)
        seed = seed_of(seed)
        self._initial = torch.Generator().manual_seed(seed)
        self._draws = torch.Generator().manual_seed(seed + 1)
        sizes = recipe.layers
        top = [*sizes, *recipe.feed_forward][-1]
        reads = {"tied": top, "separate": sizes[0], "one-hot": None}[recipe.embedding]
        self.network = GRU4Rec(
            reads,
            sizes,
            cell=recipe.cell,
            reset=recipe.reset,
            feed_forward=recipe.feed_forward,
            activation=recipe.activation,
            input_dropout=recipe.input_dropout,
            dropout=recipe.dropout,
        )
        self.network.initialise(recipe.spread, recipe.identity, recipe.open_gate, self._initial)
        self.precision = Precision(self.network, dtype)
        self.dtype = self.precision.kept
        self.network.to(self.device, self.dtype)
        own = {
            "tied": None,
            "separate": sizes[0],
            "one-hot": GATES[recipe.cell] * sizes[0],
        }
        self.items = ItemTable(
            top,
            own[recipe.embedding],
            recipe.item_spread,
            make_rule(recipe.optimizer, recipe.item_rate, recipe.momentum),
            self.device,
            self.dtype,
            self._initial,
        )
        self._aside = Aside(self.device)
        self.copies = Copies()
        self.vocabulary = Vocabulary(recipe.sightings, max_items)
        self.popularity = Popularity(recipe.alpha, self.items, self._draws, recipe.half_life)
        self.trainer = Trainer(recipe, self.network, self.items, self.popularity)
        self.sessions = SessionStore(
            recipe.window, self.network.width, max_sessions, self.device, self.dtype
        )
        self.memory: Memory | None = None
        if recipe.memory:
            self.memory = Memory(recipe.memory, recipe.memory_rate, recipe.memory_boost, seed)

    @property
    def catalogue(self) -> int:
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
    ) -> Tested:
        """Test the batch, learn it, or both; `after`: give what is best after each click."""
        batch = self._take_in(sessions, items, times, after)
        try:
            gradients = self._find(batch, k, test=test, learn=learn, after=after)
        except BaseException:
            self._aside.wait()
            self._take_back(batch)
            raise
        if learn:
            self._keep(batch, gradients, items, time)
        else:
            self._take_back(batch)
        return batch.tested

    def _take_in(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        times: NDArray[np.float64] | None,
        after: bool,
    ) -> Batch:
        """Line a batch up, let its new items in, and begin to look up its evidence."""
        windows = self.sessions.line_up(sessions, after)
        before = self.vocabulary.used, self.items.born
        random = self._initial.get_state(), self._draws.get_state()
        placed, new = self.vocabulary.admit(items)
        worth = len(windows.scored) * self.vocabulary.used >= WORTH_A_THREAD
        noting: Iterator[None] = iter(())
        kept: list[Noted] = []
        if self.memory:
            lives = self.vocabulary.lives
            stamped = placed + (lives[placed] << SHIFT)
            of = windows.group, windows.slots, stamped, windows.scored
            note = partial(self.memory.note, *of, lives, microseconds(times, len(items)))
            noting = self._aside.ahead([lambda: kept.append(note(after=after))], worth)
        rows = self._ship(placed)
        births = Births(rows[self._ship(new)], self._ship(np.flatnonzero(new)))
        tested = Tested(np.zeros(len(items), np.bool_), np.zeros(len(items), np.int64))
        return Batch(
            windows, placed, new, rows, births, worth, noting, kept, tested, before, random
        )

    def _find(
        self, batch: Batch, k: int, *, test: bool, learn: bool, after: bool
    ) -> Gradients | None:
        """Rank a batch's scored clicks and find what they teach; no parameter moves."""
        windows, births, tested = batch.windows, batch.births, batch.tested
        tested.recommended = [[] for _ in tested.ranks] if k else []
        if batch.new.any():
            self.items.draw(births.rows, self.vocabulary.used)
        batch.tracks, states = self.sessions.tracks(windows, self.items.stamp(batch.rows))
        if batch.new.any():
            self._take_after(births, windows, batch.tracks)
        # Where something is left out in training, training has a pass of its own.
        with torch.set_grad_enabled(learn and not self.network.random):
            starts, batch.ends = self._slide(windows, batch.tracks, states)
            steps, inputs, outputs = self._forward(windows, batch.tracks, starts)
        noted = batch.noted()
        if not len(windows.scored):
            return None
        scored = self._ship(windows.scored)
        targets = pick(batch.rows, scored) if not after else torch.zeros_like(scored)
        # After its click an item that it brought into the catalogue is known.
        if test or noted:
            race = self._race(outputs.detach(), targets, scored + after, births, batch.worth)
            if not batch.worth and len(targets) * self.vocabulary.used >= WORTH_A_PRODUCT:
                race.begin(self._aside)
        if self.memory and noted:
            told = partial(mix, self.memory, noted.evidence, race, k=k, learn=learn)
            mixing = self._aside.ahead([partial(told, part) for part in race.parts], batch.worth)
        elif test:
            ranking = [partial(race.rank, part, k) for part in race.parts]
            rankings = self._aside.ahead(ranking, batch.worth)
        known = np.flatnonzero(batch.placed[windows.scored])
        gradients = None
        if learn and len(known):
            began = perf_counter()
            if self.network.random:
                inputs.requires_grad_()
                outputs = self.precision.run("forward", inputs, windows.sizes, starts, self._draws)
            if len(known) < len(targets):
                outputs, targets = outputs[self._ship(known)], targets[self._ship(known)]
            gradients = self.trainer.gradients(steps, inputs, outputs, targets, self.vocabulary)
            tested.learning = perf_counter() - began
        if self.memory and noted:
            mixed = list(mixing)
            batch.gradient = np.sum([gradient for _, gradient in mixed], axis=0)
            rankings = iter([ranking for ranking, _ in mixed])
        if test or noted:
            self._report(race.finish(list(rankings)), windows.scored, tested)
        return gradients

    def _keep(
        self, batch: Batch, gradients: Gradients | None, items: Sequence[Id], time: float
    ) -> None:
        """Learn a batch, and keep its sessions as they stand after it."""
        began = perf_counter()
        if gradients:
            self.trainer.update(gradients)
        slots = self.sessions.advance(batch.windows, batch.tracks, batch.ends)
        noted = batch.noted()
        if self.memory and noted:
            self.memory.settle(noted, slots)
            known = int((batch.tested.ranks > 0).sum())
            if known:
                self.memory.step(batch.gradient / known)
        clicked = batch.rows[self._ship(np.flatnonzero(batch.placed))]
        self.popularity.learn(clicked, self.vocabulary.used)
        self.vocabulary.touch(items, time)
        self._end(self.vocabulary.evict(time - self.recipe.idle if self.recipe.idle else -math.inf))
        self.copies.expect(
            self.items.size(self.vocabulary.used)
            + self.sessions.size
            + (self.memory.size if self.memory else 0)
        )
        batch.tested.learning += perf_counter() - began

    def _take_back(self, batch: Batch) -> None:
        """Let a batch never have been."""
        used, born = batch.before
        noted = batch.noted()
        if self.memory and noted:
            self.memory.undo(noted)
        self.vocabulary.withdraw(batch.placed[batch.new].tolist(), used)
        self.items.clear(batch.births.rows[batch.births.rows < len(self.items.births)])
        self.items.born = born
        for generator, state in zip((self._initial, self._draws), batch.random, strict=True):
            generator.set_state(state)

    @torch.no_grad()
    def _take_after(self, births: Births, windows: Windows, tracks: Tensor) -> None:
        """Let each new item start near the one clicked before it."""
        clicks = births.clicks
        group, turn = self._ship(windows.group)[clicks], self._ship(windows.turn)[clicks]
        # Row 0, where a session begins with the new item, is zero.
        kin = self.items.unstamp(tracks[group, turn + windows.size - 1])
        for table in dict.fromkeys([self.items.embedding, self.items.inputs]):
            table.values[births.rows] += self.recipe.kinship * table.values[kin]

    def _end(self, evicted: list[int]) -> None:
        """Let items leave the catalogue: nothing of them is left for those that get their rows."""
        if evicted:
            rows = self._ship(np.array(evicted))
            self.items.clear(rows)
            self.popularity.forget(rows)

    def _forward(
        self, windows: Windows, tracks: Tensor, starts: Tensor
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
        steps = self.items.unstamp(pick(tracks.view(-1), self._ship(windows.steps)))
        inputs = pick(self.items.inputs.values, steps)
        inputs.requires_grad_(torch.is_grad_enabled())
        return steps, inputs, self.precision.run("forward", inputs, windows.sizes, starts)

    def _race(
        self, outputs: Tensor, targets: Tensor, clicks: Tensor, births: Births, shared: bool
    ) -> Race:
        """Line up the targets of a batch to be ranked."""
        used = self.vocabulary.used
        embedding, bias = self.items.embedding.values[:used], self.items.bias.values[:used]
        width = SPECIAL if self.memory else 0
        return Race(outputs, embedding, bias, targets, clicks, births, width, shared)

    @torch.no_grad()
    def _slide(self, windows: Windows, tracks: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Move the windows' starts over the clicks that fall out of them.

        Returns
        -------
        starts
            (m, width): the state before each scored window.
        ends
            (u, width): the state before the last K clicks of each track.

        """
        if windows.slides:
            clicked = self.items.unstamp(pick(tracks.view(-1), self._ship(windows.passed)))
            inputs = pick(self.items.inputs.values, clicked)
            moved = pick(states, self._ship(windows.slid))
            after = self.precision.run("states", inputs, windows.slides, moved)
            states = torch.cat([states, after])
        return pick(states, self._ship(windows.starts)), pick(states, self._ship(windows.leaves))

    def _report(self, ranking: Ranking, scored: NDArray[np.int64], tested: Tested) -> None:
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

    def _ship(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _knows(self, item: Id) -> bool:
        return item in self.vocabulary

    def _forget(self, sessions: list[Id]) -> None:
        self.sessions.forget(sessions)

    def state(self) -> State:
        """Copy all that the next click depends on."""
        state = copy_of(self, self.network, self.trainer.memories)
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
        put_back(self, self.network, self.trainer.memories, state)
        if self.memory:
            recall = within("recall.", state.arrays)
            fits(len(recall["items"]) <= self.vocabulary.used, "the memory's rows and the items")
            fits(
                len(recall["places"]) == len(self.sessions), "the memory's places and the sessions"
            )
            self.memory.restore(recall)
