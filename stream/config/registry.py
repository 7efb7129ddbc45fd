"""The options of a schema registry, as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from nextclick.connectors import SchemaRegistry, SourceError, registry_settings

from .declaration import TOPIC, option
from .options import ConfigError


def parse_registry(text: str, typed: str = "--schema-registry") -> str:
    """Check the address of a schema registry.

    Raises
    ------
    ConfigError
        It is none; the message names the place.

    Examples
    --------
    >>> parse_registry("http://localhost:8081")
    'http://localhost:8081'

    """
    try:
        SchemaRegistry(text).close()
    except SourceError as error:
        raise ConfigError(str(error).replace("--schema-registry", typed, 1)) from None
    return text


Registry = Annotated[
    str | None,
    option(
        "Schema registry of records in Avro, Protobuf or JSON with a schema, such as "
        "http://host:8081.",
        TOPIC,
        value="URL",
        parse=parse_registry,
    ),
]
RegistryTable = Annotated[
    dict[str, Any],
    option(
        "User and TLS settings of the schema registry, such as username; there is no flag.",
        TOPIC,
        flag=False,
    ),
]


def open_registry(url: str | None, table: Mapping[str, Any]) -> SchemaRegistry | None:
    """Return a schema registry, having asked it once; None where none is named.

    Raises
    ------
    ConfigError, SourceError
        A setting is wrong, or it does not answer, or not to this user.

    """
    if url is None:
        if table:
            raise ConfigError("[registry] is for a schema registry: name it with --schema-registry")
        return None
    registry = SchemaRegistry(url, registry_settings(table))
    registry.check()
    return registry
