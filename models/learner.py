"""The online learner: GRU4Rec tested and trained on every batch of a stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from .gru4rec import GRU4Rec
from .items import ItemTable
from .losses import sampled_cross_entropy
from .optim import adagrad, adagrad_rows, sum_by_row
from .ranking import Births, Ranking, rank
from .recipe import Recipe
from .recommender import Id, State, Tested
from .sampling import Popularity
from .sessions import SessionStore
from .vocabulary import NO_ITEM, Vocabulary
from .windows import Windows

T = TypeVar("T")


class Gradients(NamedTuple):
    """What one batch teaches.

    Parameters
    ----------
    network
        Of each of the network's parameters.
    rows
        int64 (u,): the item rows touched, distinct.
    embedding
        (u, hidden): of their embeddings.
    bias
        Rows and gradients of the biases; None where they are not learned.

    """

    network: tuple[Tensor, ...]
    rows: Tensor
    embedding: Tensor
    bias: tuple[Tensor, Tensor] | None


class OnlineGRU4Rec:
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
        ``"float32"`` or ``"float64"``.

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
        self.recipe = recipe = recipe or Recipe()
        self.max_items = max_items
        self.device = choose_device(device)
        self.dtype = {"float32": torch.float32, "float64": torch.float64}[dtype]
        self._initial = torch.Generator().manual_seed(seed)
        self._draws = torch.Generator().manual_seed(seed + 1)
        self.network = GRU4Rec(recipe.hidden, [recipe.hidden], recipe.reset)
        for cell in self.network.cells:
            cell.initialise(recipe.spread, recipe.identity, recipe.open_gate, self._initial)
        self.network.to(self.device, self.dtype)
        self._memory = [torch.zeros_like(weight) for weight in self.network.parameters()]
        self.items = ItemTable(
            recipe.hidden, recipe.item_spread, self.device, self.dtype, self._initial
        )
        self._thread = ThreadPoolExecutor(1, "ranking")
        self.vocabulary = Vocabulary()
        self.popularity = Popularity(recipe.alpha, self.items, self._draws)
        self.sessions = SessionStore(
            recipe.window, self.network.width, max_sessions, self.device, self.dtype
        )

    @property
    def catalogue(self) -> int:
        """How many items are known."""
        return len(self.vocabulary)

    def test_then_learn(self, sessions: Sequence[Id], items: Sequence[Id], k: int = 0) -> Tested:
        """Score every click of a batch that has a predecessor, then learn the batch.

        Parameters
        ----------
        sessions, items
            n of each, in stream order.
        k
            How many items to recommend before each scored click.

        Raises
        ------
        FloatingPointError
            A score is not a number: the learning has diverged.
        ValueError
            The batch holds more sessions than `max_sessions`.

        """
        return self._run(sessions, items, k, test=True, learn=True)

    def test(self, sessions: Sequence[Id], items: Sequence[Id], k: int = 0) -> Tested:
        """Score like `test_then_learn` and change nothing."""
        return self._run(sessions, items, k, test=True, learn=False)

    def learn(self, sessions: Sequence[Id], items: Sequence[Id]) -> None:
        """Learn a batch without scoring it."""
        self._run(sessions, items, 0, test=False, learn=True)

    def learn_one(self, session: Id, item: Id) -> None:
        """Learn one click."""
        self.learn([session], [item])

    def _run(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int, *, test: bool, learn: bool
    ) -> Tested:
        windows = self.sessions.line_up(sessions)
        used, born, random = self.vocabulary.used, self.items.born, self._initial.get_state()
        placed, new = self.vocabulary.admit(items)
        rows = self._ship(placed)
        births = Births(rows[self._ship(new)], self._ship(np.flatnonzero(new)))
        self.items.draw(births.rows, self.vocabulary.used)
        tracks, states = self.sessions.tracks(windows, self.items.stamp(rows))
        self._take_after(births, windows, tracks)

        tested = Tested(np.zeros(len(items), np.bool_), np.zeros(len(items), np.int64))
        tested.recommended = [[] for _ in items] if k else []
        with torch.set_grad_enabled(learn):
            steps, inputs, outputs, ends = self._forward(windows, tracks, states)
        if len(windows.scored):
            scored = self._ship(windows.scored)
            targets = rows[scored]
            if test:
                ranking = self._aside(self._rank, outputs.detach(), targets, scored, births, k)
            if learn:
                gradients = self._gradients(steps, inputs, outputs, targets)
            if test:
                self._report(ranking(), windows.scored, tested)
            if learn:
                self._update(gradients)
        if learn:
            self.sessions.advance(windows, tracks, ends)
            self.popularity.learn(rows, self.vocabulary.used)
            self.vocabulary.touch(items)
            self._end(self.vocabulary.evict(self.max_items))
        else:
            self.vocabulary.withdraw(placed[new].tolist(), used)
            self.items.clear(births.rows)
            self.items.born = born
            self._initial.set_state(random)
        return tested

    @torch.no_grad()
    def _take_after(self, births: Births, windows: Windows, tracks: Tensor) -> None:
        """Let each new item start near the one clicked before it."""
        clicks = births.clicks
        group, turn = self._ship(windows.group)[clicks], self._ship(windows.turn)[clicks]
        # Row 0, where a session begins with the new item, is zero.
        kin = self.items.unstamp(tracks[group, turn + windows.size - 1])
        self.items.embedding[births.rows] += self.recipe.kinship * self.items.embedding[kin]

    def _end(self, evicted: list[int]) -> None:
        """Let items leave the catalogue: nothing of them is left for those that get their rows."""
        if evicted:
            rows = self._ship(np.array(evicted))
            self.items.clear(rows)
            self.popularity.forget(rows)

    def _forward(
        self, windows: Windows, tracks: Tensor, states: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the network over the windows of a batch.

        Returns
        -------
        steps
            int64 (sum of sizes,): the rows of the windows' clicks, packed.
        inputs
            (sum of sizes, hidden): their embeddings, a leaf of the graph.
        outputs
            (m, hidden): the output before each scored click.
        ends
            (u, width): the state before the last K clicks of each track.

        """
        starts, ends = self._slide(windows, tracks, states)
        steps = self.items.unstamp(tracks.view(-1)[self._ship(windows.steps)])
        inputs = self.items.embedding[steps].requires_grad_(torch.is_grad_enabled())
        return steps, inputs, self.network(inputs, windows.sizes, starts), ends

    def _aside(self, task: Callable[..., T], *arguments: Any) -> Callable[[], T]:
        """Begin a task beside the main thread where a core is free for it; promise its result.

        A GPU queues its work by itself, and where torch already uses every core a second thread
        only gets in the way.
        """
        spare = (os.cpu_count() or 1) >= 2 * torch.get_num_threads()
        if self.device.type == "cpu" and spare:
            return self._thread.submit(task, *arguments).result
        result = task(*arguments)
        return lambda: result

    @torch.no_grad()
    def _rank(
        self, outputs: Tensor, targets: Tensor, clicks: Tensor, births: Births, k: int
    ) -> Ranking:
        used = self.vocabulary.used
        embedding, bias = self.items.embedding[:used], self.items.bias[:used]
        return rank(outputs, embedding, bias, targets, clicks, births, k)

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
        slides = windows.slides
        history = [states]
        for slide in range(int(slides.max(initial=0))):
            column = np.minimum(windows.size - windows.kept + slide, windows.width - 1)
            moved = self._ship(np.flatnonzero(slides > slide))
            clicked = self.items.unstamp(tracks[moved, self._ship(column)[moved]])
            state = history[-1].clone()
            state[moved] = self.network.step(self.items.embedding[clicked], state[moved])
            history.append(state)
        group = self._ship(windows.group[windows.scored])
        return torch.stack(history)[self._ship(windows.starts), group], history[-1]

    def _gradients(
        self, steps: Tensor, inputs: Tensor, outputs: Tensor, targets: Tensor
    ) -> Gradients:
        """Find what the scored clicks of a batch teach; changes no parameter."""
        negatives = self.popularity.sample(self.recipe.negatives)
        candidates = torch.cat([targets, negatives])
        embedding = self.items.embedding[candidates].requires_grad_()
        bias = self.items.bias[candidates].requires_grad_(self.recipe.bias)
        scores = torch.addmm(bias, outputs, embedding.T)
        expected = self.popularity.expected(candidates, len(negatives), len(targets))
        loss = sampled_cross_entropy(scores, candidates, expected)
        leaves = [inputs, embedding, *([bias] if self.recipe.bias else [])]
        network = list(self.network.parameters())
        found = torch.autograd.grad(loss, [*network, *leaves])
        dense, (for_inputs, for_embedding, *for_bias) = found[: len(network)], found[len(network) :]
        rows, gradient = sum_by_row(
            torch.cat([steps, candidates]), torch.cat([for_inputs, for_embedding])
        )
        gradient[rows == NO_ITEM] = 0
        biases = None
        if for_bias:
            bias_rows, bias_gradient = sum_by_row(candidates, for_bias[0])
            biases = bias_rows, bias_gradient
        return Gradients(dense, rows, gradient, biases)

    @torch.no_grad()
    def _update(self, gradients: Gradients) -> None:
        """Take one step: Adagrad, for the item tables on the touched rows only."""
        table, rate = self.items, self.recipe.item_rate
        for weight, memory, gradient in zip(
            self.network.parameters(), self._memory, gradients.network, strict=True
        ):
            adagrad(weight, memory, gradient, self.recipe.rate)
        adagrad_rows(
            table.embedding, table.embedding_memory, gradients.rows, gradients.embedding, rate
        )
        if gradients.bias is not None:
            rows, gradient = gradients.bias
            adagrad_rows(table.bias, table.bias_memory, rows, gradient, rate)

    def _report(self, ranking: Ranking, scored: np.ndarray[Any, Any], tested: Tested) -> None:
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
            if score > -np.inf
        ]

    def _ship(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def knows(self, item: Id) -> bool:
        """Tell whether an item is in the catalogue."""
        return bool(self.vocabulary.rows_of([item])[0] != NO_ITEM)

    @torch.no_grad()
    def recommend(self, items: Sequence[Id], k: int = 20) -> list[tuple[Id, float]]:
        """Give the k best next items for a session of these clicks.

        Parameters
        ----------
        items
            The session so far, oldest first; items never seen are passed over.
        k
            At most this many are given.

        Returns
        -------
        list of (item, score)
            Best first. Empty where no item of the session is known.

        """
        rows = [row for row in self.vocabulary.rows_of(items).tolist() if row != NO_ITEM]
        if not rows:
            return []
        state = torch.zeros((1, self.network.width), dtype=self.dtype, device=self.device)
        for row in rows:
            state = self.network.step(self.items.embedding[row][None], state)
        used = self.vocabulary.used
        scores = torch.addmm(
            self.items.bias[:used],
            self.network.output(state),
            self.items.embedding[:used].T,
        )
        best = torch.topk(scores[0], min(k, used))
        return self._named(best.indices.tolist(), best.values.tolist())

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended."""
        self.sessions.forget(sessions)

    def state(self) -> State:
        """Copy all that the next click depends on."""
        sessions, session_arrays = self.sessions.state()
        counts, popularity = self.popularity.state()
        used = self.vocabulary.used
        tensors = {
            **{f"network.{name}": w.detach() for name, w in self.network.named_parameters()},
            **{f"memory.{place}": memory for place, memory in enumerate(self._memory)},
            **{f"items.{name}": table for name, table in self.items.state(used).items()},
            **{f"sessions.{name}": array for name, array in session_arrays.items()},
            **{f"popularity.{name}": array for name, array in counts.items()},
            "random.initial": self._initial.get_state(),
            "random.draws": self._draws.get_state(),
        }
        arrays = {name: tensor.cpu().numpy().copy() for name, tensor in tensors.items()}
        values = {
            "catalogue": self.vocabulary.state(),
            "born": self.items.born,
            "sessions": sessions,
            "popularity": popularity,
        }
        return State(arrays, values)

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Take back a state that `state` gave, by a model of the same configuration."""
        tensors = {name: torch.from_numpy(array.copy()) for name, array in state.arrays.items()}

        def group(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): tensor
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }

        saved = group("network.")
        for name, weight in self.network.named_parameters():
            weight.copy_(saved[name])
        for place, memory in enumerate(self._memory):
            memory.copy_(tensors[f"memory.{place}"])
        self.items.restore(group("items."), state.values["born"])
        self.vocabulary.restore(state.values["catalogue"])
        self.sessions.restore(state.values["sessions"], group("sessions."))
        self.popularity.restore(group("popularity."), state.values["popularity"])
        self._initial.set_state(tensors["random.initial"])
        self._draws.set_state(tensors["random.draws"])


def choose_device(device: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises
    ------
    ValueError
        The name is unknown, or no GPU is there.

    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but torch finds no GPU: choose auto or cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
