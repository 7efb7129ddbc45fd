from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.compute.device import HOST
from nextclick.models.gru4rec import size_check as room
from nextclick.models.gru4rec.size_check import check_room, memory_of, needs_of
from nextclick.stream import ConfigError, RunConfig, run


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": 1_000_000_000},
        {"hidden": [100, 10_000_000]},
        {"feed_forward": [10**9]},
        {"window": 10**12},
        {"n_negatives": 10**12},
        {"memory": 10**14},
    ],
    ids=str,
)
def test_what_takes_more_than_the_machine_has_is_named_before_it_is_taken(
    options: dict[str, Any],
) -> None:
    ((option, value),) = options.items()
    with pytest.raises(ValueError, match="of memory at least, and there are") as caught:
        OnlineGRU4Rec(GRU4RecConfig(**options), device="cpu")
    assert str(caught.value).startswith(f"{option}={value} takes ")


def test_the_needs_of_the_network_are_those_of_its_weights() -> None:
    config = GRU4RecConfig(hidden=[30, 20], feed_forward=[10, 40], embedding="separate")
    model = OnlineGRU4Rec(config, device="cpu")
    weights = sum(w.nbytes for w in model.network.parameters() if w.ndim == 2)
    needs = needs_of(config, 4)
    named = needs["hidden=[30, 20]"] + needs["feed_forward=[10, 40]"]
    assert named == room.WEIGHT * weights


def test_a_containers_limit_counts_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = memory_of(HOST)
    monkeypatch.setattr(room, "CGROUP", tmp_path / "memory.max")
    assert memory_of(HOST) >= machine
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_of(HOST) >= machine
    (tmp_path / "memory.max").write_text("1000000\n")
    assert memory_of(HOST) == 1_000_000
    check_room({"kept=5": 1_000_000}, HOST)
    with pytest.raises(ValueError, match=r"kept=5 takes 1 MB .* there are 1 MB: choose less"):
        check_room({"kept=5": 1_000_001}, HOST)


@pytest.mark.parametrize("memory", [0, 8])
def test_a_batch_has_a_largest_size_that_the_message_names(memory: int) -> None:
    model = OnlineGRU4Rec(GRU4RecConfig(hidden=2, memory=memory), device="cpu")
    most = model.largest_batch
    assert most == 1 << 16
    with pytest.raises(ValueError, match="65,537 clicks is too large: gru4rec takes 65,536"):
        model.learn_many(range(most + 1), range(most + 1))
    with pytest.raises(ConfigError, match="--batch must be at most 65,536, not 70,000"):
        run("sim:clicks=10", RunConfig(batch=70_000, device="cpu"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_sessions", 0),
        ("max_sessions", "5"),
        ("max_items", -1),
        ("max_items", 2.5),
        ("max_items", True),
        ("seed", 1 << 70),
        ("seed", None),
        ("config", {"hidden": 8}),
        ("config", "gru"),
    ],
)
def test_a_model_is_not_made_with_what_is_no_option_of_it(option: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{option} must be"):
        OnlineGRU4Rec(**{option: value}, device="cpu")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("hidden", "8"),
        ("hidden", 8.5),
        ("hidden", True),
        ("hidden", ["8"]),
        ("feed_forward", 8),
        ("window", None),
        ("learning_rate", "fast"),
        ("bias", "yes"),
        ("n_negatives", [1]),
        ("alpha", math.inf),
    ],
)
def test_an_option_of_a_wrong_type_is_named(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{option}"):
        GRU4RecConfig(**{option: value})
