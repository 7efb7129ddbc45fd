"""Records of item data: what they are, and how they are decoded."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec

from ..clicks import Id
from ..decoding.values import UnusableError, as_id, check_id

LARGEST_RECORD = 16 << 10
"""Bytes of a record at most."""

MOST_FIELDS = 64
"""Fields of a record at most, besides the item's id and its availability."""

LONGEST_NAME = 100
"""Characters of a field's name at most."""

DEEPEST = 16
"""Lists and objects inside each other in a field at most."""

MOST_NAMED = 100
"""Records that cannot be used, of those read at once, that are named."""

NO_FIELDS = b"{}"

_ENCODER = msgspec.json.Encoder(decimal_format="number")

REMEDY = 'write one JSON object a line, such as {"item_id": 17, "available": true}'


class ItemRecord(NamedTuple):
    """What is known of an item.

    A record without fields of an item that is available says as much as no record.

    Parameters
    ----------
    item
        Its id.
    available
        Whether it may be recommended.
    fields
        Its further fields, as a JSON object.

    """

    item: Id
    available: bool = True
    fields: bytes = NO_FIELDS


class WrongRecord(NamedTuple):
    """A record that cannot be used: where it is, and why."""

    place: str
    why: str


@dataclass(slots=True)
class ItemChanges:
    """What was read of the items' data.

    Parameters
    ----------
    records
        In the order in which they were read; a later one of an item replaces an earlier one.
    whole
        These are all the data there are: items without a record have none.
    n_wrong, wrong
        How many records cannot be used, and the first of them.

    """

    records: Sequence[ItemRecord] = ()
    whole: bool = False
    n_wrong: int = 0
    wrong: list[WrongRecord] = field(default_factory=list)

    def reject(self, place: str, why: str) -> None:
        """Add a record that cannot be used."""
        self.n_wrong += 1
        if len(self.wrong) < MOST_NAMED:
            self.wrong.append(WrongRecord(place, why))


class ItemSource(Protocol):
    """Where the items' data are read from: a file or a topic. It is used by one thread.

    Attributes
    ----------
    name
        Its name, as it is typed.
    away
        Why what was read may be out of date; None where it is up to date.
    progress
        How much of what was there at the start has been read, from 0 to 1.
    notes
        Sentences on what a person should know.

    """

    name: str

    @property
    def away(self) -> str | None:  # noqa: D102
        ...

    @property
    def progress(self) -> float:  # noqa: D102
        ...

    @property
    def notes(self) -> list[str]:  # noqa: D102
        ...

    def poll(self) -> ItemChanges:
        """Read on, waiting a moment for news.

        Once all is read that was there when reading began, it is returned as a whole; after that
        the changes. Where the file or the topic is replaced by another, that is read in the same
        way.

        Raises
        ------
        SourceError
            A file cannot be used as it is at the start; the message names the line.

        """
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


def item_key(item: Id) -> str:
    """Return what names an item's data: the numbers and texts that look alike are one item.

    Examples
    --------
    >>> item_key(17) == item_key("17")
    True

    """
    return item if isinstance(item, str) else str(item)


def decode_item(value: bytes, key: bytes | None = None) -> ItemRecord:
    """Decode a record.

    Parameters
    ----------
    value
        A JSON object with ``item_id``, perhaps ``available``, and any further fields. A field
        whose value is null is taken as not there.
    key
        The id where the object has none: the key of a record in a topic.

    Raises
    ------
    UnusableError
        It cannot be used.

    Examples
    --------
    >>> decode_item(b'{"item_id": 17, "available": false, "title": "Hat"}')
    ItemRecord(item=17, available=False, fields=b'{"title":"Hat"}')

    """
    check_size(value)
    try:
        found = msgspec.json.decode(value)
    except UnicodeDecodeError as error:
        raise UnusableError("not_utf8", f"it is not UTF-8: {error.reason}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnusableError("bad_json", f"it is not valid JSON: {error}") from error
    return item_of(found, None if key is None else partial(id_of_key, key))


def item_of(found: Any, key: Callable[[], Id] | None = None) -> ItemRecord:
    """Return the item data that a decoded record holds.

    Parameters
    ----------
    found
        An object, see `decode_item`; dates and decimals may be among its values.
    key
        Returns the id where the object has none.

    Raises
    ------
    UnusableError
        It cannot be used.

    """
    if not isinstance(found, dict):
        raise UnusableError("wrong_type", "it is not a JSON object")
    item = found.get("item_id")
    if item is None:
        if key is None:
            raise UnusableError("no_item", "there is no 'item_id'")
        item = key()
    if type(item) in (bytes, decimal.Decimal):
        item = as_id(item, "item_id", "no_item")
    if type(item) not in (str, int):
        raise UnusableError("wrong_type", "'item_id' must be a text or a whole number")
    item = check_id(item, "item_id", "no_item")
    available = found.get("available")
    if available is not None and type(available) is not bool:
        raise UnusableError("wrong_type", "'available' must be true or false")
    fields = {
        name: value
        for name, value in found.items()
        if value is not None and name not in ("item_id", "available")
    }
    if len(fields) > MOST_FIELDS:
        detail = f"it has {len(fields):,} further fields; {MOST_FIELDS} are allowed"
        raise UnusableError("too_many_fields", detail)
    if any(len(name) > LONGEST_NAME for name in fields):
        detail = f"the name of a field has more than {LONGEST_NAME} characters"
        raise UnusableError("name_too_long", detail)
    inner = list(fields.values())
    for _ in range(DEEPEST):
        inner = [one for each in inner for one in _inside(each)]
    if inner:
        detail = f"a field is nested more than {DEEPEST} levels deep"
        raise UnusableError("nested_too_deep", detail)
    return ItemRecord(item, available is not False, _ENCODER.encode(fields))


def check_size(record: bytes) -> None:
    """Check that a record is no larger than it may be.

    Raises
    ------
    UnusableError
        It is.

    """
    if len(record) > LARGEST_RECORD:
        detail = f"it has {len(record):,} bytes; {LARGEST_RECORD:,} are allowed"
        raise UnusableError("record_too_large", detail)


def _inside(value: Any) -> Iterable[Any]:
    """Return what is directly inside a list or an object."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def id_of_key(key: bytes) -> str:
    """Return the id that a record's key is.

    Raises
    ------
    UnusableError
        It is none.

    """
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise UnusableError("not_utf8", f"the key is not UTF-8: {error.reason}") from error
    return str(check_id(text, "key", "no_item"))


class Collected:
    """The latest record of each item, gathered until all is read.

    Parameters
    ----------
    most
        Items that may have data.

    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._records: dict[str, ItemRecord] = {}

    def take(self, record: ItemRecord) -> None:
        """Take a record, in place of an earlier one of its item.

        Raises
        ------
        UnusableError
            There is no room for another item.

        """
        key = item_key(record.item)
        if record.available and record.fields == NO_FIELDS:
            self._records.pop(key, None)
        elif key in self._records or len(self._records) < self._most:
            self._records[key] = record
        else:
            detail = f"more than {self._most:,} items have data: raise --max-items"
            raise UnusableError("too_many_items", detail)

    def records(self) -> Sequence[ItemRecord]:
        """Return the records, one of each item."""
        return list(self._records.values())
