from __future__ import annotations

from typing import Any

import pytest
import torch

from nextclick.models.base import Request
from nextclick.models.losses import sampled_cross_entropy
from tests.models.gru4rec.learners import DEEP, EMBEDDINGS, model, stream


@pytest.mark.parametrize(
    ("options", "window", "batch"),
    [({}, window, batch) for window in (1, 3, 100) for batch in (1, 5, 60)]
    + [
        ({"reset": "after"}, 3, 5),
        ({"cell": "lstm", **DEEP}, 3, 5),
        ({"cell": "rnn", "embedding": "one-hot"}, 3, 5),
        ({"embedding": "separate", **DEEP}, 3, 5),
    ],
)
def test_gradient_is_that_of_bptt_cut_after_k_steps(
    options: dict[str, Any], window: int, batch: int
) -> None:
    """By hand: run from zero with constants up to K clicks before, then K steps with gradient."""
    learner = model(window=window, **options)
    sessions, items = stream(60, sessions=3)
    rows, new = learner.vocabulary.admit(items)
    learner.items.draw(torch.from_numpy(rows[new]), learner.vocabulary.used)
    weights = list(learner.network.parameters())
    table = learner.items.inputs.values
    direction = torch.randn(60, learner.network.size, dtype=torch.float64)

    past: dict[object, list[int]] = {}
    total = torch.zeros((), dtype=torch.float64)
    for place, (session, row) in enumerate(zip(sessions, rows.tolist(), strict=True)):
        before = past.setdefault(session, [])
        if before:
            state = torch.zeros(1, learner.network.width, dtype=torch.float64)
            for step, clicked in enumerate(before):
                if step == len(before) - window:
                    state = state.detach()
                state = learner.network.step(table[clicked][None], state)
            total = total + (learner.network.output(state)[0] * direction[place]).sum()
        before.append(row)
    expected = torch.autograd.grad(total, weights)

    found = [torch.zeros_like(weight) for weight in weights]
    for start in range(0, 60, batch):
        part = slice(start, start + batch)
        admitted = learner._admit(Request(sessions[part], items[part]))
        windows = admitted.windows
        outputs = learner._forward(admitted, learner._gather_histories(admitted)).outputs
        if len(outputs):
            loss = (outputs * direction[windows.scored + start]).sum()
            for sum_, gradient in zip(found, torch.autograd.grad(loss, weights), strict=True):
                sum_ += gradient
        learner.sessions.advance(windows, admitted.histories, admitted.ends)
    for sum_, gradient in zip(found, expected, strict=True):
        torch.testing.assert_close(sum_, gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("options", [{}, {"cell": "lstm", "bias": True, **DEEP}])
def test_one_batch_teaches_the_gradient_of_its_loss(
    embedding: str, options: dict[str, Any]
) -> None:
    """Against whole tables as parameters: the touched rows, and only these, have gradients."""
    learner = model(embedding=embedding, **options)
    clicks = stream(60, sessions=3)
    learner.learn_many(*clicks)
    sessions, names = stream(20, seed=1, sessions=3, items=9)
    names = [name for name in names if learner.knows(name)]
    sessions = sessions[: len(names)]
    random = learner._draws.get_state()
    batch = learner._admit(Request(sessions, names, learn=True))
    windows = batch.windows
    forward = learner._forward(batch, learner._gather_histories(batch))
    targets = batch.rows[windows.scored]
    found = learner._gradients(batch, forward, targets)
    assert found is not None

    learner._draws.set_state(random)
    items, network = learner.items, learner.network
    whole = {part: part.values.clone().requires_grad_() for part, _, _ in found.items}
    read, scored = whole[items.inputs], whole[items.embedding]
    negatives = learner.popularity.sample(learner.config.n_negatives)
    candidates = torch.cat([targets, negatives])
    expected = learner.popularity.expected(candidates, len(negatives), len(targets))
    bias = whole.get(items.bias, items.bias.values)
    outputs = network(read[forward.steps], windows.sizes, forward.starts)
    loss = sampled_cross_entropy(
        outputs @ scored[candidates].T + bias[candidates],
        candidates,
        expected,
        len(candidates) / learner.n_items,
    )
    weights = [*network.parameters(), *whole.values()]
    gradients = torch.autograd.grad(loss, weights)
    dense = [
        torch.zeros_like(part.values).index_copy_(0, rows, gradient)
        for part, rows, gradient in found.items
    ]
    for one, other in zip([*found.network, *dense], gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert len(whole) == (1 if embedding == "tied" else 2) + bool(options)


def test_gradients_are_clipped_together() -> None:
    """Adagrad's accumulator is the square of the one gradient so far."""
    found = []
    for most in (0.0, 1e-3, 1e9):
        learner = model(clip=most, bias=True, embedding="separate")
        learner.learn_many(*stream(16))
        items = learner.items
        squares = [memory.flatten() for memory in learner.trainer.optimizer_state]
        squares += [
            part.optimizer_state[0].flatten()
            for part in (items.embedding, items.inputs, items.bias)
        ]
        found.append(torch.cat(squares))
    free, clipped, loose = found
    assert free.sum().sqrt() > 0.01
    assert clipped.sum().sqrt().item() == pytest.approx(1e-3, rel=1e-3)
    assert torch.equal(free, loose)
    torch.testing.assert_close(clipped / clipped.sum(), free / free.sum())
