from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models import gradients as loss_gradient
from nextclick.models.gradients import (
    gradient_of,
    make_gradient,
    sampled_gradient,
    score_candidates,
)
from nextclick.models.items import table
from nextclick.models.items.item_table import ItemTable
from nextclick.models.items.table import multiplied
from nextclick.models.losses import LOSSES, sampled_cross_entropy
from nextclick.models.optim import make_rule


def catalogue(items: int = 9) -> ItemTable:
    draw, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    rule = make_rule("adagrad", 0.1)
    made = ItemTable(3, None, 0.5, rule, cpu, torch.float64, draw)
    made.draw(torch.arange(1, items + 1), items + 1)
    made.bias.values[1 : items + 1] = torch.randn(items, generator=draw, dtype=torch.float64)
    return made


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(1, 12), st.integers(0, 99))
@pytest.mark.parametrize("logq", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("host", [True, False])
def test_the_gradient_written_out_is_the_losss(
    logq: float, host: bool, candidates: list[int], count: int, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    shape = (min(count, len(candidates)), len(candidates))
    scores = 5 * torch.randn(shape, generator=draw, dtype=torch.float64)
    expected = 3 * torch.rand(len(candidates), generator=draw, dtype=torch.float64)
    given_ = torch.tensor(candidates), expected, 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_gradient, "on_host", lambda _: host)
        found = sampled_gradient(scores, *given_, logq=logq)
    plain = gradient_of(partial(sampled_cross_entropy, logq=logq))(scores, *given_)
    torch.testing.assert_close(found, plain)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("count", range(1, 7))
def test_gradients_are_those_through_the_scores(name: str, count: int) -> None:
    """Few outputs in compiled loops, more in products: both as `torch.autograd` finds it."""
    items = catalogue()
    draw = torch.Generator().manual_seed(count)
    outputs = torch.randn((count, 3), generator=draw, dtype=torch.float64, requires_grad=True)
    candidates = torch.cat([torch.arange(1, count + 1), torch.tensor([9, 2, 9, 8])])
    expected = torch.rand(len(candidates), generator=draw, dtype=torch.float64)
    found = score_candidates(
        items, outputs, candidates, make_gradient(name), candidates, expected, 0.5
    )

    embedding = items.embedding.values[candidates].requires_grad_()
    bias = items.bias.values[candidates].requires_grad_()
    loss = LOSSES[name](outputs @ embedding.T + bias, candidates, expected, 0.5)
    by_output, by_row, by_bias = torch.autograd.grad(loss, [outputs, embedding, bias])
    torch.testing.assert_close(found.outputs, by_output)
    torch.testing.assert_close(multiplied(found.embedding), by_row)
    torch.testing.assert_close(found.scores.sum(dim=0), by_bias)

    # Summed by row, with another gradient before it.
    read = torch.tensor([9, 3]), torch.ones((2, 3), dtype=torch.float64)
    rows, sums = items.embedding.sum(read, (candidates, found.embedding))
    whole = torch.zeros_like(items.embedding.values)
    whole.index_add_(0, candidates, by_row).index_add_(0, *read)
    torch.testing.assert_close(torch.zeros_like(whole).index_copy_(0, rows, sums), whole)
    assert sorted(rows.tolist()) == sorted({*candidates.tolist(), 9, 3})


def test_both_ways_are_tried() -> None:
    assert any(one <= table.FEW_TERMS < other for one, other in pairwise(range(1, 7)))
