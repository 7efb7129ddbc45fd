"""The official GRU4Rec's protocol for this code, so that both can be compared number by number.

Session-parallel mini-batches, one step of back-propagation, several epochs, and the official
initial weights. Where the official code does something of its own that changes a number, it is
done here too, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.gradients import gradient_of
from nextclick.models.gru4rec.trainer import options_of
from nextclick.models.items.popularity import Popularity
from nextclick.models.losses import LOSSES

RECIPE = GRU4RecConfig(reset="after", window=1, bias=True, neighbour_init=0.0, memory=0)
"""What the official model is, whatever its settings."""


class LogPopularity(Popularity):
    """Popularity by the counts of the whole log, known from the start."""

    def learn(self, rows: Tensor, used: int) -> None:
        """Count the log once; what is clicked again in the epochs adds nothing."""
        if not self.clicks:
            super().learn(rows, used)

    def expected(self, rows: Tensor, samples: int, batch: int) -> Tensor:
        """Return what the official logQ divides by: counts, those of samples to the power alpha."""
        counts = self.counts(rows)
        return torch.cat([counts[:batch], counts[batch:] ** self.alpha])


class OfficialProtocol:
    """Trains a learner of this code as the official code trains.

    Parameters
    ----------
    sessions
        The log: the items of each session, sessions by their first click.
    options
        Options of the recipe other than `RECIPE`'s: one layer, tied tables.
    lanes
        Sessions a mini-batch.
    seed
        Of initial weights and negatives; the official code's own is 42.
    dtype
        The official code knows ``float32`` only.

    """

    def __init__(
        self,
        sessions: Sequence[Sequence[int]],
        options: dict[str, Any],
        *,
        lanes: int,
        seed: int = 42,
        dtype: str = "float32",
    ) -> None:
        self.sessions = sessions
        self.lanes = lanes
        recipe = msgspec.structs.replace(RECIPE, **options)
        self.learner = OnlineGRU4Rec(recipe, seed=seed, device="cpu", dtype=dtype)
        self.losses: list[float] = []
        self._epochs = 0
        self._begin(seed)
        self._heed_what_is_official()

    def _begin(self, seed: int) -> None:
        """Set the learner to the official initial weights, in the order of its generator."""
        learner, (hidden,) = self.learner, self.learner.config.layers
        # numpy.random.seed(seed), without touching the global generator.
        bits = np.random.MT19937()
        bits._legacy_seeding(seed)
        random = np.random.Generator(bits)
        cell = learner.network.cells[0]
        for weight in (cell.weight_x, cell.weight_h):
            reset, update, candidate = (uniform(random, hidden, hidden) for _ in range(3))
            # There z keeps the old state; here it lets the new one in.
            assert weight is not None
            weight.data.copy_(torch.cat([-update, reset, candidate]))
        cell.bias.data.zero_()
        clicks = [item for session in self.sessions for item in session]
        items = list(dict.fromkeys(clicks))
        rows, _ = learner.vocabulary.admit(items)
        used = learner.vocabulary.used
        learner.items.draw(torch.from_numpy(rows), used)
        table = learner.items.embedding.values
        table[1 : len(items) + 1] = uniform(random, len(items), hidden).to(table)
        popularity = LogPopularity(learner.config.alpha, learner.items, learner._draws)
        popularity.learn(torch.from_numpy(learner.vocabulary.rows_of(clicks)), used)
        learner.popularity = learner.trainer.popularity = popularity

    def _heed_what_is_official(self) -> None:
        trainer = self.learner.trainer
        recipe = self.learner.config
        plain_loss = partial(LOSSES[recipe.loss], **options_of(recipe))
        plain_step = trainer.rule.step
        (hidden,) = self.learner.config.layers
        gates = slice(2 * hidden)
        gate_bias = self.learner.network.cells[0].bias

        def loss(scores: Tensor, candidates: Tensor, expected: Tensor, floor: float) -> Tensor:
            # There a repeat of the target in another column counts as a negative, and log q has
            # no floor.
            columns = torch.arange(len(candidates))
            # There the sum over the rows is divided by the nominal batch, however many are left.
            found = plain_loss(scores, columns, expected, 0.0) * (len(scores) / self.lanes)
            self.losses.append(float(found.detach()))
            return found

        def step(value: Tensor, state: Sequence[Tensor], gradient: Tensor) -> None:
            before = value.clone()
            plain_step(value, state, gradient)
            if value is gate_bias:
                # There each gate has two biases, of input and state, and both take the same step.
                value[gates] += value[gates] - before[gates]

        trainer.loss_gradient = gradient_of(loss)
        trainer.rule.step = step  # type: ignore[method-assign]

    def epoch(self) -> list[float]:
        """Train for one epoch; return the loss of every mini-batch."""
        self.losses = []
        self._epochs += 1
        places: dict[int, int] = {}
        fewest = 1 if self.learner.config.n_negatives else 2
        for lanes in mini_batches([len(session) for session in self.sessions], self.lanes, fewest):
            begun = [session for session in lanes if session not in places]
            self._learn(begun, [self.sessions[session][0] for session in begun])
            places.update(dict.fromkeys(begun, 0))
            for session in lanes:
                places[session] += 1
            self._learn(lanes, [self.sessions[session][places[session]] for session in lanes])
        return self.losses

    def _learn(self, lanes: Sequence[int], items: Sequence[int]) -> None:
        # A session begins anew in each epoch.
        self.learner.learn_many([f"{self._epochs}.{session}" for session in lanes], items)

    def test(self, sessions: Sequence[Sequence[int]], batch: int = 50) -> np.ndarray[Any, Any]:
        """Return the ranks of all clicks but the first of sessions of known items."""
        ranks = []
        for start in range(0, len(sessions), batch):
            part = sessions[start : start + batch]
            names = [f"test.{name}" for name, session in enumerate(part) for _ in session]
            tested = self.learner.test(names, [item for session in part for item in session])
            ranks.append(tested.ranks[tested.scored])
        return np.concatenate(ranks)


def uniform(random: np.random.Generator, rows: int, columns: int) -> Tensor:
    """Draw a matrix of Glorot and Bengio's (2010) spread, rounded as the official code rounds."""
    bound = np.float32(np.sqrt(6 / (rows + columns)))
    drawn = random.random((rows, columns)).astype(np.float32)
    return torch.from_numpy(drawn * np.float32(2) * bound - bound).double()


def mini_batches(lengths: Sequence[int], nominal: int, fewest: int) -> Iterator[list[int]]:
    """Session-parallel mini-batches (Hidasi et al., 2016, section 3.1.1): the session of each lane.

    Each lane works through one session and then takes the next unused one, but only when all lanes
    have gone as far as the shortest reaches. An epoch ends when fewer than `fewest` lanes are left.
    """
    lanes = [(session, 0) for session in range(nominal)]
    unused = nominal
    while len(lanes) >= fewest:
        steps = min(lengths[session] - place for session, place in lanes) - 1
        for _ in range(steps):
            yield [session for session, _ in lanes]
        moved = []
        for session, place in lanes:
            if lengths[session] - (place + steps) > 1:
                moved.append((session, place + steps))
            else:
                if unused < len(lengths):
                    moved.append((unused, 0))
                unused += 1
        lanes = moved
