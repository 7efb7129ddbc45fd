from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from nextclick.models.compute import score_blocks
from nextclick.models.compute.background import Task
from nextclick.models.memory.boost import BOOST_WEIGHTS, Boost
from nextclick.models.memory.evidence import Evidence
from nextclick.models.memory.layout import (
    AFTER,
    BEFORE,
    EARLIER_CLICKS,
    ITEM_FACTS,
    LAST,
    LOOKBACK,
    NEIGHBOUR_CLICKS,
    RECENT,
    SESSION_FEATURES,
    SESSION_ITEMS,
    SPECIAL,
    TARGET,
)
from nextclick.models.memory.memory import Memory
from nextclick.models.memory.mixture import mix
from nextclick.models.memory.weights import WEIGHTS, Weights
from nextclick.models.ranking import CatalogueRanker, NewItems, Ranking

ROWS = 24


def memory(seed: int) -> Memory:
    generator = torch.Generator().manual_seed(seed)
    made = Memory(10, 0.1, boosted=seed % 7 > 0, seed=seed)
    made.vector += torch.randn(len(made.vector), generator=generator, dtype=torch.float64) * 0.3
    # As the compiled loops have them.
    made.vector[WEIGHTS:] = made.vector[WEIGHTS:].float().double()
    return made


def evidence(seed: int, clicks: int) -> Evidence:
    """Draw evidence, some of it void; the session's own items are distinct."""
    draw = np.random.default_rng(seed)
    special = draw.integers(ROWS, size=(clicks, SPECIAL)).astype(np.int32)
    special[draw.random(special.shape) < 0.5] = 0
    own = slice(NEIGHBOUR_CLICKS, NEIGHBOUR_CLICKS + SESSION_ITEMS - 1)
    for click in range(clicks):
        items = draw.permutation(ROWS - 1)[:SESSION_ITEMS] + 1
        items[draw.random(SESSION_ITEMS) < 0.4] = 0
        special[click, LAST], special[click, own] = items[0], items[1:]
    if seed % 3 == 0:
        special[:, :NEIGHBOUR_CLICKS] = 0
    if seed % 4 == 0:
        special[:, own] = 0
    special[:, TARGET] = draw.integers(1, ROWS, size=clicks)
    if seed % 2:
        special[0, TARGET] = special[0, LAST] or special[0, TARGET]
    match = draw.random((clicks, EARLIER_CLICKS)) < 0.2
    return listed(special, match, draw.standard_normal((clicks, SESSION_FEATURES)), draw)


def listed(
    special: NDArray[np.int32],
    match: NDArray[np.bool_],
    facts: NDArray[np.float64],
    draw: np.random.Generator,
) -> Evidence:
    """Return the evidence for the rows of each piece, 0 where it is void."""
    place_of = np.full(special.shape, -1, np.int16)
    spans: list[tuple[int, int]] = []
    rows: list[int] = []
    for click, of in enumerate(special.tolist()):
        distinct = list(dict.fromkeys(row for row in of if row))
        spans.append((len(rows), len(rows) + len(distinct)))
        rows += distinct
        place_of[click] = [distinct.index(row) if row else -1 for row in of]
    item_facts = draw.random((len(rows), ITEM_FACTS)).astype(np.float32)
    return Evidence(place_of, np.array(spans), match, facts, np.array(rows, np.int32), item_facts)


def special_rows(clues: Evidence, click: int) -> list[int]:
    begin, _ = clues.spans[click]
    return [int(clues.rows[begin + at]) if at >= 0 else 0 for at in clues.place_of[click].tolist()]


def targets_of(clues: Evidence) -> list[int]:
    return [special_rows(clues, click)[TARGET] for click in range(len(clues.spans))]


def log_odds(chance: Tensor) -> Tensor:
    chance = chance.detach().clamp(1e-6, 1 - 1e-6)
    return (chance / (1 - chance)).log()


def plainly(made: Memory, vector: Tensor, clues: Evidence, click: int, scores: Tensor) -> Tensor:
    """Return p(i) of all rows for one click, by the equations as written, item by item."""
    w = weights_of(vector)
    rows, match = special_rows(clues, click), clues.match[click].tolist()
    network = scores[click].softmax(0)
    pieces = pieces_of(w, rows, match)
    nought = torch.zeros((), dtype=torch.float64)
    totals = [
        sum((p.weight for p in pieces if p.part == part and p.row), nought) for part in (0, 1, 2)
    ]
    matches = torch.tensor(float(sum(match)), dtype=torch.float64)
    here = [network.max().log(), (matches > 0).double(), matches.log1p()]
    facts = torch.cat(
        [
            torch.from_numpy(clues.session_features[click]),
            torch.stack([*here, totals[0].detach().log1p()]),
        ]
    )
    pulls = [w.gates[0] @ facts]
    pulls += [
        w.gates[part + 1] @ facts if totals[part] > 0 else nought - torch.inf for part in range(3)
    ]
    gates = torch.stack(pulls).softmax(0)
    says = [[nought] * ROWS for _ in range(3)]
    for piece in pieces:
        if piece.row:
            share = piece.weight / totals[piece.part]
            says[piece.part][piece.row] = says[piece.part][piece.row] + share
    mixed = [
        gates[0] * network[row]
        + sum((gates[1 + p] * says[p][row] for p in range(3) if totals[p] > 0), nought)
        for row in range(ROWS)
    ]
    last = rows[LAST]
    own = [r for r in rows[NEIGHBOUR_CLICKS : NEIGHBOUR_CLICKS + SESSION_ITEMS - 1] if r]
    factors = [nought.exp()] * ROWS
    if made.boosted:
        factors = boosts(vector, clues, click, pieces, network, says, mixed, facts, last)
    at_last = mixed[last] if last else nought
    at_own = sum((mixed[row] for row in own), nought)
    repeat = torch.sigmoid(w.repeat @ torch.cat([facts, log_odds(at_last)[None]]))
    odds = log_odds(at_own / (1 - at_last))
    back = torch.sigmoid(w.back @ torch.cat([facts, odds[None]]))
    repeat = repeat if last else nought
    back = back if own else nought
    ordinary = [row for row in range(ROWS) if row not in own and row != last]
    # The rows that the sum leaves out hold no item, and have no probability.
    others = sum((mixed[row] * factors[row] for row in ordinary), nought)
    at_own = sum((mixed[row] * factors[row] for row in own), nought)
    final = [
        (1 - repeat) * (1 - back) * m * f / others for m, f in zip(mixed, factors, strict=True)
    ]
    for row in own:
        final[row] = (1 - repeat) * back * mixed[row] * factors[row] / at_own
    if last:
        final[last] = repeat
    return torch.stack(final)


def pieces_of(w: Parts, rows: list[int], match: list[bool]) -> list[Piece]:
    """Return each piece of evidence with its weight."""
    pieces: list[Piece] = []
    for item, reach in enumerate(LOOKBACK):
        for turn in range(reach):
            for offset in range(AFTER + BEFORE):
                weight = w.items[item] + w.turns[turn] + w.offsets[offset]
                if match[len(pieces) // (AFTER + BEFORE)]:
                    weight = weight + w.match[0]
                pieces.append(Piece(0, rows[len(pieces)], weight.exp(), item, offset))
    for turn in range(SESSION_ITEMS - 1):
        pieces.append(Piece(1, rows[len(pieces)], w.own[turn].exp()))
    for turn in range(RECENT):
        age = int(2 * torch.log2(torch.tensor(turn + 1.0)))
        pieces.append(Piece(2, rows[len(pieces)], w.recent[age].exp()))
    return pieces


def boosts(
    vector: Tensor,
    clues: Evidence,
    click: int,
    pieces: Sequence[Piece],
    network: Tensor,
    says: list[list[Tensor]],
    mixed: list[Tensor],
    facts: Tensor,
    last: int,
) -> list[Tensor]:
    """Return exp b(i) of all rows; the features are constants of the gradient."""
    begin, end = clues.spans[click]
    network, mixed = network.detach(), [of.detach() for of in mixed]
    says = [[of.detach() for of in part] for part in says]
    pieces = [piece._replace(weight=piece.weight.detach()) for piece in pieces]
    known = dict(zip(clues.rows[begin:end].tolist(), clues.item_facts[begin:end], strict=True))
    boost = boost_of(vector)
    c = torch.cat([torch.ones(1), facts[[2, 1, 10, 11, 12, 13, 7, 8, 9]]])
    c = (c * torch.tensor([1, 1, 0.4, 0.2, 1, 0.4, 0.3, 0.15, 1, 0.4])).detach()
    factors = [torch.ones((), dtype=torch.float64)] * ROWS
    for row in range(1, ROWS):
        like, own, recent = (float(part[row]) for part in says)
        if row == last or not like + own + recent:
            continue
        likes = [piece for piece in pieces if piece.row == row and piece.part == 0]
        whole = sum(float(piece.weight) for piece in likes)
        after = sum(float(piece.weight) for piece in likes if piece.offset < AFTER)
        earlier = sum(float(piece.weight) for piece in likes if piece.item > 0)
        direct = sum(piece.item == 0 and piece.offset == 0 for piece in likes)
        f = torch.tensor(
            [
                1,
                0.5 * math.log(like) if like else 0,
                0.5 * max(math.log((float(network[row]) + 1e-9) / float(network.max())), -12),
                after / whole if whole else 0,
                earlier / whole if whole else 0,
                0.5 * math.log(100 * recent) if recent else 0,
                recent > 0,
                *(np.log1p(known[row]) * np.array([0.5, 0.3, 0.3, 0.2, 0.2])),
                math.log1p(direct),
                math.log1p(len(likes)),
                0.5 * math.log(own) if own else 0,
                0.3 * math.log(float(mixed[row]) + 1e-9),
            ],
            dtype=torch.float64,
        )
        group = 0 if own else 1 if like else 2
        h = torch.nn.functional.leaky_relu(boost.features @ f + boost.moment @ c, 0.05)
        b = boost.direct[group] @ f + boost.hidden[group] @ h
        factors[row] = b.clamp(-8, 8).exp()
    return factors


class Piece(NamedTuple):
    """A piece of evidence: its part, the row of its item, its weight, and where a neighbour is."""

    part: int
    row: int
    weight: Tensor
    item: int = 0
    offset: int = 0


class BoostParts(NamedTuple):
    """The weights of the boost, as tensors."""

    direct: Tensor
    hidden: Tensor
    features: Tensor
    moment: Tensor


def boost_of(vector: Tensor) -> BoostParts:
    shapes = [part.shape for part in Boost.of(np.zeros(BOOST_WEIGHTS, np.float32))]
    parts: Sequence[Tensor] = vector[WEIGHTS:].split([math.prod(shape) for shape in shapes])
    return BoostParts(*(part.view(shape) for part, shape in zip(parts, shapes, strict=True)))


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
    mixture = vector[:WEIGHTS]
    shapes = [part.shape for part in Weights.of(mixture.detach().numpy())]
    parts: Sequence[Tensor] = mixture.split([math.prod(shape) for shape in shapes])
    return Parts(*(part.view(shape) for part, shape in zip(parts, shapes, strict=True)))


def mixed(
    made: Memory, clues: Evidence, scores: Tensor, known: Sequence[bool], k: int = 0
) -> tuple[Ranking, NDArray[np.float64]]:
    """Mix with a network of these scores; row 0 is no item."""
    bias = torch.zeros(scores.shape[1], dtype=scores.dtype)
    bias[0] = -torch.inf
    outputs = scores.clone()
    outputs[:, 0] = 0
    targets = torch.tensor(
        [target if one else 0 for target, one in zip(targets_of(clues), known, strict=True)]
    )
    none = torch.zeros(0, dtype=torch.int64)
    ranker = CatalogueRanker(
        outputs,
        torch.eye(scores.shape[1], dtype=scores.dtype),
        bias,
        targets,
        torch.arange(len(scores)),
        NewItems(none, none),
    )
    ranker.k, ranker.evidence = k, Task(lambda: clues)
    (whole,) = ranker.parts
    return mix(made, clues, ranker, whole, learn=True)


def draws(
    seed: int, clicks: int = 3, dtype: torch.dtype = torch.float64
) -> tuple[Memory, Evidence, Tensor]:
    draw = torch.Generator().manual_seed(seed + 1)
    scores = torch.randn((clicks, ROWS), generator=draw, dtype=torch.float64)
    scores[:, 0] = -torch.inf
    return memory(seed), evidence(seed, clicks), scores.to(dtype)


@given(st.integers(0, 10_000), st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=25, deadline=None)
def test_probabilities_and_ranks_are_those_of_the_equations(seed: int, dtype: torch.dtype) -> None:
    made, clues, scores = draws(seed, dtype=dtype)
    found, _ = mixed(made, clues, scores, [True] * 3, k=ROWS - 1)
    exact = scores.double()
    single = dtype == torch.float32
    for click, target in enumerate(targets_of(clues)):
        final = plainly(made, made.vector, clues, click, exact)
        assert float(final.sum()) == pytest.approx(1)
        # The boost is computed in float32.
        near = partial(pytest.approx, rel=1e-4 if made.boosted or single else 1e-9)
        assert found.scores[click].tolist() == near(sorted(final[1:].tolist())[::-1])
        assert final[found.best[click]].tolist() == near(found.scores[click].tolist())
        by_score = dict(zip(found.best[click].tolist(), found.scores[click].tolist(), strict=True))
        least = by_score[target] * (1 - (1e-5 if single else 1e-12))
        assert found.ranks[click] == sum(score >= least for score in by_score.values())
    ranked, _ = mixed(made, clues, scores, [True] * 3)
    assert torch.equal(ranked.ranks, found.ranks)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_gradient_is_that_of_the_log_likelihood(seed: int) -> None:
    known = (True, True, seed % 5 > 0)
    made, clues, scores = draws(seed)
    vector = made.vector.clone().requires_grad_()
    loss = torch.zeros((), dtype=torch.float64)
    for click, target in enumerate(targets_of(clues)):
        if known[click]:
            loss = loss - plainly(made, vector, clues, click, scores)[target].log()
    (expected,) = torch.autograd.grad(loss, vector)
    _, gradient = mixed(made, clues, scores, known)
    rtol, atol = (2e-3, 2e-4) if made.boosted else (1e-7, 1e-9)
    torch.testing.assert_close(torch.from_numpy(gradient), expected, rtol=rtol, atol=atol)


def test_a_lone_item_has_it_all() -> None:
    """Where the catalogue holds nothing but the session's last item, it is certain."""
    rows = np.zeros((1, SPECIAL), np.int32)
    rows[:, [LAST, TARGET]] = 1
    clues = listed(
        rows,
        np.zeros((1, EARLIER_CLICKS), np.bool_),
        np.ones((1, SESSION_FEATURES)),
        np.random.default_rng(0),
    )
    scores = torch.tensor([[-torch.inf, 0.3]], dtype=torch.float64)
    found, _ = mixed(memory(0), clues, scores, [True], k=1)
    assert found.ranks.tolist() == [1]
    assert found.scores.tolist() == [[1.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_score_that_is_not_a_number_has_no_rank_and_teaches_nothing(dtype: torch.dtype) -> None:
    made, clues, scores = draws(3, dtype=dtype)
    scores[1] = torch.nan
    found, _ = mixed(made, clues, scores, [True] * 3)
    assert found.ranks[1] == -1
    assert (found.ranks[[0, 2]] > 0).all()
    _, gradient = mixed(made, clues, scores, [False, True, False])
    assert not gradient.any()


@pytest.mark.parametrize("seed", range(4))
def test_ranks_do_not_depend_on_how_many_groups_of_scores_reach_the_bar(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, clues, scores = draws(seed, dtype=torch.float32)
    expected, _ = mixed(made, clues, scores, [True] * 3)
    for share in (0.0, 1.0):
        monkeypatch.setattr(score_blocks, "MOST_GROUPS", share)
        found, _ = mixed(made, clues, scores, [True] * 3)
        assert torch.equal(found.ranks, expected.ranks)


def test_without_lists_a_ranking_keeps_no_probabilities() -> None:
    found, _ = mixed(*draws(3), [True] * 3)
    assert found.scores.untyped_storage().nbytes() == found.best.untyped_storage().nbytes() == 0
