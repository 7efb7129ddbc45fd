"""What the rivals share that read a session's last clicks: tables, sessions, ranks, steps."""

from __future__ import annotations

import math
import time as clock
from abc import abstractmethod
from typing import Any, ClassVar

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...argument_checks import at_least, seed_of
from ...base import CheckedModel
from ...compute.device import choose_device
from ...compute.snapshot_buffer import SnapshotBuffer
from ...gru4rec.size_check import check_room
from ...items.item_table import ItemTable
from ...items.popularity import LARGEST_BATCH, Popularity
from ...items.vocabulary import Vocabulary
from ...optim import make_rule
from ...ranking import NewItems, rank
from ...recommender import BatchResult, Id, State
from ...sessions import SessionStore
from ...state import load_state, save_state
from ...windows import Windows
from .config import Config
from .encoder import SessionEncoder
from .trainer import Trainer


class NeuralRival(CheckedModel):
    """A model that scores items by a product with a vector read from a session's last clicks.

    Batches are scored with the parameters from before them and then learned by one Adagrad step, as
    `OnlineGRU4Rec` does it; a session's input is its last K clicks as of just before the scored
    one.

    Parameters
    ----------
    max_sessions, max_items
        At most this many live sessions, and items in the catalogue after a batch; those least
        recently clicked are dropped.
    seed
        Of initial weights and negatives.
    device
        ``"auto"`` (a GPU where there is one), ``"cpu"`` or ``"cuda"``.
    dtype
        ``"float32"`` or ``"float64"``.
    options
        Settings of the rival, by name.

    Raises
    ------
    ValueError
        An option is unknown, of a wrong type or out of its range.

    """

    name: str
    FIXED = ("network.", "memory.", "random.")
    largest_batch = LARGEST_BATCH
    options: ClassVar[type[Config]]
    tied: ClassVar[bool] = True
    """Whether sessions are read by the vectors that items are scored by. If not, by a table of
    their own, whose vectors start as copies of these: a session at first foretells its items."""

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
        self.settings = settings = msgspec.convert(options, self.options)
        self.device = choose_device(device)
        self.dtype: torch.dtype = getattr(torch, dtype)
        check_room(settings.needs(self.dtype.itemsize), self.device)
        max_sessions = at_least(max_sessions, "max_sessions", 1)
        max_items = at_least(max_items, "max_items", 1)
        seed = seed_of(seed)
        self._initial = torch.Generator().manual_seed(seed)
        self._draws = torch.Generator().manual_seed(seed + 1)
        self.reader = self.make_reader()
        self.reader.initialise(self._initial)
        self.reader.to(self.device, self.dtype)
        length = self.length
        self.items = ItemTable(
            length,
            None if self.tied else length,
            settings.item_spread,
            make_rule("adagrad", settings.item_learning_rate),
            self.device,
            self.dtype,
            self._initial,
        )
        self.vocabulary = Vocabulary(1, max_items)
        self.copies = SnapshotBuffer()
        self.popularity = Popularity(settings.alpha, self.items, self._draws)
        self.sessions = SessionStore(settings.window, 0, max_sessions, self.device, self.dtype)
        self.lesson = Trainer(settings, self.reader, self.items, self.popularity)

    @abstractmethod
    def make_reader(self) -> SessionEncoder:
        """Make what reads a session, by the settings."""

    @property
    def length(self) -> int:
        """How many numbers an item's row has."""
        return self.settings.size

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
        windows = self.sessions.align_windows(sessions, after)
        used, n_generations, random = (
            self.vocabulary.used,
            self.items.n_generations,
            self._initial.get_state(),
        )
        placed, new = self.vocabulary.admit(items)
        rows = self._to_device(placed)
        new_items = NewItems(rows[self._to_device(new)], self._to_device(np.flatnonzero(new)))
        histories, nothing = self._begin(windows, rows, new_items)
        tested = BatchResult(np.zeros(len(items), np.bool_), np.zeros(len(items), np.int64))
        tested.recommended = [[] for _ in items] if k else []
        learning = 0.0
        if len(windows.scored):
            scored = self._to_device(windows.scored)
            targets = rows[scored]
            seen, there = self._windows_of(windows, histories)
            clicks = torch.cat([seen, targets[:, None]], dim=1)
            with torch.set_grad_enabled(learn):
                inputs = self.items.inputs.values[clicks].requires_grad_(learn)
                outputs = self.reader(inputs[:, :-1], there)
            if test:
                self._rank(outputs.detach(), targets, scored, new_items, k, after, tested)
            began = clock.perf_counter()
            if learn:
                outputs, learned = self.lessons(clicks, there, inputs, outputs)
                self.lesson.take(clicks, inputs, outputs, learned, self.n_items)
            learning = clock.perf_counter() - began
        began = clock.perf_counter()
        if learn:
            self.sessions.advance(windows, histories, nothing)
            self.popularity.learn(rows, self.vocabulary.used)
            self.vocabulary.touch(items)
            self._end(self.vocabulary.evict())
        else:
            self.vocabulary.withdraw(placed[new].tolist(), used)
            self.items.clear(new_items.rows)
            self.items.n_generations = n_generations
            self._initial.set_state(random)
        tested.learning = learning + clock.perf_counter() - began
        return tested

    @torch.no_grad()
    def _begin(self, windows: Windows, rows: Tensor, new_items: NewItems) -> tuple[Tensor, Tensor]:
        """Begin the new items, each near the one clicked before it; give the batch's tracks."""
        items = self.items
        items.draw(new_items.rows, self.vocabulary.used)
        histories, nothing = self.sessions.histories(windows, items.keys_of(rows))
        group, turn = (self._to_device(a)[new_items.clicks] for a in (windows.group, windows.turn))
        # Row 0, where a session begins with the new item, is zero.
        neighbour = items.rows_of(histories[group, turn + windows.size - 1])
        drawn = items.embedding.values[new_items.rows]
        for table in dict.fromkeys([items.embedding, items.inputs]):
            table.values[new_items.rows] = (
                drawn + self.settings.neighbour_init * table.values[neighbour]
            )
        return histories, nothing

    def _windows_of(self, windows: Windows, histories: Tensor) -> tuple[Tensor, Tensor]:
        """Give the rows of the clicks before each scored one, and which of these there are.

        Both have shape (m, k), with k the longest window of the batch; a click whose item has left
        the catalogue is there, as row 0.
        """
        longest = len(windows.sizes)
        group, ends = windows.group[windows.scored], windows.ends[windows.scored]
        back = np.arange(-longest, 0)
        columns = ends[:, None] + windows.size + back
        lengths = windows.kept[group] + ends
        seen = histories[self._to_device(group[:, None]), self._to_device(columns)]
        return self.items.rows_of(seen), self._to_device(-back <= lengths[:, None])

    def lessons(
        self, clicks: Tensor, there: Tensor, inputs: Tensor, outputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give the vectors that the batch is to be learned by, and the rows of their items.

        Parameters
        ----------
        clicks
            int64 (m, k + 1): the rows of each scored click's window and, last, of the click.
        there
            bool (m, k): which of the windows' clicks there are.
        inputs
            (m, k + 1, length): what the reader reads of the clicks, a leaf of the graph.
        outputs
            (m, length): what the reader made of the windows.

        """
        return outputs, clicks[:, -1]

    @torch.no_grad()
    def _rank(
        self,
        outputs: Tensor,
        targets: Tensor,
        scored: Tensor,
        new_items: NewItems,
        k: int,
        after: bool,
        tested: BatchResult,
    ) -> None:
        used = self.vocabulary.used
        embedding, bias = self.items.embedding.values[:used], self.items.bias.values[:used]
        # After its click an item that it brought into the catalogue is known.
        ranking = rank(outputs, embedding, bias, targets, scored + after, new_items, k)
        ranks, places = ranking.ranks.cpu().numpy(), scored.cpu().numpy()
        if (ranks < 0).any():
            raise FloatingPointError(
                f"{self.name}: a score is not a number: the learning has diverged; lower the rate"
            )
        tested.scored[places], tested.ranks[places] = True, ranks
        if k:
            for place, best, scores in zip(
                places.tolist(), ranking.best.tolist(), ranking.scores.tolist(), strict=True
            ):
                tested.recommended[place] = [
                    (self.vocabulary.id_of(row), score)
                    for row, score in zip(best, scores, strict=True)
                    if score > -math.inf
                ]

    def _end(self, evicted: list[int]) -> None:
        """Let items leave the catalogue: nothing of them is left for those that get their rows."""
        if evicted:
            rows = self._to_device(np.array(evicted))
            self.items.clear(rows)
            self.popularity.forget(rows)

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def state(self) -> State:
        """Copy all that the next click depends on."""
        return save_state(self, self.reader, self.lesson.memories)

    def _knows(self, item: Id) -> bool:
        return item in self.vocabulary

    def _forget(self, sessions: list[Id]) -> None:
        self.sessions.forget(sessions)

    def _restore(self, state: State) -> None:
        load_state(self, self.reader, self.lesson.memories, state)
