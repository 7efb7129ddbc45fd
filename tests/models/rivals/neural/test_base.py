from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nextclick.models.base import Request
from nextclick.models.rivals.neural.base import NeuralRival
from tests.models.rivals.learned import ONLINE, WINDOWED, drive, make


@pytest.mark.parametrize("name", WINDOWED)
def test_a_new_item_starts_near_the_one_clicked_before_it(name: str) -> None:
    model = make(name, item_spread=0.0, neighbour_init=0.5)
    assert isinstance(model, NeuralRival)
    model.learn_many(["a", "b"], ["x", "y"])
    x, y = model.vocabulary.rows_of(["x", "y"]).tolist()
    for table in (model.items.embedding, model.items.inputs):
        table.values[x] = torch.arange(1, 1 + model.length, dtype=torch.float64)
        table.values[y] = -1.0
    batch = model._admit(Request(["a", "b", "c"], ["p", "q", "r"]))
    model._gather_histories(batch)
    new_items = batch.new_items.rows
    for table in (model.items.embedding, model.items.inputs):
        torch.testing.assert_close(table.values[new_items[0]], 0.5 * table.values[x])
        torch.testing.assert_close(table.values[new_items[1]], 0.5 * table.values[y])
        assert not table.values[new_items[2]].any()


@pytest.mark.parametrize("name", ONLINE)
def test_on_random_items_recall_is_k_over_the_catalogue(name: str) -> None:
    draw = np.random.default_rng(5)
    sessions: list[int | str] = draw.integers(300, size=5000).tolist()
    items: list[int | str] = draw.integers(100, size=5000).tolist()
    ranks = np.array(drive(make(name), (sessions, items), 64)[1000:])
    ranks = ranks[ranks > 0]
    hits = (ranks <= 20).mean()
    assert abs(hits - 0.2) < 4 * np.sqrt(0.2 * 0.8 / len(ranks))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1, not 0"),
        ({"n_negatives": -1}, "n_negatives must be 0 or more, not -1"),
        ({"learning_rate": 0.0}, "learning_rate must be more than 0, not 0.0"),
        ({"item_learning_rate": float("nan")}, "item_learning_rate must be more than 0, not nan"),
        ({"loss": "hinge"}, "hinge"),
    ],
)
def test_an_option_out_of_its_range_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("bpr-mf", **options)


def test_a_batch_of_too_many_sessions_is_refused() -> None:
    with pytest.raises(ValueError, match="raise max_sessions or lower the batch"):
        make("sasrec", max_sessions=2).learn_many([1, 2, 3], ["x", "x", "x"])
