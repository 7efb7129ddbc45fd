from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu

from tests.models.rivals.learned import Account, attended, fed, make, normed


def fill(
    weights: dict[str, Tensor],
    vectors: Tensor,
    gaps: list[bool],
    heads: int,
    blocks: int,
) -> list[Tensor]:
    """Sun et al.'s network over one window, click by click, at every place."""
    places = weights["places"][-len(gaps) :]
    held = [
        (weights["mask"] if gap else vector) + place
        for vector, gap, place in zip(vectors, gaps, places, strict=True)
    ]
    for block in range(blocks):
        name = f"blocks.{block}"
        after = []
        for place, vector in enumerate(held):
            found = attended(weights, f"{name}.attention", heads, held, place, len(held) - 1)
            between = normed(weights, f"{name}.between", vector + found)
            layers = fed(weights, f"{name}.layers", between, gelu)
            after.append(normed(weights, f"{name}.after", between + layers))
        held = after
    return [gelu(vector @ weights["project"] + weights["shift"]) for vector in held]


SHAPES = [(1, 1, 4), (2, 1, 50), (2, 2, 4)]


@pytest.mark.parametrize(("heads", "blocks", "window"), SHAPES)
def test_an_item_scores_by_what_fills_a_mask_at_the_end(
    heads: int, blocks: int, window: int
) -> None:
    def query(weights: dict[str, Tensor], vectors: Tensor) -> Tensor:
        with_mask = torch.cat([vectors, torch.full_like(vectors[:1], torch.nan)])
        gaps = [False] * len(vectors) + [True]
        return fill(weights, with_mask, gaps, heads, blocks)[-1]

    Account("bert4rec", heads=heads, blocks=blocks, window=window).check_scores(query)


@pytest.mark.parametrize("masked", [0.0, 0.3])
@pytest.mark.parametrize(("heads", "blocks", "window"), SHAPES)
def test_a_batch_is_learned_by_masks_at_the_end_and_by_gaps(
    heads: int, blocks: int, window: int, masked: float
) -> None:
    account = Account("bert4rec", heads=heads, blocks=blocks, window=window, masked=masked)
    model = account.model
    longest = max(len(rows) for rows in account.before)
    random = model._draws.get_state()
    drawn = torch.rand(
        (len(account.before), longest + 1), generator=model._draws, dtype=torch.float64
    )
    queries, targets, gapped, missing = [], [], [], []
    for rows, target, draws in zip(account.before, account.targets, drawn, strict=True):
        vectors = account.inputs[[*rows, target]]
        end = [False] * len(rows) + [True]
        queries.append(fill(account.weights, vectors, end, heads, blocks)[-1])
        targets.append(target)
        gaps = (draws[longest - len(rows) :] < masked).tolist()
        filled = fill(account.weights, vectors, gaps, heads, blocks)
        for place, row in enumerate([*rows, target]):
            if gaps[place]:
                gapped.append(filled[place])
                missing.append(row)
    assert bool(gapped) == bool(masked)

    def learn() -> None:
        model._draws.set_state(random)
        model.learn_many(account.sessions, account.items)

    account.learn = learn  # type: ignore[method-assign]
    account.check_step(torch.stack([*queries, *gapped]), [*targets, *missing])


def test_masked_is_a_share() -> None:
    with pytest.raises(ValueError, match="masked must be from 0 to below 1, not 1"):
        make("bert4rec", masked=1.0)
