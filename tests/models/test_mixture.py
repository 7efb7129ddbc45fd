from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nextclick.models.memory import Evidence, Memory, Weights
from nextclick.models.mixture import Mixture, forecast
from nextclick.models.moments import (
    AFTER,
    BEFORE,
    EARLIER_CLICKS,
    LAST,
    LIKES,
    OWN,
    REACH,
    RECENT,
    SPECIAL,
    TARGET,
)
from nextclick.models.ranking import Births, Race

ROWS = 24


def memory(seed: int) -> Memory:
    generator = torch.Generator().manual_seed(seed)
    made = Memory(10, 0.1)
    made.vector += torch.randn(len(made.vector), generator=generator, dtype=torch.float64) * 0.3
    return made


def evidence(seed: int, clicks: int) -> Evidence:
    """Draw evidence, some of it void; the session's own items are distinct."""
    draw = np.random.default_rng(seed)
    special = draw.integers(ROWS, size=(clicks, SPECIAL)).astype(np.int32)
    special[draw.random(special.shape) < 0.5] = 0
    own = slice(LIKES, LIKES + OWN - 1)
    for click in range(clicks):
        items = draw.permutation(ROWS - 1)[:OWN] + 1
        items[draw.random(OWN) < 0.4] = 0
        special[click, LAST], special[click, own] = items[0], items[1:]
    if seed % 3 == 0:
        special[:, :LIKES] = 0
    if seed % 4 == 0:
        special[:, own] = 0
    special[:, TARGET] = draw.integers(1, ROWS, size=clicks)
    if seed % 2:
        special[0, TARGET] = special[0, LAST] or special[0, TARGET]
    match = draw.random((clicks, EARLIER_CLICKS)) < 0.2
    return Evidence(special, match, draw.standard_normal((clicks, 10)))


def log_odds(chance: Tensor) -> Tensor:
    chance = chance.detach().clamp(1e-6, 1 - 1e-6)
    return (chance / (1 - chance)).log()


def plainly(vector: Tensor, told: Evidence, click: int, scores: Tensor) -> list[Tensor]:
    """Give p(i) of all rows for one click, by the equations as they stand, item by item."""
    w = weights_of(vector)
    rows, match = told.special[click].tolist(), told.match[click].tolist()
    network = scores[click].softmax(0)
    weights: list[tuple[int, int, Tensor]] = []
    place = 0
    for item, reach in enumerate(REACH):
        for turn in range(reach):
            earlier = place // (AFTER + BEFORE)
            for offset in range(AFTER + BEFORE):
                size = (w.items[item] + w.turns[turn] + w.offsets[offset]).exp()
                if match[earlier]:
                    size = size * w.match[0].exp()
                weights.append((0, rows[place], size))
                place += 1
    for turn in range(OWN - 1):
        weights.append((1, rows[place], w.own[turn].exp()))
        place += 1
    for turn in range(RECENT):
        age = int(2 * torch.log2(torch.tensor(turn + 1.0)))
        weights.append((2, rows[place], w.recent[age].exp()))
        place += 1
    nought = torch.zeros((), dtype=torch.float64)
    totals = [sum((s for p, r, s in weights if p == part and r), nought) for part in range(3)]
    matches = torch.tensor(float(sum(match)), dtype=torch.float64)
    here = [network.max().log(), (matches > 0).double(), matches.log1p()]
    told_facts = torch.from_numpy(told.facts[click])
    facts = torch.cat([told_facts, torch.stack([*here, totals[0].detach().log1p()])])
    pulls = [w.gates[0] @ facts]
    pulls += [
        w.gates[part + 1] @ facts if totals[part] > 0 else nought - torch.inf for part in range(3)
    ]
    gates = torch.stack(pulls).softmax(0)
    mixed = [gates[0] * network[row] for row in range(ROWS)]
    for part, row, size in weights:
        if row:
            mixed[row] = mixed[row] + gates[part + 1] * size / totals[part]
    last = rows[LAST]
    own = [r for r in rows[LIKES : LIKES + OWN - 1] if r]
    at_last = mixed[last] if last else nought
    at_own = sum((mixed[row] for row in own), nought)
    others = 1 - at_last - at_own
    repeat = torch.sigmoid(w.repeat @ torch.cat([facts, log_odds(at_last)[None]]))
    odds = log_odds(at_own / (1 - at_last))
    back = torch.sigmoid(w.back @ torch.cat([facts, odds[None]]))
    repeat = repeat if last else nought
    back = back if own else nought
    final = [(1 - repeat) * (1 - back) * m / others for m in mixed]
    for row in own:
        final[row] = (1 - repeat) * back * mixed[row] / at_own
    final[last] = repeat
    final[0] = nought
    return final


class Parts(NamedTuple):
    """The weights, as tensors."""

    gates: Tensor
    repeat: Tensor
    back: Tensor
    items: Tensor
    turns: Tensor
    offsets: Tensor
    match: Tensor
    own: Tensor
    recent: Tensor


def weights_of(vector: Tensor) -> Parts:
    shapes = [part.shape for part in Weights.of(vector.detach().numpy())]
    parts: Sequence[Tensor] = vector.split([math.prod(shape) for shape in shapes])
    return Parts(*(part.view(shape) for part, shape in zip(parts, shapes, strict=True)))


def mixtures(
    seed: int, known: Sequence[bool] = (True, True, True)
) -> tuple[Memory, Evidence, Tensor, Mixture]:
    clicks = len(known)
    made, told = memory(seed), evidence(seed, clicks)
    draw = torch.Generator().manual_seed(seed + 1)
    scores = torch.randn((clicks, ROWS), generator=draw, dtype=torch.float64)
    scores[:, 0] = -torch.inf
    slack = torch.full((clicks,), 1e-12, dtype=torch.float64)
    return (
        made,
        told,
        scores,
        Mixture(made, told, scores.softmax(1), np.array(known), slack),
    )


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_probabilities_and_ranks_are_those_of_the_equations(seed: int) -> None:
    made, told, scores, mixture = mixtures(seed)
    found = mixture.ranking(torch.full((len(scores),), ROWS - 1), scores == -torch.inf, k=ROWS - 1)
    for click, target in enumerate(told.special[:, TARGET].tolist()):
        final = torch.stack(plainly(made.vector, told, click, scores))
        assert float(final.sum()) == pytest.approx(1)
        assert found.scores[click].tolist() == pytest.approx(sorted(final[1:].tolist())[::-1])
        assert final[found.best[click]].tolist() == pytest.approx(found.scores[click].tolist())
        assert found.ranks[click] == (final[1:] >= final[target] * (1 - 1e-12)).sum()


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_the_gradient_is_that_of_the_log_likelihood(seed: int) -> None:
    known = (True, True, seed % 5 > 0)
    made, told, scores, mixture = mixtures(seed, known)
    vector = made.vector.clone().requires_grad_()
    loss = torch.zeros((), dtype=torch.float64)
    for click, target in enumerate(told.special[:, TARGET].tolist()):
        if known[click]:
            loss = loss - plainly(vector, told, click, scores)[target].log()
    (expected,) = torch.autograd.grad(loss, vector)
    found = torch.from_numpy(mixture.gradient)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_a_lone_item_has_it_all() -> None:
    """Where the catalogue holds nothing but the session's last item, it is certain."""
    told = evidence(0, 1)
    told.special[:] = 0
    told.special[:, [LAST, TARGET]] = 1
    scores = torch.tensor([[-torch.inf, 0.3]], dtype=torch.float64)
    slack = torch.zeros(1, dtype=torch.float64)
    mixture = Mixture(memory(0), told, scores.softmax(1), np.array([True]), slack)
    found = mixture.ranking(torch.tensor([1]), scores == -torch.inf, k=1)
    assert found.ranks.tolist() == [1]
    assert found.scores.tolist() == [[1.0]]


def test_a_score_that_is_not_a_number_is_told_and_teaches_nothing() -> None:
    made, told, scores, _ = mixtures(3)
    scores[1] = torch.nan
    slack = torch.zeros(3, dtype=torch.float64)
    known = np.array([False, True, False])
    mixture = Mixture(made, told, scores.softmax(1), known, slack)
    ranks = mixture.ranking(torch.full((3,), ROWS - 1), None, k=0).ranks
    assert ranks[1] == -1
    assert (ranks[[0, 2]] > 0).all()
    assert not mixture.gradient.any()


def test_without_lists_a_ranking_keeps_no_probabilities() -> None:
    _, _, _, mixture = mixtures(3)
    found = mixture.ranking(torch.full((3,), ROWS - 1), None, k=0)
    assert found.scores.untyped_storage().nbytes() == found.best.untyped_storage().nbytes() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [2, 17, 1000, 5001])
def test_the_forecast_is_the_softmax_of_the_scores(rows: int, dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(rows)
    outputs = torch.randn((7, 3), generator=draw, dtype=dtype)
    embedding, bias = (
        torch.randn((rows, 3), generator=draw, dtype=dtype),
        torch.zeros(rows).to(dtype),
    )
    bias[0] = -torch.inf
    targets, clicks = torch.ones(7, dtype=torch.int64), torch.arange(7)
    none = torch.zeros(0, dtype=torch.int64)
    for k in (0, 3):
        race, again = (
            Race(outputs, embedding, bias, targets, clicks, Births(none, none)) for _ in range(2)
        )
        (whole,) = race.parts
        network, absent = forecast(race, whole, k)
        assert torch.equal(network, again.scores(whole).softmax(dim=1))
        if k:
            assert absent is not None
            assert torch.equal(absent, (bias == -torch.inf).expand(7, rows))
