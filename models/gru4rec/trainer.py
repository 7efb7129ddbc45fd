"""The training step: the gradients of a batch, and the optimizer's step along them."""

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
    """The gradients of one batch's loss.

    Parameters
    ----------
    network
        By each of the network's parameters.
    items
        For each item table its distinct touched rows, int64 (u,), and the gradients by these,
        (u, …).

    """

    network: tuple[Tensor, ...]
    items: list[tuple[Table, Tensor, Tensor]]


class Trainer:
    """Trains the network and the item tables on one batch at a time.

    Parameters
    ----------
    config
        Loss, negatives, optimizers and step sizes.
    network, items
        What is trained.
    popularity
        Samples the negatives.

    """

    def __init__(
        self, config: GRU4RecConfig, network: GRU4Rec, items: ItemTable, popularity: Popularity
    ) -> None:
        self.config = config
        self.items = items
        self.popularity = popularity
        self.loss_gradient = loss_gradient_of(config)
        self.rule = make_rule(config.optimizer, config.learning_rate, config.momentum)
        self._weights = list(network.parameters())
        self._state = [self.rule.state(weight.detach()) for weight in self._weights]

    @property
    def optimizer_state(self) -> list[Tensor]:
        """The optimizer's state of the network's weights."""
        return [part for state in self._state for part in state]

    def gradients(
        self,
        steps: Tensor,
        inputs: Tensor,
        outputs: Tensor,
        targets: Tensor,
        vocabulary: Vocabulary,
        draws: Tensor | None = None,
    ) -> Gradients:
        """Return the gradients of the scored clicks' loss; change no parameter.

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
        draws
            What negatives are drawn by, on the device; None: they are drawn here.

        """
        items = self.items
        if self.config.loss == "full-cross-entropy":
            candidates = torch.arange(1, vocabulary.used, device=targets.device)
            given: tuple[Any, ...] = (targets - 1,)
        else:
            negatives = self.popularity.sample(self.config.n_negatives, draws)
            candidates = torch.cat([targets, negatives])
            drawn, own = negatives.shape[0], targets.shape[0]
            expected = self.popularity.expected(candidates, drawn, own)
            # A rare item counts as expected no less often than the average one: see the loss.
            given = (candidates, expected, (drawn + own) / len(vocabulary))
        by_score = score_candidates(items, outputs, candidates, self.loss_gradient, *given)
        *dense, embedded = torch.autograd.grad(outputs, [*self._weights, inputs], by_score.outputs)
        read, scored = (steps, embedded), (candidates, by_score.embedding)
        if items.tied:
            touched = [(items.embedding, *items.embedding.sum(read, scored))]
        else:
            touched = [(items.inputs, *items.inputs.sum(read))]
            touched += [(items.embedding, *items.embedding.sum(scored))]
        if self.config.bias:
            touched += [(items.bias, *items.bias.sum((candidates, by_score.scores.sum(dim=0))))]
        if self.config.clip:
            clip([*dense, *(gradient for _, _, gradient in touched)], self.config.clip)
        return Gradients(tuple(dense), touched)

    @torch.no_grad()
    def update(self, gradients: Gradients) -> None:
        """Take one step: the whole network, the item tables on the touched rows only."""
        for weight, state, gradient in zip(
            self._weights, self._state, gradients.network, strict=True
        ):
            self.rule.step(weight, state, gradient)
        for table, rows, gradient in gradients.items:
            table.step(rows, gradient)


def loss_gradient_of(config: GRU4RecConfig) -> LossGradient:
    """Return the gradient of the config's loss, with its options."""
    if config.loss == "full-cross-entropy":
        return gradient_of(partial(cross_entropy, smoothing=config.smoothing))
    return make_gradient(config.loss, **options_of(config))


def options_of(config: GRU4RecConfig) -> dict[str, float]:
    """Return the options of the config's loss over candidates."""
    options: dict[str, dict[str, float]] = {
        "cross-entropy": {"logq": config.logq, "smoothing": config.smoothing},
        "binary-cross-entropy": {"logq": config.logq},
        "bpr-max": {"regularisation": config.regularisation, "elu": config.elu},
    }
    return options.get(config.loss, {})
