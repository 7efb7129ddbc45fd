from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.gru4rec.cells import GATES
from nextclick.models.gru4rec.network import ACTIVATIONS
from nextclick.models.optim import RULES


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("hidden", 0, "hidden must be at least 1, not 0"),
        ("hidden", -3, "hidden must be at least 1, not -3"),
        ("window", 0, "window must be at least 1, not 0"),
        ("n_negatives", -1, "n_negatives must not be negative, but is -1"),
        ("alpha", -0.1, "alpha must not be negative, but is -0.1"),
        ("half_life", 0.5, "half_life must be 0 or at least 1, not 0.5"),
        ("half_life", -3.0, "half_life must be 0 or at least 1, not -3.0"),
        ("alpha", math.nan, "alpha must be a finite number, not nan"),
        ("identity", math.nan, "identity must be a finite number, not nan"),
        ("update_gate_bias", -math.inf, "update_gate_bias must be a finite number, not -inf"),
        ("neighbour_init", math.inf, "neighbour_init must be a finite number, not inf"),
        ("clip", -0.1, "clip must not be negative, but is -0.1"),
        ("hidden", [], "hidden must name at least one layer"),
        ("hidden", [5, 0], "hidden must be at least 1, not 0"),
        ("feed_forward", [5, -1], "feed_forward must be at least 1, not -1"),
        ("momentum", 1.0, "momentum must be from 0 to below 1, not 1.0"),
        ("momentum", -0.1, "momentum must be from 0 to below 1, not -0.1"),
        ("dropout", 1.0, "dropout must be from 0 to below 1, not 1.0"),
        ("input_dropout", -0.1, "input_dropout must be from 0 to below 1, not -0.1"),
        ("cell", "tcn", "cell must be one of 'gru', 'lstm', 'rnn', not 'tcn'"),
        ("embedding", "two", "embedding must be one of 'tied', 'separate', 'one-hot', not 'two'"),
        ("activation", "sine", "activation must be one of 'linear', .*, not 'sine'"),
        ("optimizer", "sgd", "optimizer must be one of 'adagrad', 'row-adagrad', .*, not 'sgd'"),
        ("init_range", -0.1, "init_range must not be negative"),
        ("item_spread", -0.1, "item_spread must not be negative"),
        ("learning_rate", 0.0, "learning_rate must be more than 0, not 0"),
        ("learning_rate", math.nan, "learning_rate must be a finite number, not nan"),
        ("item_learning_rate", 0.0, "item_learning_rate must be more than 0, not 0"),
        ("item_learning_rate", -1.0, "item_learning_rate must be more than 0, not -1"),
        ("reset", "between", "reset must be one of 'before', 'after', not 'between'"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_name(
    option: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        GRU4RecConfig(**{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("hidden", 1),
        ("hidden", [1, 3, 2]),
        ("feed_forward", [1, 3]),
        ("momentum", 0.99),
        ("clip", 1e-9),
        ("dropout", 0.9),
        ("input_dropout", 0.9),
        ("bias", True),
        ("window", 1),
        ("n_negatives", 0),
        ("alpha", 0.0),
        ("half_life", 1.0),
        ("init_range", 0.0),
        ("item_spread", 0.0),
        ("learning_rate", 1e-9),
        ("item_learning_rate", 1e-9),
        ("reset", "after"),
        *(("cell", name) for name in GATES),
        *(("optimizer", name) for name in RULES),
        *(("activation", name) for name in ACTIVATIONS),
        *(("embedding", name) for name in ("tied", "separate", "one-hot")),
        ("identity", -1.0),
        ("neighbour_init", 0.0),
        ("update_gate_bias", -1.0),
    ],
)
def test_the_ends_of_the_ranges_are_allowed_and_work(option: str, value: Any) -> None:
    config = GRU4RecConfig(**{"hidden": 4, "n_negatives": 8, option: value})
    assert getattr(config, option) == value
    learner = OnlineGRU4Rec(config, device="cpu")
    learner.learn_many(["a"] * 3, ["x", "y", "x"])
    tested = learner.test_then_learn(["a", "b", "b"], ["y", "x", "y"])
    assert all(1 <= rank <= 2 for rank in tested.ranks[tested.scored])


@pytest.mark.parametrize("hidden", [7, [7], [7, 5]])
def test_a_recipe_comes_back_from_json(hidden: int | list[int]) -> None:
    config = GRU4RecConfig(
        hidden=hidden, feed_forward=[3], embedding="one-hot", learning_rate=0.5, bias=True
    )
    assert msgspec.json.decode(msgspec.json.encode(config), type=GRU4RecConfig) == config
    assert msgspec.json.decode(b"{}", type=GRU4RecConfig) == GRU4RecConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"hiden": 3}', "hiden"),
        (b'{"hidden": "many"}', "hidden"),
        (b'{"hidden": 0}', "hidden must be at least 1"),
        (b'{"reset": "between"}', "reset"),
        (b'{"hidden": [8, 0]}', "hidden must be at least 1"),
        (b'{"hidden": []}', "hidden must name at least one layer"),
        (b'{"feed_forward": 3}', "feed_forward"),
        (b'{"optimizer": "sgd"}', "optimizer"),
    ],
)
def test_a_recipe_from_a_file_is_checked(text: bytes, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.json.decode(text, type=GRU4RecConfig)


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(AttributeError):
        GRU4RecConfig().hidden = 5  # type: ignore[misc]


@pytest.mark.parametrize(("hidden", "layers"), [(7, [7]), ([7], [7]), ([7, 5], [7, 5])])
def test_layers_are_listed(hidden: int | list[int], layers: list[int]) -> None:
    assert GRU4RecConfig(hidden=hidden).layers == layers
