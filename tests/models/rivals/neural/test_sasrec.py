from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.rivals.learned import Account, attended, fed, normed


def reader(heads: int, blocks: int) -> Any:
    """Kang & McAuley's network at the last of a window's places, click by click."""

    def query(weights: dict[str, Tensor], vectors: Tensor) -> Tensor:
        places = weights["places"][-len(vectors) :]
        held = [vector + place for vector, place in zip(vectors, places, strict=True)]
        for block in range(blocks):
            name = f"blocks.{block}"
            before = [normed(weights, f"{name}.before", vector) for vector in held]
            after = []
            for place, vector in enumerate(held):
                found = attended(weights, f"{name}.attention", heads, before, place, place)
                between = normed(weights, f"{name}.between", vector + found)
                layers = fed(weights, f"{name}.layers", between, torch.relu)
                after.append(vector + found + layers)
            held = after
        return normed(weights, "last", held[-1])

    return query


SHAPES = [(1, 1, 4), (2, 1, 50), (2, 2, 4), (1, 3, 6)]


@pytest.mark.parametrize(("heads", "blocks", "window"), SHAPES)
def test_an_item_scores_by_the_output_at_the_last_place(
    heads: int, blocks: int, window: int
) -> None:
    account = Account("sasrec", heads=heads, blocks=blocks, window=window)
    account.check_scores(reader(heads, blocks))


@pytest.mark.parametrize(("heads", "blocks", "window"), SHAPES)
def test_a_batch_takes_adagrads_step_along_the_loss(heads: int, blocks: int, window: int) -> None:
    account = Account("sasrec", heads=heads, blocks=blocks, window=window)
    account.check_step(account.queries(reader(heads, blocks)), account.targets)


def test_heads_must_share_the_size_evenly() -> None:
    with pytest.raises(ValueError, match="size must be a multiple of heads, but 8 is not one of 3"):
        Account("sasrec", heads=3)
