from __future__ import annotations

import operator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import LogFormat, SourceError
from nextclick.connectors.decoding.conditions import compile_condition, fields_in, parse_condition
from nextclick.connectors.decoding.paths import Paths, Scope


def holds(text: str, record: Any) -> bool | None:
    paths = Paths()
    condition = compile_condition(parse_condition(text), paths)
    scope = Scope(paths.depth)
    scope.value = record
    return condition(scope)


RECORD = {
    "kind": "view",
    "price": 5,
    "text": "7.5",
    "user": {"tags": ["new", {"vip": True}], "name": "O'Hara"},
    "nothing": None,
    "empty": "",
    "bot": False,
    "a.b": "literal",
    "event type": 3.0,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("kind in ('view', 'cart')", True),
        ("KIND = 'view'", None),
        ("kind IN ('cart') OR price >= 5", True),
        ("not kind in ('cart')", True),
        ("kind not in ('view')", False),
        ("price = 5 and kind = 'view'", True),
        ("price != 5 or kind <> 'view'", False),
        ("price > 4 and price < 6 and price <= 5 and 5 <= price", True),
        ("price in (4, 5.0)", True),
        ("price = '5'", True),
        ("text > 7", True),
        ("text = 'x' or text < '8'", True),
        ("kind > 5", None),
        ("not (price = 5 or kind = 'x')", False),
        ("price = 5 or kind = 'x' and kind = 'y'", True),
        ("user.tags[0] = 'new'", True),
        ("user.tags[-1].vip", True),
        ("user.name = 'O''Hara'", True),
        ("bot = false and not bot", True),
        ("bot", False),
        ("\"a.b\" = 'literal'", True),
        ("a.b = 'literal'", True),
        ('"event type" = 3', True),
        ("nothing is null and empty is null and missing is null", True),
        ("nothing.deeper is null", True),
        ("kind is not null", True),
        # Nothing is known of a comparison with null.
        ("nothing = 'x'", None),
        ("not nothing = 'x'", None),
        ("nothing in ('x')", None),
        ("nothing = 'x' or kind = 'view'", True),
        ("nothing = 'x' and kind = 'view'", None),
        ("nothing = 'x' and kind = 'cart'", False),
        ("user = 'x'", None),
        ("price = -5e0", False),
    ],
)
def test_a_condition_is_decided_as_in_sql(text: str, value: bool | None) -> None:
    assert holds(text, RECORD) is value


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "empty"),
        ("kind = ", "character 8"),
        ("kind == 'view'", "character 7"),
        ("kind = 'view", "character 8.*not closed"),
        ("(kind = 'view'", "character 15"),
        ("kind = 'view')", "character 14"),
        ("kind in ()", "character 10"),
        ("kind in ('view',)", "character 17"),
        ("kind = 'a' and or price = 1", "character 16"),
        ("price between 1 and 2", "character 7"),
        ("kind = null", "character 8"),
        ("bot < true", "character 5.*no order"),
        ("price + 1 = 2", "character 7"),
        ("__import__('os')", "character 11"),
        ("not " * 200 + "bot", "levels deep"),
        ("(" * 200 + "bot" + ")" * 200 + "x", "character"),
    ],
)
def test_a_wrong_condition_is_refused_with_the_place(text: str, place: str) -> None:
    with pytest.raises(SourceError, match=place):
        parse_condition(text)
    with pytest.raises(SourceError, match=r"^--where "):
        LogFormat(where=text)


def test_the_fields_of_a_condition_are_found_in_order() -> None:
    tree = parse_condition("\"a b\" = 1 and (header:x is null or key:u.id in (1)) and a.b[] = 'c'")
    assert fields_in(tree) == ["a b", "header:x", "key:u.id", "a.b[]"]


SIGNS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, ">=": operator.ge}


@given(st.integers(-9, 9) | st.none(), st.sampled_from(sorted(SIGNS)), st.integers(-9, 9))
def test_numbers_compare_like_numbers(value: int | None, sign: str, other: int) -> None:
    expected = None if value is None else SIGNS[sign](value, other)
    assert holds(f"x {sign} {other}", {"x": value}) is expected
    assert holds(f"x {sign} {other}", {"x": None if value is None else str(value)}) is expected


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    with suppress(SourceError):
        assert fields_in(parse_condition(text)) is not None
