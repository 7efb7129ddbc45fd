"""The loss curve of the official GRU4Rec, met by this code driven in its protocol.

`official_losses.json` holds the losses of every mini-batch of three epochs, recorded once from the
official PyTorch code in its compatibility mode (see ``made_with`` and ``settings`` in it) on the
small log below. Numbers only: none of that code is here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextclick.models import OnlineGRU4Rec, Recipe

LANES = 8
HIDDEN = 16


def log() -> list[list[int]]:
    """Sixty sessions over forty items; no mini-batch has the same target twice."""
    return [
        [s % 8 + 8 * ((s + 2 * p + (p * p * s) % 3) % 5) for p in range(3 + 2 * s % 5)]
        for s in range(60)
    ]


def mini_batches(sessions: list[list[int]]) -> Iterator[tuple[list[int], int]]:
    """Session-parallel mini-batches (Hidasi et al., 2016, section 3.1.1), as lanes and a step.

    Each lane works through one session and then takes the next unused one, but only when all lanes
    have gone as far as the shortest reaches. An epoch ends when fewer than two lanes are left.
    """
    lanes = [(session, 0) for session in range(LANES)]
    unused = LANES
    while len(lanes) >= 2:
        steps = min(len(sessions[session]) - place for session, place in lanes) - 1
        for step in range(1, steps + 1):
            yield [session for session, _ in lanes], step
        moved = []
        for session, place in lanes:
            if len(sessions[session]) - (place + steps) > 1:
                moved.append((session, place + steps))
            else:
                if unused < len(sessions):
                    moved.append((unused, 0))
                unused += 1
        lanes = moved


def uniform(random: np.random.Generator, rows: int, columns: int) -> Tensor:
    bound = np.float32(np.sqrt(6 / (rows + columns)))
    drawn = random.random((rows, columns)).astype(np.float32)
    return torch.from_numpy(drawn * np.float32(2) * bound - bound).double()


def begin(learner: OnlineGRU4Rec, items: list[int]) -> None:
    """Give the learner the official initial weights, in its seed's order."""
    bits = np.random.MT19937()
    bits._legacy_seeding(42)
    random = np.random.Generator(bits)
    cell = learner.network.cells[0]
    for weight in (cell.weight_x, cell.weight_h):
        reset, update, candidate = (uniform(random, HIDDEN, HIDDEN) for _ in range(3))
        # There z keeps the old state; here it lets the new one in.
        assert weight is not None
        weight.data = torch.cat([-update, reset, candidate])
    cell.bias.data.zero_()
    rows, _ = learner.vocabulary.admit(items)
    learner.items.draw(torch.from_numpy(rows), learner.vocabulary.used)
    learner.items.embedding.values[1 : len(items) + 1] = uniform(random, len(items), HIDDEN)


def test_the_loss_curve_is_that_of_the_official_code() -> None:
    sessions = log()
    recipe = Recipe(
        hidden=HIDDEN,
        reset="after",
        window=1,
        bias=True,
        negatives=0,
        logq=0.0,
        rate=0.05,
        item_rate=0.05,
        kinship=0.0,
    )
    learner = OnlineGRU4Rec(recipe, device="cpu", dtype="float64")
    begin(learner, list(dict.fromkeys(item for session in sessions for item in session)))
    losses: list[float] = []
    plain_loss, plain_step = learner.trainer.loss, learner.trainer.rule.step
    gate_bias = learner.network.cells[0].bias

    def loss(scores: Tensor, *rest: Any) -> Tensor:
        # There the sum over the rows is divided by the nominal batch, however many are left.
        found: Tensor = plain_loss(scores, *rest) * (len(scores) / LANES)
        losses.append(float(found.detach()))
        return found

    def step(value: Tensor, memories: Sequence[Tensor], gradient: Tensor) -> None:
        before = value.clone()
        plain_step(value, memories, gradient)
        if value is gate_bias:
            # There each gate has two biases, of input and of state, and both take the same step.
            value[: 2 * HIDDEN] += value[: 2 * HIDDEN] - before[: 2 * HIDDEN]

    learner.trainer.loss = loss
    learner.trainer.rule.step = step  # type: ignore[method-assign]

    curves = []
    for epoch in range(3):
        losses.clear()
        places: dict[int, int] = {}
        for lanes, _ in mini_batches(sessions):
            for session in lanes:
                if session not in places:
                    places[session] = 0
                    learner.learn_one(f"{epoch}.{session}", sessions[session][0])
            for session in lanes:
                places[session] += 1
            learner.learn(
                [f"{epoch}.{session}" for session in lanes],
                [sessions[session][places[session]] for session in lanes],
            )
        curves.append(losses.copy())

    official = json.loads((Path(__file__).parent / "official_losses.json").read_bytes())
    np.testing.assert_allclose(curves, official["losses"], rtol=0, atol=5e-6)
    # And it does learn: the last epoch is far below the first.
    assert np.mean(curves[2]) < 0.8 * np.mean(curves[0])
