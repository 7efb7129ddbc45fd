"""Fields of a record by path, such as ``payload.after.items[].id``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from .values import UnusableError

EACH = None
"""The step to each element of a list."""

Step = str | int | None

_STEP = re.compile(r'(?:"((?:[^"]|"")+)"|([^.\["\]]+))|\[(-?\d+)?\]')
_PART = re.compile(r'(?:"(?:[^"]|"")*"|[^+"])+')

HEADER, KEY = "header:", "key:"
"""Begin the names of a topic's headers, and of the fields of its keys; `KEY` alone is the key."""


class Envelope(Protocol):
    """What a topic's record has besides its value."""

    @property
    def key(self) -> bytes | None:
        """The record's key."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """The record's headers."""
        ...


class Scope:
    """A record while its fields are read.

    Attributes
    ----------
    value
        The record.
    envelope
        What a topic's record has besides it.
    elements
        For each level of lists, the elements that are being read, one of each list there.
    indices
        For each level, their place.

    """

    __slots__ = ("elements", "envelope", "indices", "value")

    def __init__(self, levels: int) -> None:
        self.value: Any = None
        self.envelope: Envelope | None = None
        self.elements: list[Sequence[Any]] = [()] * levels
        self.indices = [0] * levels


Getter = Callable[[Scope], Any]
"""Returns a field of a record; None where it is null or missing."""


class _List(NamedTuple):
    """A list: where it is, below which element it stands, and the steps to it from there."""

    steps: tuple[Step, ...]
    parent: tuple[int, int] | None
    below: tuple[Step, ...]


def parse_path(text: str) -> tuple[Step, ...]:
    """Return the steps of a path; a text that is none is the name of one field.

    Examples
    --------
    >>> parse_path("payload.after.id"), parse_path('events[].tags[0]."a.b"')
    (('payload', 'after', 'id'), ('events', None, 'tags', 0, 'a.b'))
    >>> parse_path("sum (EUR)."), parse_path("[1]")
    (('sum (EUR).',), (1,))

    """
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if steps and text[at] == ".":
            at += 1
        elif steps and text[at] != "[":
            return (text,)
        match = _STEP.match(text, at)
        if match is None or (text[at - 1 : at] == "." and text[at] == "["):
            return (text,)
        quoted, name, index = match.groups()
        if quoted is not None:
            steps.append(quoted.replace('""', '"'))
        elif name is not None:
            steps.append(name)
        else:
            steps.append(EACH if index is None else int(index))
        at = match.end()
    return tuple(steps) or (text,)


def joined_fields(text: str) -> list[str]:
    """Return the fields that are joined to one id, ``brand+model``.

    Examples
    --------
    >>> joined_fields("brand+model"), joined_fields("item_id"), joined_fields("a+")
    (['brand', 'model'], ['item_id'], ['a+'])

    """
    parts = [part.strip() for part in _PART.findall(text)]
    return parts if "+".join(_PART.findall(text)) == text and all(parts) else [text]


def is_path(text: str) -> bool:
    """Whether a text names something else than one plain field.

    Examples
    --------
    >>> [is_path(text) for text in ("item_id", "a.b", "tags[]", "brand+model", "header:user")]
    [False, True, True, True, True]

    """
    return text == "key" or bool(re.search(r'[.\[+"]', text)) or text.startswith((HEADER, KEY))


def walk(value: Any, steps: tuple[Step, ...]) -> Any:
    """Return what the steps lead to, None where it is null or missing.

    A text that holds a JSON object or list is read as one where steps lead into it.
    """
    for step in steps:
        if type(value) is str:
            value = json_inside(value)
        if type(value) is dict:
            value = value.get(step)
        elif type(value) is list and step is not EACH:
            try:
                value = value[int(step)]
            except (ValueError, IndexError):
                return None
        else:
            return None
    return value


def json_inside(text: str) -> Any:
    """Return the JSON object or list that a text holds; None where it holds none."""
    if not text.lstrip()[:1] or text.lstrip()[:1] not in "{[":
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


class Paths:
    """The fields of a record that are read, and the lists that they go through.

    Fields with ``[]`` stand for as many values as their list has elements. Lists at one level are
    read side by side and have equal lengths; a list inside an element of another is read within
    it.

    Parameters
    ----------
    key
        Returns the key of a topic's record; None where the records are those of a log.

    """

    def __init__(self, key: Callable[[Envelope], Any] | None = None) -> None:
        self._key = key
        self._levels: list[list[_List]] = []

    @property
    def depth(self) -> int:
        """The number of levels of lists."""
        return len(self._levels)

    def getter(self, text: str) -> Getter:
        """Return what reads a field; a field of the record that has just this name goes first."""
        steps = parse_path(text)
        if self._key is not None and text == KEY:
            return self._of_envelope("key")
        if self._key is not None and (text == "key" or text.startswith((HEADER, KEY))):
            inner = self._of_envelope(text)
        elif steps == (text,):
            return _named(text)
        elif EACH in steps:
            return self._of_element(steps)
        else:

            def inner(scope: Scope) -> Any:
                return walk(scope.value, steps)

        def get(scope: Scope) -> Any:
            value = scope.value
            if type(value) is dict and text in value:
                return value[text]
            return inner(scope)

        return get

    def expand(self, scope: Scope, level: int = 0) -> Iterator[UnusableError | None]:
        """Go through the elements of the lists, in order; yield once for each.

        Where a list is missing an error is yielded in the place of its elements.
        """
        try:
            lists = [self._find(scope, one, level) for one in self._levels[level]]
            if len({len(found) for found in lists}) > 1:
                raise UnusableError("lists_differ", self._lengths(scope, lists, level))
        except UnusableError as fault:
            self.clear(scope, level)
            yield fault
            return
        for index, elements in enumerate(zip(*lists, strict=True)):
            scope.elements[level], scope.indices[level] = elements, index
            if level + 1 == self.depth:
                yield None
            else:
                yield from self.expand(scope, level + 1)

    def clear(self, scope: Scope, level: int = 0) -> None:
        """Take all elements from a level on for null."""
        for below in range(level, self.depth):
            scope.elements[below] = [None] * len(self._levels[below])

    def described(self, scope: Scope, text: str) -> str:
        """Return a path with the places of the elements that are being read."""
        for index in scope.indices:
            text = text.replace("[]", f"[{index}]", 1)
        return text

    def missing(self, scope: Scope, text: str) -> str:
        """Return a sentence on a field that is null or missing."""
        shown = self.described(scope, text)
        steps = parse_path(shown)
        if self._key is None or not (text == "key" or text.startswith((HEADER, KEY))):
            for upto in range(1, len(steps)):
                if walk(scope.value, steps[:upto]) is None:
                    return f"there is no '{shown}': '{_written(steps[:upto])}' is null or missing"
        elif text in ("key", KEY):
            return "the record has no key"
        return f"there is no '{shown}'"

    def _of_envelope(self, text: str) -> Getter:
        key = self._key
        assert key is not None
        if text == "key":
            return lambda scope: None if scope.envelope is None else key(scope.envelope)
        name = text.partition(":")[2]
        steps = parse_path(name)
        if text.startswith(KEY):

            def of_key(scope: Scope) -> Any:
                value = None if scope.envelope is None else key(scope.envelope)
                if type(value) is str:
                    value = json_inside(value)
                if isinstance(value, dict) and name in value:
                    return value[name]
                return walk(value, steps)

            return of_key

        def of_headers(scope: Scope) -> Any:
            headers = () if scope.envelope is None else scope.envelope.headers
            for wanted, below in ((name, ()), (steps[0], steps[1:])):
                found = [value for header, value in headers if header == wanted]
                if found and found[-1] is not None:
                    return walk(_utf8(found[-1], f"the header '{wanted}'"), below)
            return None

        return of_headers

    def _of_element(self, steps: tuple[Step, ...]) -> Getter:
        cut = len(steps) - steps[::-1].index(EACH)
        (level, slot), rest = self._add(steps[:cut]), steps[cut:]
        if not rest:
            return lambda scope: scope.elements[level][slot]
        return lambda scope: walk(scope.elements[level][slot], rest)

    def _add(self, steps: tuple[Step, ...]) -> tuple[int, int]:
        """Add a list, and those that it is in; return its level and its place there."""
        outer = steps[:-1]
        parent, below = None, outer
        if EACH in outer:
            cut = len(outer) - outer[::-1].index(EACH)
            parent, below = self._add(outer[:cut]), outer[cut:]
        level = 0 if parent is None else parent[0] + 1
        if level == len(self._levels):
            self._levels.append([])
        lists = self._levels[level]
        if (found := _List(steps, parent, below)) not in lists:
            lists.append(found)
        return level, lists.index(found)

    def _find(self, scope: Scope, wanted: _List, level: int) -> list[Any]:
        base: Any = scope.value
        if wanted.parent is not None:
            outer, slot = wanted.parent
            base = scope.elements[outer][slot]
        value = walk(base, wanted.below)
        if type(value) is str:
            # Such as a cell of delimited text.
            inside = json_inside(value)
            value = inside if type(inside) is list else value.split()
        if type(value) is list:
            return value
        shown = self.described(scope, _written(wanted.steps[:-1])) or "the record"
        if value is None:
            raise UnusableError("no_list", f"there is no '{shown}'")
        kind = "an object" if type(value) is dict else f"{value!r:.40}"
        raise UnusableError("wrong_type", f"'{shown}' is no list: it is {kind}")

    def _lengths(self, scope: Scope, lists: list[list[Any]], level: int) -> str:
        names = [self.described(scope, _written(one.steps[:-1])) for one in self._levels[level]]
        sizes = [f"'{name}' has {len(one):,}" for name, one in zip(names, lists, strict=True)]
        return f"the lists differ in length: {', '.join(sizes)}"


def _named(name: str) -> Getter:
    def get(scope: Scope) -> Any:
        value = scope.value
        return value.get(name) if type(value) is dict else None

    return get


def _written(steps: tuple[Step, ...]) -> str:
    """Return steps as a path is written."""
    text = ""
    for step in steps:
        if isinstance(step, str):
            plain = not re.search(r'[.\["\]]', step)
            text += ("." if text else "") + (step if plain else f'"{step}"')
        else:
            text += "[]" if step is EACH else f"[{step}]"
    return text


def _utf8(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UnusableError("not_utf8", f"{what} is not UTF-8: {error.reason}") from error
