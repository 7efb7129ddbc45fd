"""The training step: what a batch teaches, and the step it makes the parameters take."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..gradients import LossGradient, gradient_of, make_gradient, score_candidates
from ..items.item_table import ItemTable
from ..items.popularity import Popularity
from ..items.table import Table
from ..items.vocabulary import Vocabulary
from ..losses import cross_entropy
from ..optim import clip, make_rule
from .config import GRU4RecConfig
from .network import GRU4Rec


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
    config
        Loss, negatives, step rules and their sizes.
    network, items
        What is trained.
    popularity
        Where negatives come from.

    """

    def __init__(
        self, config: GRU4RecConfig, network: GRU4Rec, items: ItemTable, popularity: Popularity
    ) -> None:
        self.config = config
        self.items = items
        self.popularity = popularity
        self.loss_gradient = slopes_by(config)
        self.rule = make_rule(config.optimizer, config.learning_rate, config.momentum)
        self._weights = list(network.parameters())
        self._memories = [self.rule.state(weight.detach()) for weight in self._weights]

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
        items = self.items
        if self.config.loss == "full-cross-entropy":
            candidates = torch.arange(1, vocabulary.used, device=targets.device)
            given: tuple[Any, ...] = (targets - 1,)
        else:
            negatives = self.popularity.sample(self.config.n_negatives)
            candidates = torch.cat([targets, negatives])
            expected = self.popularity.expected(candidates, len(negatives), len(targets))
            # A rare item counts as expected no less often than the average one: see the loss.
            given = (candidates, expected, len(candidates) / len(vocabulary))
        taught = score_candidates(items, outputs, candidates, self.loss_gradient, *given)
        *dense, embedded = torch.autograd.grad(outputs, [*self._weights, inputs], taught.outputs)
        read, scored = (steps, embedded), (candidates, taught.embedding)
        if items.tied:
            touched = [(items.embedding, *items.embedding.sum(read, scored))]
        else:
            touched = [(items.inputs, *items.inputs.sum(read))]
            touched += [(items.embedding, *items.embedding.sum(scored))]
        if self.config.bias:
            touched += [(items.bias, *items.bias.sum((candidates, taught.scores.sum(dim=0))))]
        if self.config.clip:
            clip([*dense, *(gradient for _, _, gradient in touched)], self.config.clip)
        return Gradients(tuple(dense), touched)

    @torch.no_grad()
    def update(self, gradients: Gradients) -> None:
        """Take one step: the network whole, the item tables on the touched rows only."""
        for weight, memories, gradient in zip(
            self._weights, self._memories, gradients.network, strict=True
        ):
            self.rule.step(weight, memories, gradient)
        for table, rows, gradient in gradients.items:
            table.step(rows, gradient)


def slopes_by(config: GRU4RecConfig) -> LossGradient:
    """Give the gradient of the config's loss, with its options."""
    if config.loss == "full-cross-entropy":
        return gradient_of(partial(cross_entropy, smoothing=config.smoothing))
    return make_gradient(config.loss, **options_of(config))


def options_of(config: GRU4RecConfig) -> dict[str, float]:
    """Give the options of the config's loss over candidates."""
    options: dict[str, dict[str, float]] = {
        "cross-entropy": {"logq": config.logq, "smoothing": config.smoothing},
        "binary-cross-entropy": {"logq": config.logq},
        "bpr-max": {"regularisation": config.regularisation, "elu": config.elu},
    }
    return options.get(config.loss, {})
