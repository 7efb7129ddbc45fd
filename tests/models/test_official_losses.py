"""The losses beside those of GRU4Rec's authors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from nextclick.models.losses import (
    bpr_max,
    sampled_cross_entropy,
)


# The golden values were made once with the PyTorch version of GRU4Rec by its authors (Hidasi,
# GRU4Rec_PyTorch_Official, commit d1fc311, torch 2.13 on a CPU): its loss functions were called
# on the float64 inputs below, the log's counts (`P0` there) being those of `counted`, and the
# loss was differentiated. It sums over the rows.
def official(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    scores = [[3 * math.sin(1.7 * i + 0.9 * j + 0.3) for j in range(columns)] for i in range(rows)]
    counted = torch.tensor([1 + (7 * j) % 11 for j in range(columns)], dtype=torch.float64)
    # A sampled candidate's count is taken to the power alpha.
    counted[rows:] **= 0.75
    return torch.tensor(scores, dtype=torch.float64), torch.arange(1, columns + 1), counted


GOLDEN = [
    # Loss, columns; sum over four rows; the gradient: norm, start of its second row.
    (
        partial(sampled_cross_entropy, logq=0.0),
        9,
        12.614432934277636,
        2.0168453886492603,
        [0.2978641863104258, -0.96009533081825],
    ),
    (
        partial(sampled_cross_entropy, logq=0.5),
        9,
        13.02619206263659,
        2.0877819608276447,
        [0.4656283495970156, -0.9779453664266343],
    ),
    (
        partial(sampled_cross_entropy, logq=1.0),
        9,
        13.823095595200238,
        2.1806093222388525,
        [0.6328942248110323, -0.989401447107087],
    ),
    (
        partial(sampled_cross_entropy, logq=1.0),
        4,
        8.816833469009225,
        2.162837436570936,
        [0.9807301118772787, -0.9835765289728986],
    ),
    (
        partial(bpr_max, regularisation=1.0, elu=0.0),
        9,
        32.121440676855876,
        8.353490437321257,
        [2.17965340949148, -0.7429216962245355],
    ),
    (
        partial(bpr_max, regularisation=1.0, elu=0.5),
        9,
        28.922861183062096,
        8.198076184033141,
        [2.1847883953908163, -0.6852114239398355],
    ),
    (
        partial(bpr_max, regularisation=0.3, elu=1.0),
        9,
        13.547599009567046,
        3.2535748632122767,
        [0.8504803098670268, -0.6995452984538931],
    ),
    (
        partial(bpr_max, regularisation=1.0, elu=0.5),
        4,
        23.827768764007885,
        9.49089398122841,
        [6.396507092515376, -0.6562631058189572],
    ),
]


@pytest.mark.parametrize(("loss", "columns", "total", "norm", "start"), GOLDEN)
def test_losses_are_those_of_the_official_code(
    loss: Callable[..., torch.Tensor], columns: int, total: float, norm: float, start: list[float]
) -> None:
    scores, candidates, counted = official(4, columns)
    scores.requires_grad_()
    value = 4 * loss(scores, candidates, counted)
    assert value.item() == pytest.approx(total, rel=1e-12)
    (gradient,) = torch.autograd.grad(value, scores)
    assert gradient.norm().item() == pytest.approx(norm, rel=1e-12)
    assert gradient[1, :2].tolist() == pytest.approx(start, rel=1e-11)
