"""Which source a name means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from .decoding.log_format import LogFormat
from .files.content import look_into
from .files.growing.followed_log import FollowedLog
from .files.growing.recorded_log import RecordedLog
from .files.listing import is_pattern, list_files
from .files.log import LogSource
from .files.merged_logs import MergedLogs
from .files.pipe import PipeSource
from .files.storage.remote import is_remote
from .files.storage.spooled_input import SpooledInput
from .kafka.access.subscription import parse_subscription
from .kafka.source import KafkaSource
from .memory.open import is_named, open_given
from .memory.table_reader import ArrowStream
from .schemas.registry import SchemaRegistry
from .simulator import SimulatedShop
from .source import Source, SourceError

Spec = str | os.PathLike[str]


def open_source(
    spec: Spec | Sequence[Spec] | ArrowStream | Iterable[Any] | Source,
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
        ``-`` for standard input, ``sim:clicks=60000,seed=1`` for the simulated shop,
        ``kafka://host:port/topic`` for a topic (several with commas, or a pattern that begins
        with ``^``), ``http:clicks.jsonl`` for a log that clicks are appended to with
        `RecordedLog.record`, else the path or address of a log, of a folder of logs, a pattern
        such as ``logs/*.csv.gz``, or a list of these, read as one log. Or clicks in memory: a data
        frame of pandas or Polars or another table, an iterable of `Click`, dicts or tuples of
        session, item and time; or a source of one's own, which is returned.
    form
        The format of a log, of the lines or of the records; see `log_format`.
    follow
        Read on at the end of one log as it grows.
    registry
        Where the schemas are that the records of topics were written with; see
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
    if not is_named(spec):
        if follow:
            raise SourceError("--follow is for a log that grows; an iterator is read to its end")
        return open_given(spec, form)
    if isinstance(spec, list | tuple) and len(spec) == 1:
        spec = spec[0]
    if isinstance(spec, list | tuple) and spec:
        if follow:
            raise SourceError("--follow is for one log, and several are named: name one")
        return _open_logs(spec, form)
    if not isinstance(spec, str | os.PathLike):
        raise SourceError(
            f"a source is given as a str or a Path, or as clicks, not as {spec!r:.80}"
        )
    spec = os.fspath(spec)
    if not spec.strip():
        raise SourceError(
            "no source is named: give the path of a log, kafka://host:port/topic, - for standard "
            "input, http:clicks.jsonl for clicks sent over HTTP, or sim: for the simulated shop"
        )
    if spec == "-":
        if form is not None and form.sort:
            return LogSource(SpooledInput(), form)
        return PipeSource(form)
    if spec.startswith("sim:"):
        return SimulatedShop.from_spec(spec)
    if spec.startswith("kafka:"):
        return _open_topics(spec, form, registry, topic)
    if _is_recorded(spec):
        return RecordedLog(spec.removeprefix("http:"), form)
    if follow:
        _check_followed(spec)
        return FollowedLog(spec, form)
    return _open_logs([spec], form)


def _open_topics(
    spec: str, form: LogFormat | None, registry: SchemaRegistry | None, options: dict[str, Any]
) -> Source:
    source = KafkaSource(parse_subscription(spec), form, **options)
    try:
        if registry is not None:
            source.use_schemas(registry)
    except SourceError:
        source.close()
        raise
    return source


def _is_recorded(spec: str) -> bool:
    return spec.startswith("http:") and not is_remote(spec)


def _check_followed(spec: str) -> None:
    if is_remote(spec):
        raise SourceError(f"--follow is for a log on this machine, and not for {spec}")
    if is_pattern(spec):
        raise SourceError(f"--follow is for one log, and {spec} is a pattern: name the log")


def _is_alone(spec: str) -> bool:
    return spec == "-" or spec.startswith(("sim:", "kafka:")) or _is_recorded(spec)


def _open_logs(specs: Sequence[Any], form: LogFormat | None) -> Source:
    """Open files as one log: sorted as a whole, or merged in the order of time."""
    for spec in specs:
        if not isinstance(spec, str | os.PathLike) or not os.fspath(spec).strip():
            raise SourceError(f"a log is given as a str or a Path, not as {spec!r:.80}")
        if len(specs) > 1 and _is_alone(os.fspath(spec)):
            raise SourceError(f"{spec} is read alone: several sources are log files")
    form = form if form is not None else LogFormat()
    files, several = list_files(specs, form.files)
    if not several:
        return LogSource(files[0], form)
    if form.sort or look_into(files[0], form).form.sort:
        return LogSource(files, form)
    return MergedLogs(files, form)
