from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nextclick.models.click_log import ClickLog
from nextclick.models.items import ItemTable
from nextclick.models.memory import PARTS, REACH, Evidence, Memory
from nextclick.models.mixture import Mixture
from nextclick.models.optim import Adagrad

CPU = torch.device("cpu")
ROWS = 24


def memory(seed: int) -> Memory:
    generator = torch.Generator().manual_seed(seed)
    items = ItemTable(2, None, 0.1, Adagrad(0.1), CPU, torch.float64, generator)
    made = Memory(ClickLog(10, items, CPU), items, 0.1, CPU, torch.float64)
    made.vector += torch.randn(len(made.vector), generator=generator, dtype=torch.float64) * 0.3
    return made


def evidence(seed: int, clicks: int) -> Evidence:
    """Draw evidence, some of it void; the session's own items are distinct."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randint(ROWS, (clicks, sum(PARTS)), generator=draw)
    rows[torch.rand(rows.shape, generator=draw) < 0.5] = 0
    first = PARTS[0]
    last = torch.zeros(clicks, dtype=torch.int64)
    for click in range(clicks):
        own = torch.randperm(ROWS - 1, generator=draw)[: PARTS[1] + 1] + 1
        own[torch.rand(len(own), generator=draw) < 0.4] = 0
        last[click] = own[0]
        rows[click, first : first + PARTS[1]] = own[1:]
    if seed % 3 == 0:
        rows[:, : PARTS[0]] = 0
    if seed % 4 == 0:
        rows[:, first : first + PARTS[1]] = 0
    match = torch.rand((clicks, sum(REACH)), generator=draw) < 0.2
    facts = torch.randn((clicks, 10), generator=draw, dtype=torch.float64)
    return Evidence(rows, match, last, facts)


def log_odds(chance: Tensor) -> Tensor:
    chance = chance.detach().clamp(1e-6, 1 - 1e-6)
    return (chance / (1 - chance)).log()


def plainly(made: Memory, told: Evidence, click: int, scores: Tensor) -> list[Tensor]:
    """Give p(i) of all rows for one click, by the equations as they stand, item by item."""
    w, rows = made.weights, told.rows[click].tolist()
    network = scores[click].softmax(0)
    weights: list[tuple[int, int, Tensor]] = []
    place = 0
    for item, reach in enumerate(REACH):
        for turn in range(reach):
            earlier = place // 5
            for offset in range(5):
                size = (w["items"][item] + w["turns"][turn] + w["offsets"][offset]).exp()
                if told.match[click, earlier]:
                    size = size * w["match"][0].exp()
                weights.append((0, rows[place], size))
                place += 1
    for turn in range(PARTS[1]):
        weights.append((1, rows[place], w["own"][turn].exp()))
        place += 1
    for turn in range(PARTS[2]):
        age = int(2 * torch.log2(torch.tensor(turn + 1.0)))
        weights.append((2, rows[place], w["recent"][age].exp()))
        place += 1
    nought = torch.zeros((), dtype=torch.float64)
    totals = [sum((s for p, r, s in weights if p == part and r), nought) for part in range(3)]
    matches = told.match[click].sum()
    here = [network.max().log(), (matches > 0).double(), matches.double().log1p()]
    facts = torch.cat([told.facts[click], torch.stack([*here, totals[0].detach().log1p()])])
    pulls = [w["gates"][0] @ facts]
    pulls += [
        w["gates"][part + 1] @ facts if totals[part] > 0 else nought - torch.inf
        for part in range(3)
    ]
    gates = torch.stack(pulls).softmax(0)
    mixed = [gates[0] * network[row] for row in range(ROWS)]
    for part, row, size in weights:
        if row:
            mixed[row] = mixed[row] + gates[part + 1] * size / totals[part]
    last = int(told.last[click])
    own = [r for r in rows[PARTS[0] : PARTS[0] + PARTS[1]] if r]
    at_last = mixed[last] if last else nought
    at_own = sum((mixed[row] for row in own), nought)
    others = 1 - at_last - at_own
    repeat = torch.sigmoid(w["repeat"] @ torch.cat([facts, log_odds(at_last)[None]]))
    odds = log_odds(at_own / (1 - at_last))
    back = torch.sigmoid(w["return"] @ torch.cat([facts, odds[None]]))
    repeat = repeat if last else nought
    back = back if own else nought
    final = [(1 - repeat) * (1 - back) * m / others for m in mixed]
    for row in own:
        final[row] = (1 - repeat) * back * mixed[row] / at_own
    final[last] = repeat
    final[0] = nought
    return final


def mixtures(seed: int, clicks: int = 3) -> tuple[Memory, Evidence, Tensor, Tensor, Mixture]:
    made, told = memory(seed), evidence(seed, clicks)
    draw = torch.Generator().manual_seed(seed + 1)
    scores = torch.randn((clicks, ROWS), generator=draw, dtype=torch.float64)
    scores[:, 0] = -torch.inf
    targets = torch.randint(1, ROWS, (clicks,), generator=draw)
    if seed % 2:
        targets[0] = told.last[0] or targets[0]
    items = torch.full((clicks,), ROWS - 1)
    network = scores.softmax(1)
    return made, told, scores, targets, Mixture(made, told, scores, network, targets, items)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_probabilities_and_ranks_are_those_of_the_equations(seed: int) -> None:
    made, told, scores, targets, mixture = mixtures(seed)
    slack = torch.zeros(len(targets), dtype=torch.float64)
    found = mixture.ranking(slack + 1e-12, k=ROWS - 1)
    for click, target in enumerate(targets.tolist()):
        final = torch.stack(plainly(made, told, click, scores))
        assert float(final.sum()) == pytest.approx(1)
        assert found.scores[click].tolist() == pytest.approx(sorted(final[1:].tolist())[::-1])
        assert final[found.best[click]].tolist() == pytest.approx(found.scores[click].tolist())
        assert found.ranks[click] == (final[1:] >= final[target] * (1 - 1e-12)).sum()


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_the_gradient_is_that_of_the_log_likelihood(seed: int) -> None:
    made, told, scores, targets, mixture = mixtures(seed)
    known = torch.tensor([True, True, seed % 5 > 0])
    made.vector.requires_grad_()
    sizes = [weight.numel() for weight in made.weights.values()]
    parts: Sequence[Tensor] = made.vector.split(sizes)
    made.weights = {
        name: part.view(weight.shape)
        for (name, weight), part in zip(made.weights.items(), parts, strict=True)
    }
    loss = torch.zeros((), dtype=torch.float64)
    for click, target in enumerate(targets.tolist()):
        if known[click]:
            loss = loss - plainly(made, told, click, scores)[target].log()
    (expected,) = torch.autograd.grad(loss, made.vector)
    torch.testing.assert_close(mixture.gradient(known), expected, rtol=1e-7, atol=1e-9)


def test_a_lone_item_has_it_all() -> None:
    """Where the catalogue holds nothing but the session's last item, it is certain."""
    made = memory(0)
    told = evidence(0, 1)._replace(
        rows=torch.zeros((1, sum(PARTS)), dtype=torch.int64), last=torch.tensor([1])
    )
    scores = torch.tensor([[-torch.inf, 0.3]], dtype=torch.float64)
    one = torch.tensor([1])
    mixture = Mixture(made, told, scores, scores.softmax(1), one, one)
    found = mixture.ranking(torch.zeros(1, dtype=torch.float64), k=1)
    assert found.ranks.tolist() == [1]
    assert found.scores.tolist() == [[1.0]]
