"""The learner spread over workers, as rank 0 leads it."""

from __future__ import annotations

from time import perf_counter

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base import Request, fits
from ..batch import Batch
from ..compute.device import HOST, choose_device
from ..gradient_model import GradientModel, diverged, record
from ..gru4rec.answering import PopularItems
from ..gru4rec.config import GRU4RecConfig
from ..gru4rec.online import OnlineGRU4Rec
from ..gru4rec.parts import input_size, make_network
from ..gru4rec.size_check import check_room, needs_of
from ..items.popularity import Popularity
from ..items.vocabulary import Vocabulary
from ..memory.memory import Memory
from ..queries import Answer, Query
from ..ranking import Ranking
from ..recommender import BatchResult, State, prefixed, within
from ..sessions import SessionStore
from ..state import load_state, save_state
from .answering import ShardedAnswering
from .group import Group
from .messages import Message
from .plan import Plan
from .planner import PlannedItems, draft_plan
from .snapshots import Saved, gather_shards, load_message, load_worker, save_message
from .worker import Worker

Whole = NDArray[np.int64]


class Beginning(msgspec.Struct, frozen=True):
    """What the other ranks need to know before the first batch."""

    config: GRU4RecConfig
    seed: int
    dtype: str


class ShardedGRU4Rec(GradientModel):
    """`OnlineGRU4Rec` whose items, sessions and computations are spread over several processes.

    It is at rank 0 and keeps the contract of a model; the other ranks are in `serve`. Rank 0 alone
    sees ids: it makes a plan of whole numbers of each batch, which all ranks compute together. What
    comes out does not depend on the number of ranks but for rounding, and a state can be restored
    with any number of them, one included: an `OnlineGRU4Rec`'s.

    A batch cannot be undone once its plan is sent. Where a score is not a number the model cannot
    be used any more.

    Parameters
    ----------
    config
        See `OnlineGRU4Rec`.
    group
        The ranks; alone where it is not given.
    max_sessions, max_items, seed, device, dtype
        See `OnlineGRU4Rec`. Every rank computes on a device of this name.

    Raises
    ------
    LostWorker
        By every method: another rank has ended or does not answer.

    Examples
    --------
    >>> model = ShardedGRU4Rec(GRU4RecConfig(hidden=16), device="cpu")
    >>> for session in range(50):
    ...     for item in ("shoes", "socks", "hat"):
    ...         model.learn_one(session, item)
    >>> [item for item, score in model.recommend(["shoes"], k=1)]
    ['socks']

    """

    name = OnlineGRU4Rec.name
    FIXED = OnlineGRU4Rec.FIXED

    def __init__(
        self,
        config: GRU4RecConfig | None = None,
        group: Group | None = None,
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
        self.group = Group() if group is None else group
        computes_on = choose_device(device)
        check_room(needs_of(config, 8 if dtype == "float64" else 4), computes_on)
        # The plan is made on the host.
        super().__init__(max_sessions, max_items, seed, HOST)
        network = make_network(config, self._initial)
        self._worker = Worker(config, self.group, network, self.seed, computes_on, dtype)
        self.network, self.dtype = network, self._worker.dtype
        sizes = [config.output_size, *filter(None, [input_size(config)])]
        self.items = self._planned = PlannedItems(sizes, self._initial)
        self.vocabulary = Vocabulary(config.min_count, self.max_items)
        self.popularity = Popularity(config.alpha, self.items, self._draws, config.half_life)
        self.sessions = SessionStore(config.window, 0, self.max_sessions, HOST, self.dtype)
        self.precision = self._worker.precision
        recall = self._worker.recall
        self.memory: Memory | None = recall.memory if recall else None
        self._popular = PopularItems()
        self._neighbours = np.zeros(0, np.int64)
        self._evicted: list[int] = []
        self._diverged = False
        begin = bytearray(msgspec.json.encode(Beginning(config, self.seed, dtype)))
        self.group.tell(Message.BEGIN, [np.frombuffer(begin, np.uint8)])

    def _run(self, request: Request) -> BatchResult:
        """Test the batch, learn it, or both."""
        if self._diverged:
            raise diverged()
        batch = self._admit(request)
        try:
            plan = self._plan(batch)
        except BaseException:
            self._rollback(batch)
            raise
        self.group.tell(Message.STEP, plan.arrays())
        began = perf_counter()
        outcome = self._worker.step(plan)
        batch.result.learning = perf_counter() - began if request.learn else 0.0
        if plan.about.rank and len(batch.windows.scored):
            ranks = torch.from_numpy(outcome.ranks)
            ranking = Ranking(ranks, outcome.best, outcome.scores)
            self._diverged = request.learn and bool((ranks < 0).any())
            try:
                record(batch.result, ranking, batch.windows.scored, self.vocabulary)
            except FloatingPointError:
                if not request.learn:
                    self._rollback(batch)
                raise
        if request.learn:
            self._count(batch, self.config.max_idle)
        else:
            self._rollback(batch)
        return batch.result

    def _plan(self, batch: Batch) -> Plan:
        """Plan a batch; its sessions are then as they stand after it, if it is to be learned."""
        batch.ends = self._gather_histories(batch)
        neighbours, self._neighbours = self._neighbours, np.zeros(0, np.int64)
        remember = bool(self.config.memory)
        plan = draft_plan(batch, neighbours, self._planned, self.vocabulary, remember)
        if batch.request.learn:
            known = int((plan.targets > 0).sum())
            if known:
                self._plan_dropout(plan)
                self._plan_candidates(plan, known)
            plan.slots = self.sessions.advance(batch.windows, batch.histories, batch.ends)
        plan.evicted, self._evicted = np.array(self._evicted, np.int64), []
        return plan

    def _plan_candidates(self, plan: Plan, known: int) -> None:
        if self.config.loss == "full-cross-entropy":
            return
        negatives = self.popularity.sample(self.config.n_negatives)
        candidates = torch.cat([torch.from_numpy(plan.targets), negatives])
        plan.negatives = negatives.numpy()
        plan.expected = self.popularity.expected(candidates, len(negatives), known).numpy()
        # A rare item counts as expected no less often than the average one: see the loss.
        plan.facts[-1] = (known + len(negatives)) / len(self.vocabulary)

    def _plan_dropout(self, plan: Plan) -> None:
        """Draw what the ranks will draw for the dropout, so that all goes on from there."""
        if not self.network.random:
            return
        plan.dropping = self._draws.get_state().numpy().copy()
        steps, config = len(plan.steps), self.config
        read = input_size(config) or config.output_size
        widths = [read] if config.input_dropout else []
        for width in widths + (config.layers if config.dropout else []):
            torch.rand((steps, width), generator=self._draws)

    def _initialise_from(self, rows: Tensor, neighbours: Tensor) -> None:
        """Note the items clicked just before new ones, for the ranks."""
        self._neighbours = neighbours.numpy()

    @property
    def _neighbour_init(self) -> float:
        return self.config.neighbour_init

    def _evict(self, rows: list[int]) -> None:
        super()._evict(rows)
        self._evicted += rows

    def _send_evicted(self) -> None:
        """Have the ranks clear what the next plan would tell them to."""
        if self._evicted:
            rows, self._evicted = np.array(self._evicted, np.int64), []
            self.group.tell(Message.EVICT, [rows])
            self._worker.evict(rows)

    def _recommend_each(self, queries: list[Query]) -> list[Answer]:
        if self._diverged:
            raise diverged()
        self._send_evicted()
        return ShardedAnswering(self, self._popular, self._worker).answer(queries)

    def state(self) -> State:
        """Copy all that the next click depends on, from all ranks."""
        if self._diverged:
            raise diverged()
        self._send_evicted()
        state = save_state(self, self.network, self._worker.updater.optimizer_state)
        saved = Saved.of(self.vocabulary.used, self.sessions)
        self.group.tell(Message.SAVE, save_message(saved))
        state.arrays |= gather_shards(self._worker, saved)
        if self.memory:
            recall = self.memory.state(self.sessions.held, self.vocabulary.used, self.copies)
            state.arrays |= prefixed("recall.", recall)
        return state

    def _upgraded(self, state: State) -> State:
        state = super()._upgraded(state)
        if not self.memory:
            return state
        return State(state.arrays | self.memory.upgraded(state.arrays, "recall."), state.values)

    def _restore(self, state: State) -> None:
        # The sessions' states are at the ranks.
        states = state.arrays["sessions.states"]
        fits(len(states) == len(state.values["sessions"]), "the sessions and their states")
        planned = State(state.arrays | {"sessions.states": states[:, :0]}, state.values)
        load_state(self, self.network, self._worker.updater.optimizer_state, planned)
        self._evicted, self._diverged = [], False
        if self.memory:
            recall = within("recall.", state.arrays)
            rows, places = len(recall["items"]), len(recall["places"])
            fits(rows <= self.vocabulary.used, "the memory's rows and the items")
            fits(places == len(self.sessions), "the memory's places and the sessions")
            self.memory.restore(recall)
        saved = Saved.of(self.vocabulary.used, self.sessions)
        message = load_message(self._worker, saved, self.vocabulary.admissions, state.arrays)
        self.group.tell(Message.LOAD, message)
        load_worker(self._worker, message, state.arrays)
        self._fit_bound()
