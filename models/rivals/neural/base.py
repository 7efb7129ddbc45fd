"""What the rivals share that encode a session's last clicks by a network."""

from __future__ import annotations

import time as clock
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
import torch
from torch import Tensor

from ...base import Request
from ...batch import Batch
from ...compute.device import choose_device
from ...gradient_model import GradientModel, record
from ...gru4rec.size_check import check_room
from ...items.item_table import ItemTable
from ...items.popularity import Popularity
from ...items.scored import Scored
from ...items.table import pick
from ...items.visitors import Visitors
from ...items.vocabulary import Vocabulary
from ...optim import make_rule
from ...queries import Query
from ...ranking import rank
from ...recommender import BatchResult, State
from ...sessions import SessionStore
from ...state import load_state, save_state
from ...windows import Windows
from .config import Config
from .encoder import SessionEncoder
from .trainer import Trainer


class NeuralRival(GradientModel):
    """A model that scores items by a product with a vector that encodes a session's last clicks.

    Like `OnlineGRU4Rec` it scores a batch with the parameters from before it, and then learns it by
    one Adagrad step. A session's input is its last K clicks just before the scored one.

    Parameters
    ----------
    max_sessions, max_items
        At most this many live sessions, and items in the catalogue after a batch; those least
        recently clicked are dropped.
    seed
        Random seed of initial weights and negatives.
    device
        ``"auto"`` (a GPU where there is one), ``"cpu"`` or ``"cuda"``.
    dtype
        ``"float32"`` or ``"float64"``.
    **options
        The rival's options, by name.

    Raises
    ------
    ValueError
        An option is unknown, of a wrong type or out of its range.

    """

    FIXED = ("network.", "memory.", "random.")
    options: ClassVar[type[Config]]
    tied: ClassVar[bool] = True
    """Whether the encoder reads the vectors that items are scored by. If not, it reads a table of
    its own, whose vectors start as copies of these: a session at first predicts its items."""

    def __init__(
        self,
        *,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "float32",
        **options: Any,
    ) -> None:
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be float32 or float64, not {dtype!r}")
        self.config = config = msgspec.convert(options, self.options)
        self.dtype: torch.dtype = getattr(torch, dtype)
        host_or_gpu = choose_device(device)
        check_room(config.needs(self.dtype.itemsize), host_or_gpu)
        super().__init__(max_sessions, max_items, seed, host_or_gpu)
        self.encoder = self.make_encoder()
        self.encoder.initialise(self._initial)
        self.encoder.to(self.device, self.dtype)
        self.items = ItemTable(
            self.length,
            None if self.tied else self.length,
            config.item_spread,
            make_rule("adagrad", config.item_learning_rate),
            self.device,
            self.dtype,
            self._initial,
        )
        self.vocabulary = Vocabulary(1, self.max_items)
        self.popularity = Popularity(config.alpha, self.items, self._draws)
        self.sessions = SessionStore(config.window, 0, self.max_sessions, self.device, self.dtype)
        self.trainer = Trainer(config, self.encoder, self.items, self.popularity)

    @abstractmethod
    def make_encoder(self) -> SessionEncoder:
        """Make the network, by the options."""

    @property
    def length(self) -> int:
        """Length of an item's vector."""
        return self.config.size

    def _run(self, request: Request) -> BatchResult:
        """Test the batch, learn it, or both."""
        batch = self._admit(request)
        try:
            self._score_and_step(batch)
        except BaseException:
            self._rollback(batch)
            raise
        began = clock.perf_counter()
        if request.learn:
            self.sessions.advance(batch.windows, batch.histories, batch.ends)
            self.popularity.learn(batch.rows, self.vocabulary.used)
            self.vocabulary.touch(request.items)
            self._evict(self.vocabulary.evict())
        else:
            self._rollback(batch)
        batch.result.learning += clock.perf_counter() - began
        return batch.result

    def _score_and_step(self, batch: Batch) -> None:
        """Rank a batch's scored clicks, and take the step that they teach."""
        request, windows = batch.request, batch.windows
        batch.ends = self._gather_histories(batch)
        if not len(windows.scored):
            return
        targets = pick(batch.rows, self._to_device(windows.scored))
        seen, there = self._windows_of(windows, batch.histories)
        clicks = torch.cat([seen, targets[:, None]], dim=1)
        with torch.set_grad_enabled(request.learn):
            inputs = self.items.inputs.values[clicks].requires_grad_(request.learn)
            outputs = self.encoder(inputs[:, :-1], there)
        if request.test:
            self._rank(batch, outputs.detach(), targets)
        began = clock.perf_counter()
        if request.learn:
            outputs, learned = self.examples(clicks, there, inputs, outputs)
            self.trainer.step(clicks, inputs, outputs, learned, self.n_items)
        batch.result.learning = clock.perf_counter() - began

    def _initialise_from(self, rows: Tensor, neighbours: Tensor) -> None:
        """Set new items' vectors to the drawn ones, moved towards those of the items before."""
        drawn = self.items.embedding.values[rows]
        for table in dict.fromkeys([self.items.embedding, self.items.inputs]):
            table.values[rows] = drawn + self._neighbour_init * table.values[neighbours]

    @property
    def _neighbour_init(self) -> float:
        return self.config.neighbour_init

    def _windows_of(self, windows: Windows, histories: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of the clicks before each scored one, and which of these exist.

        Both have shape (m, k), with k the longest window of the batch; a click whose item has left
        the catalogue exists, as row 0.
        """
        longest = len(windows.sizes)
        group, ends = windows.group[windows.scored], windows.ends[windows.scored]
        back = np.arange(-longest, 0)
        columns = ends[:, None] + windows.size + back
        lengths = windows.kept[group] + ends
        seen = histories[self._to_device(group[:, None]), self._to_device(columns)]
        return self.items.rows_of(seen), self._to_device(-back <= lengths[:, None])

    def examples(
        self, clicks: Tensor, there: Tensor, inputs: Tensor, outputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the vectors that the batch is learned by, and the rows of their items.

        Parameters
        ----------
        clicks
            int64 (m, k + 1): the rows of each scored click's window and, last, of the click.
        there
            bool (m, k): which of the windows' clicks exist.
        inputs
            (m, k + 1, length): the clicks' vectors, a leaf of the graph.
        outputs
            (m, length): the encoder's outputs for the windows.

        """
        return outputs, clicks[:, -1]

    @torch.no_grad()
    def _rank(self, batch: Batch, outputs: Tensor, targets: Tensor) -> None:
        scored = batch.windows.scored
        # After its click an item that it added to the catalogue is known.
        clicks = self._to_device(scored) + batch.request.after
        scoring = self.items.scoring(self.vocabulary.used)
        ranking = rank(outputs, *scoring, targets, clicks, batch.new_items, batch.request.k)
        record(batch.result, ranking, scored, self.vocabulary)

    @torch.no_grad()
    def _scored(self, queries: Sequence[Query]) -> Scored:
        """Score the catalogue for each query by the last clicks of its session."""
        visitors = Visitors(self.sessions, self.vocabulary, queries)
        stored = self.items.rows_of(self.sessions.kept_at(visitors.slots)[0]).cpu().numpy()
        rows, there = visitors.windows(stored)
        known = there[:, -1]
        scores = self.items.bias.values.new_empty((len(queries), self.vocabulary.used))
        if known.any():
            inputs = self.items.inputs.values[self._to_device(rows[known])]
            outputs = self.encoder(inputs, self._to_device(there[known]))
            scores[self._to_device(known)] = self.scores(outputs)
        if not known.all():
            scores[self._to_device(~known)] = self.popular_shares()
        return Scored(self.vocabulary, scores, known, visitors.own(stored))

    def state(self) -> State:
        """Copy all that the next click depends on."""
        return save_state(self, self.encoder, self.trainer.optimizer_state)

    def _restore(self, state: State) -> None:
        load_state(self, self.encoder, self.trainer.optimizer_state, state)
        self._fit_bound()
