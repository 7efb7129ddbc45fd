"""Which source a name means."""

from __future__ import annotations

import os
from typing import Any

from .decoding.log_format import LogFormat
from .files.followed_log import FollowedLog
from .files.log import LogSource
from .files.pipe import PipeSource
from .files.recorded_log import RecordedLog
from .kafka.settings import parse_address
from .kafka.source import KafkaSource
from .schemas.registry import SchemaRegistry
from .simulator import SimulatedShop
from .source import Source, SourceError


def open_source(
    spec: str | os.PathLike[str],
    form: LogFormat | None = None,
    *,
    follow: bool = False,
    registry: SchemaRegistry | None = None,
    **topic: Any,
) -> Source:
    """Open a source by its name.

    Parameters
    ----------
    spec
        ``-`` for JSON Lines on standard input, ``sim:clicks=60000,seed=1`` for the simulated
        shop, ``kafka://host:port/topic`` for a topic, ``http:clicks.jsonl`` for a log that clicks
        are appended to with `RecordedLog.record`, else the path of a log.
    form
        The format of a log, of the lines or of the records; see `log_format`.
    follow
        Read on at the end of a log as it grows.
    registry
        Where the schemas are that a topic's records were written with; see
        `KafkaSource.use_schemas`.
    **topic
        What else a topic is to be read with; see `KafkaSource`.

    Raises
    ------
    SourceError
        The source cannot be opened; the message names the remedy.

    Examples
    --------
    >>> shop = open_source("sim:clicks=3,seed=1")
    >>> len(shop.poll(128))
    3

    """
    if not isinstance(spec, str | os.PathLike):
        raise SourceError(f"a source is given as a str or a Path, not as {spec!r:.80}")
    spec = os.fspath(spec)
    if not spec.strip():
        raise SourceError(
            "no source is named: give the path of a log, kafka://host:port/topic, - for standard "
            "input, http:clicks.jsonl for clicks sent over HTTP, or sim: for the simulated shop"
        )
    if spec == "-":
        return PipeSource(form)
    if spec.startswith("sim:"):
        return SimulatedShop.from_spec(spec)
    if spec.startswith("kafka:"):
        source = KafkaSource(parse_address(spec), form, **topic)
        if registry is not None:
            source.use_schemas(registry)
        return source
    if spec.startswith("http:"):
        return RecordedLog(spec.removeprefix("http:"), form)
    return FollowedLog(spec, form) if follow else LogSource(spec, form)
