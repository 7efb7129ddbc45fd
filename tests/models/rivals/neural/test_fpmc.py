from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nextclick.models.rivals.neural.fpmc import FPMC
from tests.models.rivals.learned import Account, make


def query(weights: dict[str, Tensor], vectors: Tensor) -> Tensor:
    taste = sum((vector[:6] for vector in vectors), 0 * vectors[0, :6]) / len(vectors)
    return torch.cat([1.5 * taste, 3.0 * vectors[-1, 6:]])


@pytest.mark.parametrize("window", [1, 4, 50])
def test_an_item_scores_by_the_session_and_by_the_last_item(window: int) -> None:
    Account("fpmc", window=window, taste=1.5, step=3.0).check_scores(query)


@pytest.mark.parametrize("options", [{"loss": "bpr"}, {"loss": "cross-entropy", "window": 50}])
def test_a_batch_takes_adagrads_step_along_the_loss(options: dict[str, Any]) -> None:
    account = Account("fpmc", taste=1.5, step=3.0, **options)
    account.check_step(account.queries(query), account.targets)


def test_what_follows_an_item_need_not_come_before_it() -> None:
    model = make("fpmc", n_negatives=8, item_spread=0.05)
    for session in range(150):
        model.learn_many([session] * 3, ["x", "y", "z"])
    assert model.recommend(["x"], k=1)[0][0] == "y"
    assert model.recommend(["x", "y"], k=1)[0][0] == "z"


def test_an_item_is_first_read_as_it_is_scored() -> None:
    model = make("fpmc")
    assert isinstance(model, FPMC)
    model.learn_many(["a", "b"], ["x", "y"])  # Two first clicks: nothing is learned yet.
    torch.testing.assert_close(model.items.inputs.values, model.items.embedding.values)
