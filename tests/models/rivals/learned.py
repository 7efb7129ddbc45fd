"""Small learned rivals, small streams, and what a batch does to a rival by a plain account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextclick.models.recommender import Id, Recommender
from nextclick.models.rivals import RIVALS
from nextclick.models.rivals.neural.base import NeuralRival

DAY = 86_400.0
SMALL: dict[str, dict[str, Any]] = {
    "bert4rec": {"size": 8, "window": 4, "heads": 2, "n_negatives": 16},
    "bpr-mf": {"size": 8, "window": 4, "n_negatives": 16},
    "fpmc": {"size": 6, "window": 4, "n_negatives": 16},
    "gru4rec-frozen": {"hidden": 8, "window": 4, "n_negatives": 16, "warm_up": 100},
    "gru4rec-lstm": {"hidden": 8, "window": 4, "n_negatives": 16},
    "gru4rec-retrained": {"hidden": 8, "window": 4, "n_negatives": 16, "epochs": 2, "batch": 16},
    "gru4rec-rnn": {"hidden": 8, "window": 4, "n_negatives": 16},
    "sasrec": {"size": 8, "window": 4, "heads": 2, "n_negatives": 16},
}
WINDOWED = ["bert4rec", "bpr-mf", "fpmc", "sasrec"]
ONLINE = [*WINDOWED, "gru4rec-lstm", "gru4rec-rnn"]
"""Those that learn every batch."""

Stream = tuple[list[Id], list[Id]]


def make(name: str, **options: Any) -> Recommender:
    options = {"seed": 1, "device": "cpu", "dtype": "float64", **SMALL[name], **options}
    return RIVALS[name](**options)


def stream(clicks: int, seed: int = 0, sessions: int = 8, items: int = 15) -> Stream:
    draw = np.random.default_rng(seed)
    return (
        [f"s{number}" for number in draw.integers(sessions, size=clicks)],
        [int(number) for number in draw.zipf(1.3, size=clicks) % items],
    )


def drive(model: Recommender, clicks: Stream, batch: int, start: int = 0) -> list[int]:
    """Test, then learn; the day changes every 100 clicks. Give the ranks, -1 where not scored."""
    ranks = []
    for place in range(start, len(clicks[0]), batch):
        part = slice(place, place + batch)
        tested = model.test_then_learn(clicks[0][part], clicks[1][part], 0, place // 100 * DAY)
        ranks += np.where(tested.scored, tested.ranks, -1).tolist()
    return ranks


Query = Callable[[dict[str, Tensor], Tensor], Tensor]
"""Of the reader's weights and a window's vectors (k, length), oldest first: the query (length,)."""


class Account:
    """A windowed rival that has learned a while, and its next batch, all of known items.

    Parameters
    ----------
    name, **options
        The rival.
    clicks
        How many clicks of the next batch.

    """

    def __init__(self, name: str, clicks: int = 12, **options: Any) -> None:
        rival = make(name, **options)
        assert isinstance(rival, NeuralRival)
        self.model = rival
        past = stream(200, sessions=5)
        drive(rival, past, 16)
        sessions, items = stream(clicks, seed=1, sessions=6)
        known = rival.vocabulary.rows_of(items).tolist()
        self.sessions = [s for s, row in zip(sessions, known, strict=True) if row]
        self.items = [i for i, row in zip(items, known, strict=True) if row]
        history: dict[Id, list[Id]] = {}
        for session, item in zip(*past, strict=True):
            history.setdefault(session, []).append(item)
        rows: list[list[int]] = []
        for session, item in zip(self.sessions, self.items, strict=True):
            before = history.setdefault(session, [])
            rows.append(rival.vocabulary.rows_of(before[-rival.config.window :]).tolist())
            before.append(item)
        self.scored = rival.sessions.align_windows(self.sessions).scored.tolist()
        assert sorted(self.scored) == [place for place, before in enumerate(rows) if before]
        self.before = [rows[place] for place in self.scored]
        targets = rival.vocabulary.rows_of(self.items)
        self.targets: list[int] = targets[self.scored].tolist()
        self.weights = {
            name: weight.detach().clone().requires_grad_()
            for name, weight in rival.encoder.named_parameters()
        }
        used = rival.vocabulary.used
        self.scores = rival.items.embedding.values[:used].clone().requires_grad_()
        self.inputs = self.scores
        if not rival.items.tied:
            self.inputs = rival.items.inputs.values[:used].clone().requires_grad_()

    def queries(self, query: Query) -> Tensor:
        return torch.stack([query(self.weights, self.inputs[rows]) for rows in self.before])

    def check_scores(self, query: Query) -> None:
        """The best items and their scores are those of the plain query."""
        tested = self.model.test(self.sessions, self.items, k=4)
        scores = self.queries(query).detach() @ self.scores.detach()[1:].T
        for place, own, target in zip(self.scored, scores, self.targets, strict=True):
            best = sorted(((float(s), row) for row, s in enumerate(own, 1)), reverse=True)[:4]
            expected = [(self.model.vocabulary.id_of(row), score) for score, row in best]
            found = tested.recommended[place]
            assert [item for item, _ in found] == [item for item, _ in expected]
            np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], rtol=1e-9)
            assert tested.ranks[place] == int((own >= own[target - 1] - 1e-12).sum())

    def check_step(self, queries: Tensor, targets: list[int]) -> None:
        """One batch moves every parameter by Adagrad along the gradient of the plain loss.

        The model's next random numbers must be those of its negatives.
        """
        model = self.model
        random = model._draws.get_state()
        negatives = model.popularity.sample(model.config.n_negatives)
        candidates = torch.cat([torch.tensor(targets), negatives])
        expected = model.popularity.expected(candidates, len(negatives), len(targets))
        model._draws.set_state(random)
        expected = expected.clamp(min=len(candidates) / model.n_items)
        total = queries.new_zeros(())
        for place, target in enumerate(targets):
            scores = self.scores[candidates] @ queries[place]
            others = [j for j, row in enumerate(candidates.tolist()) if row != target]
            if model.config.loss == "bpr":
                differences = scores[place] - scores[others]
                total = total + (1 + torch.exp(-differences)).log().mean()
            else:
                corrected = scores - expected.log()
                kept = corrected[[place, *others]]
                total = total + kept.exp().sum().log() - corrected[place]
        tables = [self.scores] if model.items.tied else [self.scores, self.inputs]
        leaves = [*self.weights.values(), *tables]
        gradients = torch.autograd.grad(total / len(targets), leaves)
        parts = [model.items.embedding, model.items.inputs][: len(tables)]
        used = model.vocabulary.used
        memories = [memory.clone() for memory in model.trainer.optimizer_state]
        memories += [part.optimizer_state[0][:used].clone() for part in parts]
        rates = [model.config.learning_rate] * len(self.weights)
        rates += [model.config.item_learning_rate] * len(tables)
        self.learn()
        found = [*(weight.detach() for weight in model.encoder.parameters())]
        found += [part.values[:used] for part in parts]
        for new, old, gradient, memory, rate in zip(
            found, leaves, gradients, memories, rates, strict=True
        ):
            moved = old.detach() - rate * gradient / (memory + gradient**2 + 1e-6).sqrt()
            assert gradient.abs().max() > 0
            if old is self.scores or old is self.inputs:
                moved[0] = 0  # Row 0 stands for no item.
            torch.testing.assert_close(new, moved, rtol=1e-8, atol=1e-10)

    def learn(self) -> None:
        self.model.learn_many(self.sessions, self.items)


def normed(weights: dict[str, Tensor], name: str, vector: Tensor) -> Tensor:
    """Layer normalisation of one vector, by its definition."""
    centred = vector - vector.mean()
    centred = centred / (centred.square().mean() + 1e-5).sqrt()
    return centred * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attended(
    weights: dict[str, Tensor], name: str, heads: int, vectors: list[Tensor], place: int, last: int
) -> Tensor:
    """What the click at a place attends to among the first ones up to `last`, head by head."""
    size = len(vectors[0])
    parts = []
    for head in range(heads):
        part = slice(head * size // heads, (head + 1) * size // heads)
        query = (vectors[place] @ weights[f"{name}.query"])[part]
        logits, values = [], []
        for other in range(last + 1):
            key = (vectors[other] @ weights[f"{name}.key"])[part]
            fall = weights[f"{name}.fall"][head, abs(place - other)]
            logits.append(query @ key / (size / heads) ** 0.5 - fall)
            values.append((vectors[other] @ weights[f"{name}.value"])[part])
        shares = torch.stack(logits).exp()
        shares = shares / shares.sum()
        parts.append(sum((s * v for s, v in zip(shares, values, strict=True)), torch.zeros(1)))
    return torch.cat(parts) @ weights[f"{name}.mix"]


def fed(
    weights: dict[str, Tensor], name: str, vector: Tensor, function: Callable[[Tensor], Tensor]
) -> Tensor:
    """A vector through two layers."""
    inner = function(vector @ weights[f"{name}.first"] + weights[f"{name}.first_bias"])
    return inner @ weights[f"{name}.second"] + weights[f"{name}.second_bias"]
