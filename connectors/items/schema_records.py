"""Item data that were written with the schemas of a registry."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..decoding.values import UnusableError, as_id
from ..schemas.framing import HEADER_BYTES, SchemaDecoder
from .records import ItemRecord, check_size, decode_item, id_of_key, item_key, item_of


class ItemDecoder:
    """Decodes records of a topic of item data: JSON, and what was written with a schema.

    The two cannot be mistaken for each other: only the latter begin with a zero byte. So a topic
    that is JSON can be read beside one of clicks that is not.

    Parameters
    ----------
    schemas
        Decodes records with a schema; None: all are JSON.

    """

    def __init__(self, schemas: SchemaDecoder | None = None) -> None:
        self._schemas = schemas

    def key(self, key: bytes | None) -> bytes | None:
        """Return a record's key as text, whatever it was written with.

        Raises
        ------
        UnusableError
            It is no id.

        """
        if self._schemas is None or key is None or not _is_framed(key):
            return key
        found = self._schemas.decode(key, "key")
        if isinstance(found, dict):
            named = found.get("item_id")
            found = next(iter(found.values())) if named is None and len(found) == 1 else named
        return item_key(as_id(found, "key", "no_item")).encode()

    def record(self, value: bytes, key: bytes | None) -> ItemRecord:
        """Decode a record, whose key is text.

        Raises
        ------
        UnusableError
            It cannot be used.

        """
        if self._schemas is None or not _is_framed(value):
            return decode_item(value, key)
        check_size(value)
        found: Any = self._schemas.decode(value)
        try:
            record = item_of(found, None if key is None else partial(id_of_key, key))
        except (TypeError, ValueError, RecursionError) as error:
            raise UnusableError("wrong_type", f"it cannot be written as JSON: {error}") from error
        check_size(record.fields)
        return record


def _is_framed(data: bytes) -> bool:
    return len(data) >= HEADER_BYTES and data[0] == 0
