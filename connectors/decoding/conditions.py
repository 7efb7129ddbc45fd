"""Conditions on a record's fields, ``event_type in ('view', 'cart') and price > 0``."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, Protocol, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ..source import SourceError
from .paths import Getter, Scope
from .truth import Operand, both, compare, either, is_null, member, negate, truth

GRAMMAR = r"""
?start: either
?either: both (_OR both)*
?both: opposite (_AND opposite)*
?opposite: _NOT opposite -> negation
    | test
?test: "(" either ")"
    | operand OPERATOR operand -> comparison
    | operand _IS _NULL -> null
    | operand _IS _NOT _NULL -> not_null
    | operand _IN "(" literal ("," literal)* ")" -> member
    | operand _NOT _IN "(" literal ("," literal)* ")" -> not_member
    | operand -> truth
?operand: FIELD | literal
?literal: TEXT | NUMBER | TRUE | FALSE

OPERATOR: "<=" | ">=" | "!=" | "<>" | "=" | "<" | ">"
_OR.2: /or\b/i
_AND.2: /and\b/i
_NOT.2: /not\b/i
_IN.2: /in\b/i
_IS.2: /is\b/i
_NULL.2: /null\b/i
TRUE.2: /true\b/i
FALSE.2: /false\b/i
TEXT: /'(?:[^']|'')*'/
NUMBER.3: /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])/
FIELD: /(?!(?:and|or|not|in|is|null|true|false)(?![\w$@.\[:-]))
    (?:header:|key:)?(?:[^\W\d][\w$@-]*|[$@][\w$@-]*|"(?:[^"]|"")+"|\[-?\d*\])
    (?:\.(?:[\w$@-]+|"(?:[^"]|"")+")|\[-?\d*\])*/xi

%import common.WS
%ignore WS
"""

DEEPEST = 100
"""Levels of parentheses and ``not`` at most."""

HELP = (
    "write field = 'text', with !=, <, <=, >, >=, in ('a', 'b'), is null, and, or, not and "
    "parentheses; texts stand in single quotes, names with odd characters in double ones"
)


class Fields(Protocol):
    """Reads the fields of records, such as `Paths`."""

    def getter(self, text: str) -> Getter:
        """Return what reads a field."""
        ...


Condition = Callable[[Scope], bool | None]
"""Whether a record fulfils a condition; None where a field that it depends on is null."""

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@functools.cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr")


def parse_condition(text: str) -> Tree[Token]:
    """Parse a condition.

    Raises
    ------
    SourceError
        It is none; the message names the place.

    """
    if not text.strip():
        raise SourceError(f"it is empty: {HELP}")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _fault(text, error) from None
    if _depth(tree) > DEEPEST:
        raise SourceError(f"it is nested more than {DEEPEST} levels deep")
    for comparison in tree.find_data("comparison"):
        left, sign, right = comparison.children
        kinds = {child.type for child in (left, right) if isinstance(child, Token)}
        if isinstance(sign, Token) and kinds & {"TRUE", "FALSE"} and sign not in ("=", "!=", "<>"):
            raise SourceError(
                f"at character {_place(sign)}: {str(sign)!r}: true and false have no order; {HELP}"
            )
    return tree


def fields_in(tree: Tree[Token]) -> list[str]:
    """Return the fields that a condition depends on, each once, in order.

    Examples
    --------
    >>> fields_in(parse_condition("price > 5 and (kind in ('a', 'b') or not key:vip)"))
    ['price', 'kind', 'key:vip']

    """
    tokens = tree.scan_values(lambda value: isinstance(value, Token) and value.type == "FIELD")
    # In the order in which they are written.
    return list(dict.fromkeys(_field(str(token)) for token in sorted(tokens, key=_place)))


def compile_condition(tree: Tree[Token], paths: Fields) -> Condition:
    """Return a function that decides a condition, made of closures.

    Parameters
    ----------
    tree
        What `parse_condition` returned.
    paths
        Reads the fields.

    """
    parts = tree.children
    kind = str(tree.data)
    if kind in ("either", "both", "negation"):
        inner = [compile_condition(part, paths) for part in parts if isinstance(part, Tree)]
        if kind == "negation":
            return negate(inner[0])
        return either(inner) if kind == "either" else both(inner)
    first = _operand(parts[0], paths)
    if kind == "comparison":
        return compare(first, OPERATORS[str(parts[1])], _operand(parts[2], paths))
    if kind in ("null", "not_null"):
        return is_null(first, wanted=kind == "null")
    if kind == "truth":
        return truth(first)
    found = member(first, [_literal(part) for part in parts[1:]])
    return negate(found) if kind == "not_member" else found


def _operand(part: Any, paths: Fields) -> Operand:
    if part.type == "FIELD":
        getter: Getter = paths.getter(_field(str(part)))
        return Operand(getter, None)
    return Operand(None, _literal(part))


def _field(text: str) -> str:
    """Return the name of a field: one in double quotes alone is taken as it is."""
    if text[0] == text[-1] == '"' and '"' not in text[1:-1].replace('""', ""):
        return text[1:-1].replace('""', '"')
    return text


def _literal(token: Any) -> str | int | float | bool:
    text = str(token)
    if token.type == "TEXT":
        return text[1:-1].replace("''", "'")
    if token.type == "NUMBER":
        return int(text) if text.lstrip("+-").isdecimal() and len(text) < 1000 else float(text)
    return text.lower() == "true"


def _depth(tree: Tree[Token]) -> int:
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in one.children if isinstance(child, Tree)]
    return deepest


def _place(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _fault(text: str, error: UnexpectedInput) -> SourceError:
    """Return an error that names the place."""
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        at, what = _place(error.token), f"{str(error.token)!r} is not expected there"
    elif isinstance(error, UnexpectedCharacters):
        at = cast(int, error.pos_in_stream) + 1
        rest = text[at - 1 :]
        what = f"{rest[:1]!r} is not expected there"
        if rest[0] in "'\"":
            what = f"the quote that begins there, {rest[:20]}, is not expected or not closed"
    else:
        at, what = len(text) + 1, "it ends too early"
    return SourceError(f"at character {at}: {what}; {HELP}")
