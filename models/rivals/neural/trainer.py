"""The training step of the neural rivals: the gradients of a batch, and one Adagrad step."""

from __future__ import annotations

import torch
from torch import Tensor

from ...gradients import make_gradient, score_candidates
from ...items.item_table import ItemTable
from ...items.popularity import Popularity
from ...optim import make_rule
from .config import Config
from .encoder import SessionEncoder

CORRECTED = ("cross-entropy", "binary-cross-entropy")
"""The losses that can correct for the sampling."""


class Trainer:
    """Trains an encoder and the item tables on one batch at a time.

    Parameters
    ----------
    config
        Loss, negatives and step sizes.
    encoder, items
        What is trained.
    popularity
        Samples the negatives.

    """

    def __init__(
        self, config: Config, encoder: SessionEncoder, items: ItemTable, popularity: Popularity
    ) -> None:
        self.config = config
        self.items = items
        self.popularity = popularity
        options = {"logq": config.logq} if config.loss in CORRECTED else {}
        self._loss_gradient = make_gradient(config.loss, **options)
        self._rule = make_rule("adagrad", config.learning_rate)
        self._weights = list(encoder.parameters())
        self._state = [self._rule.state(weight.detach()) for weight in self._weights]

    @property
    def optimizer_state(self) -> list[Tensor]:
        """The optimizer's state of the encoder's weights."""
        return [part for state in self._state for part in state]

    def step(
        self, clicks: Tensor, inputs: Tensor, outputs: Tensor, targets: Tensor, n_items: int
    ) -> None:
        """Take one step: the whole encoder, the item tables on the touched rows only.

        Parameters
        ----------
        clicks
            int64 (m, k + 1): the rows of the encoded clicks.
        inputs
            (m, k + 1, length): their vectors, a leaf of the graph.
        outputs
            (n, length): what was made of them.
        targets
            int64 (n,): the rows of the items that these should score highest.
        n_items
            Number of items in the catalogue.

        """
        items, popularity = self.items, self.popularity
        negatives = popularity.sample(self.config.n_negatives)
        candidates = torch.cat([targets, negatives])
        expected = popularity.expected(candidates, len(negatives), len(targets))
        # A rare item counts as expected no less often than the average one, as in `Trainer`.
        given = candidates, expected, len(candidates) / n_items
        gradients = score_candidates(items, outputs, candidates, self._loss_gradient, *given)
        *weights, read = torch.autograd.grad(outputs, [*self._weights, inputs], gradients.outputs)
        read, rows = read.flatten(0, 1), clicks.flatten()
        if items.tied:
            both = (rows, read), (candidates, gradients.embedding)
            touched = [(items.embedding, *items.embedding.sum(*both))]
        else:
            touched = [(items.inputs, *items.inputs.sum((rows, read)))]
            touched += [(items.embedding, *items.embedding.sum((candidates, gradients.embedding)))]
        with torch.no_grad():
            for weight, state, gradient in zip(self._weights, self._state, weights, strict=True):
                self._rule.step(weight, state, gradient)
            for table, rows, gradient in touched:
                table.step(rows, gradient)
