"""What registries do to the texts of Protobuf schemas: undone, so that a compiler takes them."""

from __future__ import annotations

import re
from typing import Any

_MAP_ENTRY = re.compile(r"\boption\s+map_entry\s*=\s*true\s*;")

_SYNTAX = 'syntax = "proto3";\n'

_META = f"""{_SYNTAX}package confluent;
import "google/protobuf/descriptor.proto";
message Meta {{ string doc = 1; map<string, string> params = 2; repeated string tags = 3; }}
extend google.protobuf.FileOptions {{ Meta file_meta = 1088; }}
extend google.protobuf.MessageOptions {{ Meta message_meta = 1088; }}
extend google.protobuf.FieldOptions {{ Meta field_meta = 1088; }}
extend google.protobuf.EnumOptions {{ Meta enum_meta = 1088; }}
extend google.protobuf.EnumValueOptions {{ Meta enum_value_meta = 1088; }}
"""
_DECIMAL = f"""{_SYNTAX}package confluent.type;
message Decimal {{ bytes value = 1; uint32 precision = 2; int32 scale = 3; }}
"""
_DATE = f"""{_SYNTAX}package google.type;
message Date {{ int32 year = 1; int32 month = 2; int32 day = 3; }}
"""
_TIME_OF_DAY = f"""{_SYNTAX}package google.type;
message TimeOfDay {{ int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }}
"""

BUILT_IN = {
    "confluent/meta.proto": _META,
    "confluent/type/decimal.proto": _DECIMAL,
    "confluent/types/decimal.proto": _DECIMAL,
    "google/type/date.proto": _DATE,
    "google/type/timeofday.proto": _TIME_OF_DAY,
}
"""Files that schemas import without a reference: registries' serializers bring them along."""


def names_map_entries(text: str) -> bool:
    """Whether a text has the types of its maps' entries, as serializers of Java register them.

    Examples
    --------
    >>> names_map_entries("message ColoursEntry { option map_entry = true; }")
    True

    """
    return _MAP_ENTRY.search(text) is not None


def without_map_entries(text: str) -> str:
    """Return a text without the option that compilers do not take from a text."""
    return _MAP_ENTRY.sub("", text)


def mark_map_entries(types: Any) -> None:
    """Set that option in descriptors of types, where these are as those of maps' entries."""
    for kind in types:
        entries = {
            f"{_camel_case(field.name)}Entry"
            for field in kind.field
            if field.label == field.LABEL_REPEATED
        }
        for inner in kind.nested_type:
            fields = [(field.name, field.number) for field in inner.field]
            if inner.name in entries and fields == [("key", 1), ("value", 2)]:
                inner.options.map_entry = True
        mark_map_entries(kind.nested_type)


def _camel_case(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
