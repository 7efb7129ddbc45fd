"""Which source of item data a name means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..kafka.access.settings import parse_address
from ..schemas.registry import SchemaRegistry
from ..source import SourceError
from .item_file import ItemFile
from .item_topic import ItemTopic
from .records import ItemSource


def open_items(
    spec: str | os.PathLike[str],
    most: int = 1_000_000,
    settings: Mapping[str, Any] | None = None,
    registry: SchemaRegistry | None = None,
) -> ItemSource:
    """Open a source of item data by its name.

    Parameters
    ----------
    spec
        ``kafka://host:port/topic`` for a compacted topic, else the path of a file of JSON Lines.
    most
        Items that may have data.
    settings
        Those of a topic's consumer; see `client_settings`.
    registry
        Where the schemas are that a topic's records were written with; see `ItemTopic`.

    Raises
    ------
    SourceError
        It cannot be opened; the message names the remedy.

    """
    if not isinstance(spec, str | os.PathLike):
        raise SourceError(f"item data are named by a str or a Path, not by {spec!r:.80}")
    name = os.fspath(spec)
    if name.startswith("kafka:"):
        return ItemTopic(parse_address(name), settings or {}, most, registry)
    return ItemFile(name, most)
