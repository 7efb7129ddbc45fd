"""The values of conditions: true, false, or None where a value is null, as in SQL."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .paths import Getter, Scope
from .values import number_in, too_long

Literal = str | int | float | bool
Decide = Callable[[Scope], bool | None]

LONGEST_NUMBER = 1000
"""Characters of a text that is read as a number at most."""


class Operand(NamedTuple):
    """One side of a comparison: a field, or a value that is written in the condition."""

    get: Getter | None
    literal: Literal | None


def as_number(value: Any) -> int | float | None:
    """Return the number that a field holds or writes; None where it holds none.

    Examples
    --------
    >>> [as_number(value) for value in (7, " 7.5", "seven", True, None)]
    [7, 7.5, None, None, None]

    """
    kind = type(value)
    if kind is int or kind is float:
        return None if value != value else value
    if kind is str:
        text = value.strip()
        if len(text) > LONGEST_NUMBER or (number := number_in(text)) is None:
            return None
        if math.isnan(number):
            return None
        return int(text) if text.lstrip("+-").isdecimal() else number
    return float(value) if kind is decimal.Decimal and value.is_finite() else None


def as_text(value: Any) -> str | None:
    """Return the text that a field holds, a number or a truth value as JSON writes it.

    An empty text is null, as it is in the cells of delimited text.

    Examples
    --------
    >>> [as_text(value) for value in ("view", 7, 7.0, True, "", [1])]
    ['view', '7', '7', 'true', None, None]

    """
    kind = type(value)
    if kind is str:
        return value or None
    if kind is bool:
        return "true" if value else "false"
    if kind is float and value.is_integer():
        return str(int(value))
    if kind is int or kind is float or kind is decimal.Decimal:
        return None if kind is int and too_long(value) else str(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if kind is bytes:
        try:
            return value.decode() or None
        except UnicodeDecodeError:
            return None
    return None


def as_truth(value: Any) -> bool | None:
    """Return the truth value that a field holds or writes; None where it holds none.

    Examples
    --------
    >>> [as_truth(value) for value in (True, "False", "yes", 1)]
    [True, False, None, None]

    """
    if type(value) is bool:
        return value
    return {"true": True, "false": False}.get(value.lower()) if type(value) is str else None


def reader_for(literal: Literal) -> Callable[[Any], Any]:
    """Return how a field is read that is compared with a value."""
    if isinstance(literal, bool):
        return as_truth
    return as_text if isinstance(literal, str) else as_number


def compare(left: Operand, operator: Callable[[Any, Any], bool], right: Operand) -> Decide:
    """Return what compares two operands; a field is read as what the other side is."""
    if right.get is None and left.get is not None:
        assert right.literal is not None
        get, value, read = left.get, right.literal, reader_for(right.literal)

        def field_first(scope: Scope) -> bool | None:
            found = read(get(scope))
            return None if found is None else operator(found, value)

        return field_first
    if left.get is None and right.get is not None:
        assert left.literal is not None
        own, literal, as_own = right.get, left.literal, reader_for(left.literal)

        def value_first(scope: Scope) -> bool | None:
            found = as_own(own(scope))
            return None if found is None else operator(literal, found)

        return value_first
    if left.get is not None and right.get is not None:
        one, other = left.get, right.get
        return lambda scope: _compare_fields(one(scope), operator, other(scope))
    decided = _compare_fields(left.literal, operator, right.literal)
    return lambda scope: decided


def _compare_fields(left: Any, operator: Callable[[Any, Any], bool], right: Any) -> bool | None:
    """Compare as numbers where one is a number and both write one, else as texts."""
    numeric = {type(left), type(right)} & {int, float, decimal.Decimal}
    read: Callable[[Any], Any] = as_number if numeric else as_text
    one, other = read(left), read(right)
    return None if one is None or other is None else operator(one, other)


def member(operand: Operand, values: Sequence[Literal]) -> Decide:
    """Return what decides whether an operand is one of some values."""
    sets: list[tuple[Callable[[Any], Any], frozenset[Any]]] = []
    for read in (as_text, as_number, as_truth):
        own = frozenset(value for value in values if reader_for(value) is read)
        if own:
            sets.append((read, own))
    get, literal = operand.get, operand.literal

    def decide(scope: Scope) -> bool | None:
        value = literal if get is None else get(scope)
        known = False
        for read, own in sets:
            found = read(value)
            if found is not None:
                if found in own:
                    return True
                known = True
        return False if known else None

    return decide


def is_null(operand: Operand, *, wanted: bool) -> Decide:
    """Return what decides whether an operand is null or missing, or is not."""
    get = operand.get
    if get is None:
        return lambda scope: not wanted
    return lambda scope: (get(scope) in (None, "")) is wanted


def truth(operand: Operand) -> Decide:
    """Return what decides whether an operand is true."""
    get, literal = operand.get, operand.literal
    if get is None:
        decided = as_truth(literal)
        return lambda scope: decided
    return lambda scope: as_truth(get(scope))


def negate(inner: Decide) -> Decide:
    """Return the opposite of a condition."""

    def decide(scope: Scope) -> bool | None:
        found = inner(scope)
        return None if found is None else not found

    return decide


def both(inner: Sequence[Decide]) -> Decide:
    """Return what decides whether all conditions hold."""

    def decide(scope: Scope) -> bool | None:
        known: bool | None = True
        for one in inner:
            found = one(scope)
            if found is False:
                return False
            if found is None:
                known = None
        return known

    return decide


def either(inner: Sequence[Decide]) -> Decide:
    """Return what decides whether one of the conditions holds."""

    def decide(scope: Scope) -> bool | None:
        known: bool | None = False
        for one in inner:
            found = one(scope)
            if found:
                return True
            if found is None:
                known = None
        return known

    return decide
