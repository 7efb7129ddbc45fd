"""What a batch makes the host wait for, on a device that keeps a GPU's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.gru4rec.cells import GATES
from nextclick.models.losses import LOSSES
from nextclick.models.optim import RULES
from nextclick.models.queries import Query
from tests.models.compute.recorded import ELSEWHERE, Record, recorded

BATCH = 32

PLAIN: list[dict[str, Any]] = [
    *({"loss": loss} for loss in [*LOSSES, "full-cross-entropy"]),
    *({"optimizer": rule} for rule in RULES),
    *({"cell": cell} for cell in GATES),
    *({"embedding": embedding, "bias": True} for embedding in ("separate", "one-hot")),
    {"momentum": 0.3, "clip": 1.0, "reset": "after", "feed_forward": [7]},
    {"hidden": [12, 6], "smoothing": 0.1, "alpha": 0.0},
]
"""Every loss, optimizer and cell, each with other options of their defaults."""


def batches(count: int, items: int) -> Iterator[tuple[list[int], list[int]]]:
    """Return batches whose sessions go on in the next one, with some new items in each."""
    draw = np.random.default_rng(0)
    for number in range(count):
        sessions = draw.integers(number // 2, number // 2 + 10, BATCH)
        yield sessions.tolist(), (draw.zipf(1.3, BATCH) % items).tolist()


def steps(record: Record, options: dict[str, Any], **limits: Any) -> Iterator[OnlineGRU4Rec]:
    """Learn batch by batch; after each, `record` holds what that batch did."""
    config = GRU4RecConfig(**{"hidden": 12, "window": 3, "n_negatives": 16, **options})
    model = OnlineGRU4Rec(config, seed=1, **limits)
    for number, (sessions, items) in enumerate(batches(8, 200)):
        record.clear()
        model.test_then_learn(sessions, items, k=5 if number % 2 else 0)
        yield model


@pytest.mark.parametrize("options", PLAIN, ids=str)
def test_a_batch_is_sent_together_and_waits_for_its_results_alone(
    options: dict[str, Any],
) -> None:
    with recorded() as record:
        for model in steps(record, {**options, "memory": 0}):
            assert model.device == ELSEWHERE
            assert (len(record.sent), len(record.fetched)) == (1, 1), record
            assert len(record.waits) == 1, record.waits


@pytest.mark.parametrize("options", [{}, {"memory_boost": False, "cell": "lstm"}], ids=str)
def test_the_memory_asks_the_network_once_a_batch(options: dict[str, Any]) -> None:
    """It sends what it asks for, gets the probabilities, and sends what ranks are counted by.

    A list of best items takes what it knows of these, too.
    """
    with recorded() as record:
        for number, _ in enumerate(steps(record, {**options, "memory": 1000})):
            assert len(record.sent) == 3 + number % 2, record
            assert len(record.fetched) == len(record.waits) == 2, record


@pytest.mark.parametrize(
    ("options", "limits", "more"),
    [
        ({"dropout": 0.2, "input_dropout": 0.1}, {}, 3),
        ({"half_life": 50.0}, {}, 1),
        ({"min_count": 2}, {}, 2),
        ({}, {"max_items": 60, "max_sessions": 40}, 1),
    ],
    ids=["dropout", "half life", "items that have not entered", "evictions"],
)
def test_what_else_is_sent_nothing_waits_for(
    options: dict[str, Any], limits: dict[str, int], more: int
) -> None:
    with recorded() as record:
        sent = 0
        for _ in steps(record, {"memory": 0, **options}, **limits):
            assert (len(record.fetched), len(record.waits)) == (1, 1), record.waits
            assert len(record.sent) <= 1 + more
            sent = max(sent, len(record.sent))
        assert sent > 1


def test_what_is_learned_without_ranks_waits_for_nothing() -> None:
    with recorded() as record:
        model = OnlineGRU4Rec(GRU4RecConfig(hidden=12, memory=0), seed=1)
        for sessions, items in batches(6, 100):
            record.clear()
            model.learn_many(sessions, items)
            assert (len(record.sent), record.fetched, record.waits) == (1, [], [])


@pytest.mark.parametrize("memory", [0, 1000])
def test_visitors_asked_for_together_wait_a_bounded_number_of_times(memory: int) -> None:
    with recorded() as record:
        *_, model = steps(record, {"memory": memory})
        sessions = list(model.sessions)
        waits = []
        for count in (1, len(sessions)):
            record.clear()
            model.recommend_each([Query(session=session) for session in sessions[:count]])
            waits.append(len(record.waits))
        assert waits[0] == waits[1] <= 5


def test_the_recording_device_keeps_a_gpus_rules() -> None:
    with recorded() as record:
        here, there = torch.arange(3), torch.arange(3).to(ELSEWHERE, non_blocking=True)
        assert (len(record.sent), record.waits) == (1, [])
        with pytest.raises(AssertionError, match="mixes"):
            _ = here + there
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()
        with pytest.raises(AssertionError, match=r"torch\.tensor"):
            _ = torch.tensor([1, 2, 3], device=ELSEWHERE) + there
        for wait in (
            lambda: there.sum().item(),
            lambda: bool(there.any()),
            lambda: there.cpu(),
            lambda: there.to("cpu"),
            lambda: there[there > 0],
            lambda: there.nonzero(),
            lambda: there.unique(),
            lambda: torch.equal(there, there),
            lambda: here.to(ELSEWHERE),
            lambda: here.clone().copy_(there),
        ):
            record.clear()
            wait()
            assert len(record.waits) == 1, record
        record.clear()
        there.add_(1).index_select(0, there.clamp(max=1)).cumsum(0).topk(2)
        assert record == Record()
