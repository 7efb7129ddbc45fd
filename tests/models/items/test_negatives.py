from __future__ import annotations

import pytest
import torch

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec


def candidates_of(config: GRU4RecConfig) -> list[list[int]]:
    """Return the candidates of each of a learner's batches, the targets first."""
    learner = OnlineGRU4Rec(config, device="cpu")
    found = []
    plain = learner.trainer.loss_gradient

    def loss_gradient(
        scores: torch.Tensor, candidates: torch.Tensor, *rest: object
    ) -> torch.Tensor:
        found.append(candidates.tolist())
        return plain(scores, candidates, *rest)

    learner.trainer.loss_gradient = loss_gradient
    # Item n gets row n; half of the clicks are on item 1.
    clicks = [*range(1, 21), *([1] * 20)]
    for number in range(6):
        learner.learn_many([f"{number}.{place}" for place in range(40)], clicks)
    for _ in range(2):
        learner.learn_many([f"5.{place}" for place in range(40)], clicks)
    return found


def test_without_negatives_the_batch_s_own_targets_are_all_the_candidates() -> None:
    assert (
        candidates_of(GRU4RecConfig(hidden=4, n_negatives=0)) == [[*range(1, 21), *([1] * 20)]] * 2
    )


@pytest.mark.parametrize(("alpha", "share"), [(0.0, 1 / 20), (1.0, 21 / 40)])
def test_a_learner_draws_uniformly_or_by_popularity(alpha: float, share: float) -> None:
    for candidates in candidates_of(GRU4RecConfig(hidden=4, n_negatives=4000, alpha=alpha)):
        drawn = candidates[40:]
        assert len(drawn) == 4000
        assert set(drawn) == set(range(1, 21))
        assert abs(drawn.count(1) - 4000 * share) < 6 * (4000 * share) ** 0.5


def test_a_learner_with_a_half_life_draws_what_is_clicked_lately() -> None:
    shares = {}
    for half_life in (0.0, 500.0):
        learner = OnlineGRU4Rec(
            GRU4RecConfig(hidden=4, half_life=half_life, alpha=1.0), device="cpu"
        )
        learner.learn_many([f"a{place}" for place in range(2048)], ["old"] * 2048)
        learner.learn_many([f"b{place}" for place in range(2048)], ["new"] * 2048)
        shares[half_life] = learner.popularity.sample(4000).tolist().count(2) / 4000
    assert abs(shares[0.0] - 0.5) < 0.05
    assert shares[500.0] > 0.9
