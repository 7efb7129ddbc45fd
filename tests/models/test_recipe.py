from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from nextclick.models import OnlineGRU4Rec, Recipe


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("hidden", 0, "hidden must be at least 1, not 0"),
        ("hidden", -3, "hidden must be at least 1, not -3"),
        ("window", 0, "window must be at least 1, not 0"),
        ("negatives", -1, "negatives must not be negative, but is -1"),
        ("alpha", -0.1, "alpha must not be negative, but is -0.1"),
        ("alpha", math.nan, "alpha must not be negative, but is nan"),
        ("spread", -0.1, "spread must not be negative"),
        ("item_spread", -0.1, "item_spread must not be negative"),
        ("rate", 0.0, "rate must be more than 0, not 0"),
        ("rate", math.nan, "rate must be more than 0, not nan"),
        ("item_rate", 0.0, "item_rate must be more than 0, not 0"),
        ("item_rate", -1.0, "item_rate must be more than 0, not -1"),
        ("reset", "between", "reset must be 'before' or 'after', not 'between'"),
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
        ("window", 1),
        ("negatives", 0),
        ("alpha", 0.0),
        ("spread", 0.0),
        ("item_spread", 0.0),
        ("rate", 1e-9),
        ("item_rate", 1e-9),
        ("reset", "after"),
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


def test_a_recipe_comes_back_from_json() -> None:
    recipe = Recipe(hidden=7, reset="after", rate=0.5)
    assert msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe) == recipe
    assert msgspec.json.decode(b"{}", type=Recipe) == Recipe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"hiden": 3}', "hiden"),
        (b'{"hidden": "many"}', "hidden"),
        (b'{"hidden": 0}', "hidden must be at least 1"),
        (b'{"reset": "between"}', "reset"),
    ],
)
def test_a_recipe_from_a_file_is_checked(text: bytes, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.json.decode(text, type=Recipe)


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Recipe().hidden = 5  # type: ignore[misc]
