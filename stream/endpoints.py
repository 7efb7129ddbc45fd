"""The endpoints of a run: its source, and where its records go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextclick.connectors import (
    ArrowStream,
    DeadLetterTopic,
    JsonLinesSink,
    KafkaSink,
    LogFormat,
    SchemaRegistry,
    Sink,
    SinkError,
    Source,
    SourceError,
    Subscription,
    TopicRecorder,
    client_settings,
    given_name,
    has_own_settings,
    is_named,
    is_remote,
    is_source,
    log_format,
    make_sink_topic,
    open_source,
    parse_address,
    parse_subscription,
    path_in,
    without_secrets,
    would_read,
)

from .config.declaration import declared, flag
from .config.options import ConfigError
from .config.registry import open_registry
from .config.run import RunConfig, StreamConfig
from .config.source import LogOptions, SourceOptions
from .delivery import SINKS
from .notes import Info

if TYPE_CHECKING:  # It needs torch, which takes seconds to import.
    from .engine import Engine

USER_GAP = 1_800.0
"""Seconds of inactivity that end a user's session by default, as is usual in the field."""

FOR_TOPICS = [each for each in declared(SourceOptions).values() if each.option.topic]
"""Options that mean nothing where the source is no topic."""


Spec = str | os.PathLike[str] | ArrowStream | Source | Iterable[Any]
"""A source by its name, or several log files that are one; clicks in memory; a `Source`."""


def specs_of(spec: Spec) -> list[str]:
    """Return the names that a source is given by; none of clicks in memory.

    Examples
    --------
    >>> specs_of("a.csv"), specs_of([Path("a.csv"), "b.csv"])
    (['a.csv'], ['a.csv', 'b.csv'])

    """
    if not is_named(spec):
        return []
    names: Any = spec if isinstance(spec, list | tuple) else [spec]
    for each in names:
        if not isinstance(each, str | os.PathLike):
            raise SourceError(f"a log is given as a str or a Path, not as {each!r:.80}")
    return [os.fspath(each) for each in names]


def source_name(spec: Spec) -> str:
    """Return what results and snapshots call a source, without what must stay secret.

    Examples
    --------
    >>> source_name(["2019-10.csv", "https://shop.example/2019-11.csv?signature=abc"])
    '2019-10.csv https://shop.example/2019-11.csv'

    """
    return " ".join(map(without_secrets, specs_of(spec))) or given_name(spec)


def is_topic(spec: str | None) -> bool:
    """Whether a source or a sink is a topic."""
    return spec is not None and spec.startswith("kafka://")


def is_recorded(spec: str) -> bool:
    """Whether a source is a log that clicks are appended to over HTTP."""
    return spec.startswith("http:") and not is_remote(spec)


def is_live(spec: str, follow: bool = False) -> bool:
    """Whether a source may let clicks wait for others: a topic, a pipe, or a log that grows."""
    return is_topic(spec) or is_recorded(spec) or spec == "-" or follow


def open_configured_source(spec: Spec, options: LogOptions) -> Source:
    """Open the source of a run.

    Raises
    ------
    ConfigError, SourceError
        It cannot be opened, or an option does not go with it.

    """
    form = _format_of(options)
    specs = specs_of(spec)
    topic = len(specs) == 1 and is_topic(specs[0])
    if is_source(spec):
        _check_own(spec, options)
    _check_registry(options, topic)
    if not topic:
        for each in FOR_TOPICS:
            if getattr(options, each.name, each.default) != each.default:
                raise ConfigError(f"{each.flag} is for a topic, kafka://host:port/topic")
        return _open_logs(specs or spec, form, options)
    assert isinstance(options, SourceOptions)
    if options.follow:
        raise ConfigError("--follow is for a log: a topic is followed unless --until-end is given")
    if options.sort:
        raise ConfigError("--sort is for a log: a topic has no end")
    if options.partitions is not None and parse_subscription(specs[0]).one is None:
        raise ConfigError("--partitions is for one topic: name one, or leave --partitions out")
    return open_source(
        specs,
        form,
        start=options.start,
        settings=client_settings(options.kafka),
        partitions=options.partitions,
        until_end=options.until_end,
        session_from=options.session_from,
        time_from=options.time_from,
        idle=options.idle_seconds,
        on_missing_offsets=options.on_missing_offsets,
        group=options.group,
        registry=open_registry(options.schema_registry, options.registry),
    )


def _check_registry(options: LogOptions, topic: bool) -> None:
    """Refuse a schema registry that nothing is read by, and keys that need one that is not there.

    Parameters
    ----------
    options
        The options of the run.
    topic
        Whether its source is one.

    Raises
    ------
    ConfigError
        One of them is.

    """
    registry = getattr(options, "schema_registry", None)
    if topic and registry is None and getattr(options, "key_type", None) == "schema":
        raise ConfigError("--key-type schema needs --schema-registry")
    named = "--schema-registry" if registry is not None else "[registry]"
    if registry is None and not getattr(options, "registry", None):
        return
    if not topic and not is_topic(getattr(options, "items", None)):
        raise ConfigError(f"{named} is for a topic, kafka://host:port/topic")


def open_items_registry(
    items: str, url: str | None, table: Mapping[str, Any]
) -> SchemaRegistry | None:
    """Return the schema registry of a topic of item data; None of a file, or where none is named.

    Raises
    ------
    ConfigError, SourceError
        See `open_registry`.

    """
    return open_registry(url, table) if is_topic(items) else None


def _format_of(options: LogOptions) -> LogFormat:
    return log_format(
        options.format,
        session_column=options.session_column,
        user_column=options.user_column,
        item_column=options.item_column,
        time_column=options.time_column,
        time_unit=options.time_unit,
        delimiter=options.delimiter,
        header=False if options.no_header else None,
        columns=options.columns,
        where=options.where,
        event_id=getattr(options, "event_id", None),
        key_type=getattr(options, "key_type", None),
        sort=options.sort,
        gap=USER_GAP if options.user_column else None,
        # Bytes that nobody asked for are not kept.
        keep_raw=getattr(options, "dead_letters", None) is not None,
    )


def _check_own(spec: Any, options: LogOptions) -> None:
    """Refuse options of logs where the clicks are those of a source of one's own.

    Raises
    ------
    ConfigError
        One is given.

    """
    for each in declared(LogOptions).values():
        if each.name != "kafka" and getattr(options, each.name) != each.default:
            raise ConfigError(
                f"{each.flag} is for a log: {given_name(spec)} is a source of your own, which "
                "gives the session, the item and the time of each click"
            )


def _open_logs(specs: Any, form: LogFormat, options: LogOptions) -> Source:
    follow = getattr(options, "follow", False)
    spec = specs[0] if isinstance(specs, list) and len(specs) == 1 else ""
    spec = spec if isinstance(spec, str) else ""
    if follow and (spec == "-" or spec.startswith("sim:")):
        raise ConfigError(f"--follow is for a log, which may grow, and not for {spec}")
    if is_recorded(spec) and getattr(options, "serve", None) is None:
        raise ConfigError(
            f"nextclick run {spec} --serve 8080 takes clicks over HTTP; to read the log alone, "
            f"name {spec.removeprefix('http:') or 'it'}, with --follow if it grows"
        )
    return open_source(specs, form, follow=follow)


def open_recorder(spec: str, config: RunConfig) -> TopicRecorder | None:
    """Open what writes clicks to the topic that a run reads.

    None where that is not one topic, or where the fields are named by paths.
    """
    form = _format_of(config)
    if parse_subscription(spec).one is None or path_in(form) is not None:
        return None
    address = parse_address(spec)
    return TopicRecorder(
        address,
        client_settings(config.kafka),
        form,
        time_from=config.time_from,
        transactional_id=f"{config.group}-{address.topic}-{_partitions_of(config)}-posted",
    )


def open_sink(engine: Engine, name: str, spec: str, config: RunConfig) -> Sink:
    """Open one of `SINKS` for a run; what an earlier part of the run has written is written on.

    Parameters
    ----------
    engine
        The engine, with its snapshot restored: it knows how far the sink had come.
    name
        Which of `SINKS` it is.
    spec
        Its ``file`` or ``kafka://host:port/topic``.
    config
        The options of the run.

    Raises
    ------
    SinkError, SourceError
        It cannot be opened.

    """
    written = engine.written.get(name, {})
    before = str(written.get("to", ""))
    if not is_topic(spec):
        known = before == str(Path(spec).resolve())
        return JsonLinesSink(spec, written["length"] if known else None)
    address, settings = parse_address(spec), client_settings(config.kafka, name)
    # By the topic alone: brokers may move.
    known = is_topic(before) and parse_address(before).topic == address.topic
    held = written.get("length")
    if not known and isinstance(held, dict) and held.get("outbox"):
        raise SinkError(
            f"{flag(name)} {spec}: the snapshot holds records not yet written to {before}: "
            "resume with that topic, or start over with --fresh"
        )
    resume_at = held if known else None
    if config.make_topics:
        partitions: int | None = 1
        if name == "recommendations":
            partitions = getattr(engine.source, "n_partitions", None)
        if made := make_sink_topic(address, settings, name, partitions):
            engine.notify(Info(made))
    if name == "dead_letters":
        return DeadLetterTopic(address, settings, engine.notify, resume_at)
    return KafkaSink(
        address,
        settings,
        transactional_id=transactional_id(str(engine.about["source"]), config),
        resume_at=resume_at,
        notify=engine.notify,
    )


def transactional_id(spec: str, config: RunConfig) -> str | None:
    """Name a run to the brokers where it writes in transactions.

    A resumed run has the same name, runs that go on beside each other have different ones: they
    read other topics, other partitions of one, or have other groups.

    Examples
    --------
    >>> transactional_id("kafka://localhost:9092/clicks", RunConfig()) is None
    True

    """
    if not config.exactly_once:
        return None
    what = parse_subscription(spec).named if is_topic(spec) else Path(spec).name
    return f"{config.group}-{what}-{_partitions_of(config)}"


def _partitions_of(config: RunConfig) -> str:
    return "-".join(map(str, sorted(config.partitions or []))) or "all"


def check_outputs(spec: Spec, config: RunConfig) -> None:
    """Refuse to write over the source, or two outputs into one file or topic.

    Raises
    ------
    ConfigError
        Two options, or an option and the source, name the same file or topic.

    """
    taken: dict[Path | str, str] = {}
    sources = specs_of(spec)
    topics = parse_subscription(sources[0]) if sources and is_topic(sources[0]) else None
    if topics is None:
        sources = [each.removeprefix("http:") if is_recorded(each) else each for each in sources]
        taken |= dict.fromkeys((Path(each).resolve() for each in sources), "the source")
    if (items := getattr(config, "items", None)) is not None:
        taken[_place(items, "items", config)] = "--items"
    sinks = [getattr(config, name) for name in SINKS]
    if config.make_topics and not any(map(is_topic, sinks)):
        raise ConfigError(
            "--make-topics creates topics of --recommendations and --dead-letters: give one of "
            "them a kafka://host:port/topic"
        )
    for option in ("json", "report", "clicks", *SINKS):
        path = getattr(config, option)
        if path is None:
            continue
        if is_topic(path) and option not in SINKS:
            raise ConfigError(f"{flag(option)} {path} is a topic: name a file")
        kind = "topic" if is_topic(path) else "file"
        if topics is not None and is_topic(path) and _reads(topics, path, option, config):
            also = "the source" if topics.one else f"one of the source's topics, {topics.named},"
            raise ConfigError(f"{flag(option)} {path} is {also} too: name another topic")
        place = _place(path, option, config)
        if place in taken:
            raise ConfigError(f"{flag(option)} {path} is {taken[place]} too: name another {kind}")
        if isinstance(place, Path) and any(would_read(each, place) for each in sources):
            raise ConfigError(
                f"{flag(option)} {path} would be read as one of the source's logs: put it elsewhere"
            )
        taken[place] = flag(option)


def _place(spec: str, option: str, config: StreamConfig) -> Path | str:
    """Return what is the same for two names of one place."""
    if not is_topic(spec):
        return Path(spec).resolve()
    address = parse_address(spec)
    own = has_own_settings(config.kafka, option)
    return f"topic {address.topic}" + (f" of {sorted(address.servers)}" if own else "")


def _reads(topics: Subscription, spec: str, option: str, config: StreamConfig) -> bool:
    """Whether the source reads a sink's topic; brokers have many names, so these do not count.

    But for those of a sink that has settings of its own.
    """
    address = parse_address(spec)
    elsewhere = not set(address.servers) & set(topics.servers)
    if elsewhere and has_own_settings(config.kafka, option):
        return False
    return topics.matches(address.topic)
