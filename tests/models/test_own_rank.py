"""A target is never ranked as if it were not there, however its score is rounded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nextclick.models.ranking import CatalogueRanker, NewItems

NONE = torch.zeros(0, dtype=torch.int64)


@pytest.mark.parametrize("clicks", [1, 2, 43, 64])
def test_a_target_that_scores_best_has_rank_1_in_batches_of_every_shape(clicks: int) -> None:
    draw = np.random.default_rng(clicks)
    for hidden in (64, 100, 257, 600):
        outputs = draw.normal(size=(clicks, hidden)).astype(np.float32)
        outputs *= 10 / np.linalg.norm(outputs, axis=1, keepdims=True)
        table = draw.normal(size=(700, hidden)).astype(np.float32) / 100
        targets = np.arange(1, clicks + 1)
        table[targets] = outputs  # Large sums of terms that all point the same way.
        ranker = CatalogueRanker(
            torch.from_numpy(outputs),
            torch.from_numpy(table),
            torch.zeros(700),
            torch.from_numpy(targets),
            torch.arange(clicks),
            NewItems(NONE, NONE),
        )
        ranks = torch.cat([ranker.rank(part).ranks for part in ranker.parts])
        assert ranks.tolist() == [1] * clicks
