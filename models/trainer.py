"""The training step: what a batch teaches, and the step it makes the parameters take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .gru4rec import GRU4Rec
from .items import ItemTable
from .losses import LOSSES, cross_entropy, sampled_cross_entropy
from .optim import clip, make_rule
from .recipe import Recipe
from .sampling import Popularity
from .table import Table, pick
from .vocabulary import Vocabulary


class Gradients(NamedTuple):
    """What one batch teaches.

    Parameters
    ----------
    network
        Of each of the network's parameters.
    items
        For each item table its distinct touched rows, int64 (u,), and their gradients, (u, …).

    """

    network: tuple[Tensor, ...]
    items: list[tuple[Table, Tensor, Tensor]]


class Trainer:
    """Trains the network and the item tables on one batch at a time.

    Parameters
    ----------
    recipe
        Loss, negatives, step rules and their sizes.
    network, items
        What is trained.
    popularity
        Where negatives come from.

    """

    def __init__(
        self, recipe: Recipe, network: GRU4Rec, items: ItemTable, popularity: Popularity
    ) -> None:
        self.recipe = recipe
        self.items = items
        self.popularity = popularity
        self.loss = make_loss(recipe)
        self.rule = make_rule(recipe.optimizer, recipe.rate, recipe.momentum)
        self._weights = list(network.parameters())
        self._memories = [self.rule.memories(weight.detach()) for weight in self._weights]

    @property
    def memories(self) -> list[Tensor]:
        """What the step rule remembers of the network's weights."""
        return [memory for memories in self._memories for memory in memories]

    def gradients(
        self,
        steps: Tensor,
        inputs: Tensor,
        outputs: Tensor,
        targets: Tensor,
        vocabulary: Vocabulary,
    ) -> Gradients:
        """Find what the scored clicks of a batch teach; changes no parameter.

        Parameters
        ----------
        steps
            int64 (t,): the rows of the windows' clicks, packed.
        inputs
            (t, inputs): their embeddings, a leaf of the graph.
        outputs
            (m, size): the network's output before each click.
        targets
            int64 (m,): the clicked items' rows.
        vocabulary
            The catalogue.

        """
        whole = self.recipe.loss == "full-cross-entropy"
        if whole:
            candidates = torch.arange(1, vocabulary.used, device=targets.device)
        else:
            negatives = self.popularity.sample(self.recipe.negatives)
            candidates = torch.cat([targets, negatives])
        embedding = pick(self.items.embedding.values, candidates).requires_grad_()
        bias = pick(self.items.bias.values, candidates).requires_grad_(self.recipe.bias)
        scores = torch.addmm(bias, outputs, embedding.T)
        if whole:
            loss = cross_entropy(scores, targets - 1, self.recipe.smoothing)
        else:
            expected = self.popularity.expected(candidates, len(negatives), len(targets))
            # A rare item counts as expected no less often than the average one: see the loss.
            floor = len(candidates) / len(vocabulary)
            loss = self.loss(scores, candidates, expected, floor)
        leaves = [inputs, embedding, *([bias] if self.recipe.bias else [])]
        found = torch.autograd.grad(loss, [*self._weights, *leaves])
        dense, rest = found[: len(self._weights)], found[len(self._weights) :]
        items = self.items
        read, scored = (steps, rest[0]), (candidates, rest[1])
        if items.tied:
            touched = [(items.embedding, *items.embedding.sum(read, scored))]
        else:
            touched = [(items.inputs, *items.inputs.sum(read))]
            touched += [(items.embedding, *items.embedding.sum(scored))]
        if self.recipe.bias:
            touched += [(items.bias, *items.bias.sum((candidates, rest[2])))]
        if self.recipe.clip:
            clip([*dense, *(gradient for _, _, gradient in touched)], self.recipe.clip)
        return Gradients(dense, touched)

    @torch.no_grad()
    def update(self, gradients: Gradients) -> None:
        """Take one step: the network whole, the item tables on the touched rows only."""
        for weight, memories, gradient in zip(
            self._weights, self._memories, gradients.network, strict=True
        ):
            self.rule.step(weight, memories, gradient)
        for table, rows, gradient in gradients.items:
            table.step(rows, gradient)


def make_loss(recipe: Recipe) -> Callable[..., Tensor]:
    """Give the recipe's loss over candidates, with its options."""
    options: dict[str, dict[str, float]] = {
        "cross-entropy": {"logq": recipe.logq, "smoothing": recipe.smoothing},
        "binary-cross-entropy": {"logq": recipe.logq},
        "bpr-max": {"regularisation": recipe.regularisation, "elu": recipe.elu},
    }
    loss = LOSSES.get(recipe.loss, sampled_cross_entropy)
    return partial(loss, **options.get(recipe.loss, {}))
