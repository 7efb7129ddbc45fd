"""Data of the catalogue's items: which may be recommended, and what is shown with them."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from nextclick.connectors import Id, ItemRecord, item_key
from nextclick.models import Allowed
from nextclick.models.queries import Catalogue

from .catalogue_places import CataloguePlaces, Moves
from .item_index import FieldIndex, forms_of, texts_of

Value = str | int | float | bool
Wanted = Mapping[str, Sequence[Value]]
"""For each field the values of which an item must have one."""

MOST_NAMES = 1000
"""Fields by which items can be filtered, of all items together."""

MOST_SELECTIONS = 64
"""Filters whose masks are kept."""

AT_ONCE = 64
"""Records that are taken while requests wait."""

RESERVED = ("item", "score", "by")
"""Names of fields that are not shown in lists: an item's id and its score have these names."""


class ItemData:
    """What is known of items, kept so that a filter costs no step of Python for each item.

    The data may be changed by one thread while others ask. Numbers and texts that look alike
    name the same item.

    Parameters
    ----------
    most
        Items that may have data.

    Attributes
    ----------
    unavailable
        How many items are not available.
    wrong
        Records that could not be used, counted by who reads them.

    Examples
    --------
    >>> data = ItemData()
    >>> data.put(17, {"category": "shoes", "price": 20})
    True
    >>> data.put(42, {"category": "hats"}, available=False)
    True
    >>> 17 in data.allowed({"category": ["shoes", "socks"]}), 42 in data.allowed()
    (True, False)
    >>> ItemData().allowed() is None
    True
    >>> data.fields("17")
    {'category': 'shoes', 'price': 20}

    """

    def __init__(self, most: int = 1_000_000) -> None:
        self._most = most
        self._lock = threading.Lock()
        # By place: place 0 is that of all items without data.
        self._place_of: dict[str, int] = {}
        self._free: list[int] = []
        self._used = 1
        self._available = np.ones(64, np.bool_)
        self._generations = np.zeros(64, np.int64)
        self._records: list[ItemRecord | None] = [None]
        self._fields: dict[str, FieldIndex] = {}
        # By field: how many items have it.
        self._names: Counter[str] = Counter()
        self.unavailable = self.wrong = 0
        self._version = 0
        self._moves = Moves()
        self._catalogues: WeakKeyDictionary[Any, CataloguePlaces] = WeakKeyDictionary()
        self._everything = Selection(self, {})
        self._selections: OrderedDict[Any, Selection] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of items that have data."""
        return len(self._place_of)

    def stats(self) -> dict[str, int]:
        """Return how many items have data and are unavailable, and how many records were wrong."""
        return {
            "with_data": len(self),
            "unavailable": self.unavailable,
            "wrong_records": self.wrong,
        }

    @property
    def names(self) -> list[str]:
        """The fields that some item has, in order."""
        with self._lock:
            return sorted(name for name, count in self._names.items() if count)

    def has(self, name: str) -> bool:
        """Whether items can be filtered by a field: some item has it."""
        return self._names[name] > 0

    def put(self, item: Id, fields: Mapping[str, Any], available: bool = True) -> bool:
        """Set an item's data, in place of those that it had.

        Parameters
        ----------
        item
            Its id.
        fields
            In JSON's types.
        available
            Whether it may be recommended.

        Returns
        -------
        bool
            Whether there was room.

        """
        record = ItemRecord(item, available, msgspec.json.encode(dict(fields)))
        return not self.update([record])

    def forget(self, item: Id) -> None:
        """Remove an item's data: it is available, and nothing else is known of it."""
        self.update([ItemRecord(item)])

    def update(self, records: Sequence[ItemRecord]) -> int:
        """Take records, the later ones of an item in place of the earlier.

        Returns
        -------
        int
            How many there was no room for.

        """
        refused = 0
        for at in range(0, len(records), AT_ONCE):
            with self._lock:
                for record in records[at : at + AT_ONCE]:
                    refused += not self._put(record)
        return refused

    def replace(self, records: Sequence[ItemRecord]) -> int:
        """Take records as all there are: items without one have no data any longer.

        Returns
        -------
        int
            How many there was no room for.

        """
        kept = {item_key(record.item) for record in records}
        gone = [ItemRecord(key) for key in list(self._place_of) if key not in kept]
        return self.update([*gone, *records])

    def allowed(self, wanted: Wanted | None = None) -> Allowed | None:
        """Return which items may be recommended, as it stands whenever that is looked at.

        None: all of them.

        Parameters
        ----------
        wanted
            For each field the values of which an item must have one, where it must.

        """
        if not wanted:
            return self._everything if self.unavailable else None
        forms = {
            name: sorted({form for value in values for form in forms_of(value)})
            for name, values in wanted.items()
        }
        key = tuple(sorted((name, *values) for name, values in forms.items()))
        with self._lock:
            selection = self._selections.pop(key, None) or Selection(self, forms)
            self._selections[key] = selection
            if len(self._selections) > MOST_SELECTIONS:
                self._selections.popitem(last=False)
        return selection

    def fields(self, item: Id) -> dict[str, Any]:
        """Return an item's fields, in JSON's types."""
        record = self._record(item)
        found: dict[str, Any] = msgspec.json.decode(record.fields) if record is not None else {}
        return found

    def shown(self, item: Id) -> bytes:
        """Return the fields that a list shows of an item, as the inside of a JSON object."""
        record = self._record(item)
        return b"" if record is None else _shown(record.fields)

    def allows(self, selection: Selection, item: Id) -> bool:
        """Whether a selection has an item; see `allowed`."""
        with self._lock:
            return bool(self._mask(selection)[self._place_of.get(item_key(item), 0)])

    def allowed_rows(self, selection: Selection, catalogue: Catalogue) -> NDArray[np.bool_]:
        """Return which rows of a catalogue have items that a selection has; see `allowed`."""
        with self._lock:
            places = self._places(catalogue)
            places.follow(catalogue, self._place_of, self._moves)
            version = places.version, self._version
            known = selection.rows_masks.get(places)
            if known is None or known[0] != version:
                known = version, self._mask(selection)[places.places]
                selection.rows_masks[places] = known
            return known[1]

    def prepare(self, catalogue: Catalogue) -> None:
        """Find the places of a catalogue's items, so that no request has to wait for it."""
        done = False
        while not done:
            with self._lock:
                done = self._places(catalogue).follow(catalogue, self._place_of, self._moves, 4096)

    def _record(self, item: Id) -> ItemRecord | None:
        with self._lock:
            place = self._place_of.get(item_key(item))
            return None if place is None else self._records[place]

    def _put(self, record: ItemRecord) -> bool:
        """Take a record; return whether there was room. With the lock."""
        key = item_key(record.item)
        place = self._place_of.get(key)
        before = None if place is None else self._records[place]
        if record.available and record.fields == b"{}":
            if place is not None and before is not None:
                self._take_out(place, before)
                del self._place_of[key]
                self._free.append(place)
                self._moves.add(key)
            return True
        if place is None:
            if len(self._place_of) >= self._most:
                return False
            place = self._place_of[key] = self._new_place()
            self._moves.add(key)
        elif before is not None:
            if before[1:] == record[1:]:
                return True
            self._take_out(place, before)
        self._put_in(place, record)
        return True

    def _new_place(self) -> int:
        if self._free:
            return self._free.pop()
        if self._used == len(self._available):
            self._available = np.append(self._available, np.ones_like(self._available))
            self._generations = np.append(self._generations, np.zeros_like(self._generations))
        self._used += 1
        self._records.append(None)
        return self._used - 1

    def _put_in(self, place: int, record: ItemRecord) -> None:
        self._version += 1
        self._generations[place] += 1
        self._records[place] = record
        self._available[place] = record.available
        self.unavailable += not record.available
        generation = int(self._generations[place])
        for name, value in msgspec.json.decode(record.fields).items():
            if name not in self._names and len(self._names) >= MOST_NAMES:
                continue
            self._names[name] += 1
            index = self._fields.get(name)
            if index is None:
                index = self._fields[name] = FieldIndex()
            # A text is the usual case.
            for text in (value,) if type(value) is str else set(texts_of(value)):
                index.add(place, generation, text)

    def _take_out(self, place: int, record: ItemRecord) -> None:
        self._version += 1
        self._generations[place] += 1
        self._records[place] = None
        self._available[place] = True
        self.unavailable -= not record.available
        for name, value in msgspec.json.decode(record.fields).items():
            if name in self._names:
                self._names[name] -= 1
                self._fields[name].end(len(set(texts_of(value))), self._generations)

    def _places(self, catalogue: Catalogue) -> CataloguePlaces:
        found = self._catalogues.get(catalogue)
        if found is None:
            found = self._catalogues[catalogue] = CataloguePlaces(catalogue, self._moves)
        return found

    def _mask(self, selection: Selection) -> NDArray[np.bool_]:
        """Return which places are of items that are available and pass a filter."""
        if selection.mask is not None and selection.mask[0] == self._version:
            return selection.mask[1]
        mask: NDArray[np.bool_] = self._available[: self._used].copy()
        for name, values in selection.forms.items():
            own = np.zeros_like(mask)
            index = self._fields.get(name)
            if index is not None and values:
                own[index.places(values, self._generations)] = True
            mask &= own
        selection.mask = self._version, mask
        return mask


class Selection:
    """The items that are available and pass a filter, as an `Allowed`.

    Parameters
    ----------
    data
        Of the items.
    forms
        For each field the texts of the values of which an item must have one.

    Attributes
    ----------
    mask, rows_masks
        What was found last, with the versions that it is of: by place, and for each catalogue by
        row.

    """

    def __init__(self, data: ItemData, forms: Mapping[str, list[str]]) -> None:
        self._data = data
        self.forms = forms
        self.mask: tuple[int, NDArray[np.bool_]] | None = None
        self.rows_masks: WeakKeyDictionary[
            CataloguePlaces, tuple[tuple[int, int], NDArray[np.bool_]]
        ] = WeakKeyDictionary()

    def __contains__(self, item: Id) -> bool:
        """Whether an item is among them."""
        return self._data.allows(self, item)

    def rows(self, catalogue: Catalogue) -> NDArray[np.bool_]:
        """Return which rows' items are among them."""
        return self._data.allowed_rows(self, catalogue)


def _shown(fields: bytes) -> bytes:
    """Return what a list shows of some fields, as the inside of a JSON object.

    Examples
    --------
    >>> _shown(b'{"item":1,"title":"Hat"}'), _shown(b"{}")
    (b'"title":"Hat"', b'')

    """
    if any(b'"%s":' % name.encode() in fields for name in RESERVED):
        named = msgspec.json.decode(fields)
        fields = msgspec.json.encode({k: v for k, v in named.items() if k not in RESERVED})
    return fields[1:-1]
