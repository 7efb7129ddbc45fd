from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from nextclick.models import OnlineGRU4Rec, Recipe
from nextclick.models.gru4rec.cells import GATES
from nextclick.models.gru4rec.network import ACTIVATIONS
from nextclick.models.optim import RULES


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("hidden", 0, "hidden must be at least 1, not 0"),
        ("hidden", -3, "hidden must be at least 1, not -3"),
        ("window", 0, "window must be at least 1, not 0"),
        ("negatives", -1, "negatives must not be negative, but is -1"),
        ("alpha", -0.1, "alpha must not be negative, but is -0.1"),
        ("half_life", 0.5, "half_life must be 0 or at least 1, not 0.5"),
        ("half_life", -3.0, "half_life must be 0 or at least 1, not -3.0"),
        ("alpha", math.nan, "alpha must be a finite number, not nan"),
        ("identity", math.nan, "identity must be a finite number, not nan"),
        ("open_gate", -math.inf, "open_gate must be a finite number, not -inf"),
        ("kinship", math.inf, "kinship must be a finite number, not inf"),
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
        ("spread", -0.1, "spread must not be negative"),
        ("item_spread", -0.1, "item_spread must not be negative"),
        ("rate", 0.0, "rate must be more than 0, not 0"),
        ("rate", math.nan, "rate must be a finite number, not nan"),
        ("item_rate", 0.0, "item_rate must be more than 0, not 0"),
        ("item_rate", -1.0, "item_rate must be more than 0, not -1"),
        ("reset", "between", "reset must be one of 'before', 'after', not 'between'"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_name(
    option: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Recipe(**{option: value})


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
        ("negatives", 0),
        ("alpha", 0.0),
        ("half_life", 1.0),
        ("spread", 0.0),
        ("item_spread", 0.0),
        ("rate", 1e-9),
        ("item_rate", 1e-9),
        ("reset", "after"),
        *(("cell", name) for name in GATES),
        *(("optimizer", name) for name in RULES),
        *(("activation", name) for name in ACTIVATIONS),
        *(("embedding", name) for name in ("tied", "separate", "one-hot")),
        ("identity", -1.0),
        ("kinship", 0.0),
        ("open_gate", -1.0),
    ],
)
def test_the_ends_of_the_ranges_are_allowed_and_work(option: str, value: Any) -> None:
    recipe = Recipe(**{"hidden": 4, "negatives": 8, option: value})
    assert getattr(recipe, option) == value
    learner = OnlineGRU4Rec(recipe, device="cpu")
    learner.learn(["a"] * 3, ["x", "y", "x"])
    tested = learner.test_then_learn(["a", "b", "b"], ["y", "x", "y"])
    assert all(1 <= rank <= 2 for rank in tested.ranks[tested.scored])


@pytest.mark.parametrize("hidden", [7, [7], [7, 5]])
def test_a_recipe_comes_back_from_json(hidden: int | list[int]) -> None:
    recipe = Recipe(hidden=hidden, feed_forward=[3], embedding="one-hot", rate=0.5, bias=True)
    assert msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe) == recipe
    assert msgspec.json.decode(b"{}", type=Recipe) == Recipe()


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
        msgspec.json.decode(text, type=Recipe)


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Recipe().hidden = 5  # type: ignore[misc]


@pytest.mark.parametrize(("hidden", "layers"), [(7, [7]), ([7], [7]), ([7, 5], [7, 5])])
def test_layers_are_listed(hidden: int | list[int], layers: list[int]) -> None:
    assert Recipe(hidden=hidden).layers == layers
