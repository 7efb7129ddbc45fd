from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from tests.models.rivals.learned import Account


def query(weights: dict[str, Tensor], vectors: Tensor) -> Tensor:
    return 3.0 * sum(vectors, 0 * vectors[0]) / len(vectors)


@pytest.mark.parametrize("window", [1, 4, 50])
def test_an_item_scores_by_its_product_with_the_mean_of_the_window(window: int) -> None:
    Account("bpr-mf", window=window, strength=3.0).check_scores(query)


@pytest.mark.parametrize("options", [{"window": 2}, {"window": 50}, {"loss": "cross-entropy"}])
def test_a_batch_takes_adagrads_step_along_the_loss(options: dict[str, Any]) -> None:
    account = Account("bpr-mf", strength=3.0, **options)
    account.check_step(account.queries(query), account.targets)
