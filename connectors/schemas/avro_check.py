"""Records of Avro that may nest without end, or hold lists without bytes, looked through first.

fastavro reads them by recursion in C, which a record made for it would overflow, and makes lists
as long as the record says.
"""

from __future__ import annotations

from typing import Any

from ..decoding.values import UnusableError

DEEPEST = 100
"""Levels of a record at most."""

MOST_EMPTY = 100_000
"""Elements without bytes in a list at most."""

FIXED = {"null": 0, "boolean": 1, "float": 4, "double": 8}
"""Bytes of types that always have as many."""


def needs_check(schema: Any, named: dict[str, Any]) -> bool:
    """Whether a schema refers to itself, or has lists of elements without bytes.

    Examples
    --------
    >>> needs_check({"type": "array", "items": "string"}, {})
    False
    >>> needs_check({"type": "array", "items": "null"}, {})
    True

    """
    return _unbounded(schema, named, (), set())


def skip(schema: Any, named: dict[str, Any], data: bytes, start: int = 0) -> int:
    """Go through the record that begins at a place; return where it ends.

    Raises
    ------
    UnusableError
        It is nested too deeply, or has too long a list.
    IndexError
        It ends too early.

    """
    skipping = _Skipping(named, data, start)
    skipping.skip(schema, 0)
    return skipping.at


class _Skipping:
    def __init__(self, named: dict[str, Any], data: bytes, start: int) -> None:
        self._named = named
        self._data = data
        self.at = start

    def skip(self, schema: Any, depth: int) -> None:
        if depth > 4 * DEEPEST:
            raise UnusableError("bad_avro", f"it has more than {DEEPEST} levels")
        schema, kind = resolved(schema, self._named)
        if kind == "union":
            index = self._long()
            if index < 0:
                raise IndexError(index)
            self.skip(schema[index], depth + 1)
        elif kind in ("record", "error"):
            for field in schema["fields"]:
                self.skip(field["type"], depth + 1)
        elif kind in ("array", "map"):
            self._skip_blocks(schema, kind, depth)
        elif kind in ("string", "bytes"):
            self._pass(self._long())
        elif kind in ("int", "long", "enum"):
            self._long()
        else:
            self._pass(FIXED[kind] if kind in FIXED else int(schema["size"]))

    def _skip_blocks(self, schema: Any, kind: str, depth: int) -> None:
        empty = 0
        while (count := self._long()) != 0:
            if count < 0:
                count = -count
                self._long()
            for _ in range(count):
                before = self.at
                if kind == "map":
                    self._pass(self._long())
                self.skip(schema["items" if kind == "array" else "values"], depth + 1)
                empty += self.at == before
                if empty > MOST_EMPTY:
                    raise UnusableError(
                        "bad_avro", f"it has a list of more than {MOST_EMPTY:,} elements"
                    )

    def _pass(self, count: int) -> None:
        if count < 0 or self.at + count > len(self._data):
            raise IndexError(count)
        self.at += count

    def _long(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            if shift > 63:
                raise IndexError(shift)


def resolved(schema: Any, named: dict[str, Any]) -> tuple[Any, str]:
    """Return a schema without the names and logical types around it, and its type."""
    while True:
        if isinstance(schema, list):
            return schema, "union"
        if isinstance(schema, str):
            if schema not in named:
                return schema, schema
            schema = named[schema]
        elif isinstance(schema["type"], dict | list):
            schema = schema["type"]
        elif schema["type"] in named:
            schema = named[schema["type"]]
        else:
            return schema, schema["type"]


def _unbounded(
    schema: Any, named: dict[str, Any], within: tuple[str, ...], bounded: set[str]
) -> bool:
    schema, kind = resolved(schema, named)
    if kind == "union":
        return any(_unbounded(one, named, within, bounded) for one in schema)
    if kind in ("record", "error"):
        if schema["name"] in within:
            return True
        if schema["name"] in bounded:
            return False
        inside = (*within, schema["name"])
        if any(_unbounded(field["type"], named, inside, bounded) for field in schema["fields"]):
            return True
        bounded.add(schema["name"])
        return False
    if kind == "array":
        items = schema["items"]
        return _unbounded(items, named, within, bounded) or _least(items, named) == 0
    return kind == "map" and _unbounded(schema["values"], named, within, bounded)


def _least(schema: Any, named: dict[str, Any]) -> int:
    """Return the fewest bytes that a value takes; of one that refers to itself never asked."""
    schema, kind = resolved(schema, named)
    if kind in ("record", "error"):
        return sum(_least(field["type"], named) for field in schema["fields"])
    if kind == "fixed":
        return int(schema["size"])
    return FIXED.get(kind, 1)
