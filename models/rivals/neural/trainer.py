"""The training step of the windowed rivals: what a batch teaches, and the step taken for it."""

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
    """Trains a reader and the item tables on one batch at a time.

    Parameters
    ----------
    settings
        Loss, negatives and step sizes.
    reader, items
        What is trained.
    popularity
        Where negatives come from.

    """

    def __init__(
        self, settings: Config, reader: SessionEncoder, items: ItemTable, popularity: Popularity
    ) -> None:
        self.settings = settings
        self.items = items
        self.popularity = popularity
        options = {"logq": settings.logq} if settings.loss in CORRECTED else {}
        self._loss_gradient = make_gradient(settings.loss, **options)
        self._rule = make_rule("adagrad", settings.learning_rate)
        self._weights = list(reader.parameters())
        self._memories = [self._rule.state(weight.detach()) for weight in self._weights]

    @property
    def memories(self) -> list[Tensor]:
        """What the step rule remembers of the reader's weights."""
        return [memory for memories in self._memories for memory in memories]

    def take(
        self, clicks: Tensor, inputs: Tensor, outputs: Tensor, targets: Tensor, catalogue: int
    ) -> None:
        """Take one step: the reader whole, the item tables on the touched rows only.

        Parameters
        ----------
        clicks
            int64 (m, k + 1): the rows of the clicks that were read.
        inputs
            (m, k + 1, length): what was read of them, a leaf of the graph.
        outputs
            (n, length): what was made of them.
        targets
            int64 (n,): the rows of the items that these should score highest.
        catalogue
            How many items are known.

        """
        items, popularity = self.items, self.popularity
        negatives = popularity.sample(self.settings.n_negatives)
        candidates = torch.cat([targets, negatives])
        expected = popularity.expected(candidates, len(negatives), len(targets))
        # A rare item counts as expected no less often than the average one, as in `Trainer`.
        given = candidates, expected, len(candidates) / catalogue
        taught = score_candidates(items, outputs, candidates, self._loss_gradient, *given)
        *weights, read = torch.autograd.grad(outputs, [*self._weights, inputs], taught.outputs)
        read, rows = read.flatten(0, 1), clicks.flatten()
        if items.tied:
            both = (rows, read), (candidates, taught.embedding)
            touched = [(items.embedding, *items.embedding.sum(*both))]
        else:
            touched = [(items.inputs, *items.inputs.sum((rows, read)))]
            touched += [(items.embedding, *items.embedding.sum((candidates, taught.embedding)))]
        with torch.no_grad():
            for weight, memories, gradient in zip(
                self._weights, self._memories, weights, strict=True
            ):
                self._rule.step(weight, memories, gradient)
            for table, rows, gradient in touched:
                table.step(rows, gradient)
