from __future__ import annotations

from collections.abc import Callable

import pytest

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from tests.models.gru4rec.learners import model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OnlineGRU4Rec(device="tpu"), "auto, cpu or cuda"),
        (lambda: GRU4RecConfig(learning_rate=0.0), "learning_rate must be more than 0"),
        (lambda: GRU4RecConfig(window=0), "window must be at least 1"),
        (lambda: GRU4RecConfig(n_negatives=-1), "n_negatives must not be negative"),
    ],
)
def test_options_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_batch_of_more_sessions_than_the_bound_is_refused() -> None:
    learner = OnlineGRU4Rec(GRU4RecConfig(hidden=4), max_sessions=2, device="cpu")
    with pytest.raises(ValueError, match="bound of 2 live sessions"):
        learner.learn_many(["a", "b", "c"], ["x", "x", "x"])


def test_the_empty_batch_is_no_trouble() -> None:
    tested = model().test_then_learn([], [], k=5)
    assert len(tested.ranks) == len(tested.scored) == len(tested.recommended) == 0
