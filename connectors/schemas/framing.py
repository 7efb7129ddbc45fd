"""Records framed by a registry's serializers: a zero byte, the id of a schema, and the data."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from ..decoding.values import UnusableError
from .registry import Schema, SchemaRegistry

HEADER_BYTES = 5
"""A zero byte, and the id in four."""

ASK_AGAIN = 30.0
"""Seconds after which a registry is asked again for an id that it did not have."""

MOST_UNKNOWN = 10_000
"""Ids remembered that a registry does not have."""

Decode = Callable[[bytes], Any]
"""Makes a record of the bytes after the header; an UnusableError says why it cannot."""


class SchemaDecoder:
    """Decodes framed records, each by the schema that it was written with.

    Schemas are asked for once: what an id means never changes.

    Parameters
    ----------
    registry
        Where the schemas are.

    """

    def __init__(self, registry: SchemaRegistry) -> None:
        self.registry = registry
        self._decoders: dict[int, Decode] = {}
        self._faults: dict[int, tuple[float, str, str]] = {}

    def decode(self, data: bytes, what: str = "value") -> Any:
        """Return the record that a value or a key holds.

        Parameters
        ----------
        data
            The bytes.
        what
            What they are, for messages.

        Raises
        ------
        UnusableError
            They are not framed, their schema is not known, or they do not fit it.
        SourceError
            The registry refuses to answer, or the package that reads these records is missing.

        """
        if len(data) < HEADER_BYTES or data[0]:
            raise UnusableError(
                "not_framed",
                f"the {what} has no id of a schema: it begins with {data[:5].hex(' ') or 'nothing'}"
                ", and not with a zero byte and four more",
            )
        number = int.from_bytes(data[1:HEADER_BYTES], "big")
        decode = self._decoders.get(number)
        if decode is None:
            decode = self._decoders[number] = self._decoder(number)
        try:
            return decode(data[HEADER_BYTES:])
        except UnusableError as fault:
            fault.detail = f"the {what}, of schema {number}: {fault.detail}"
            raise

    def _decoder(self, number: int) -> Decode:
        since, reason, detail = self._faults.get(number, (0.0, "", ""))
        if reason and (reason != "unknown_schema" or time.monotonic() - since < ASK_AGAIN):
            raise UnusableError(reason, detail)
        try:
            schema = self.registry.schema(number)
            return self._make(schema)
        except UnusableError as fault:
            fault.detail = f"schema {number}: {fault.detail}"
            if len(self._faults) >= MOST_UNKNOWN:
                self._faults.clear()
            self._faults[number] = time.monotonic(), fault.reason, fault.detail
            raise

    def _make(self, schema: Schema) -> Decode:
        if schema.kind == "JSON":
            return _read_json
        if schema.kind == "AVRO":
            # Imported here: the package is installed only with an extra.
            from .avro import avro_decoder

            return avro_decoder(schema, self.registry)
        if schema.kind == "PROTOBUF":
            from .protobuf import protobuf_decoder

            return protobuf_decoder(schema, self.registry)
        raise UnusableError("bad_schema", f"its type is {schema.kind:.40}, which is not known")


def _read_json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except UnicodeDecodeError as error:
        raise UnusableError("not_utf8", f"it is not UTF-8: {error.reason}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnusableError("bad_json", str(error)) from error
