"""What a run is told: one typed configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from nextclick.connectors import public_settings
from nextclick.models import GRU4RecConfig

from .options import (
    MOST_CLICKS,
    ConfigError,
    Interval,
    Options,
    check_named,
    flag,
    parse_duration,
    parse_every,
)
from .serving import parse_place
from .values import Between, Count, Seed

LARGEST_BATCH = 1 << 16
"""Clicks in a batch at most: the model takes no more at once."""

LARGEST_WINDOW = 10_000_000
"""Clicks in a window of the figures at most: two numbers each are held from the start."""

MOST_RECOMMENDED = 10_000
"""Items that may be recommended at once."""


class SourceOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the source is read. From `until_end` on the options are for a topic.

    Parameters
    ----------
    session_column, item_column, time_column
        Where a click's session, item and time stand in the source: a name, or in a log with
        columns their place, counted from 1. Where not given, what the format says, else
        ``session_id``, ``item_id`` and ``timestamp``.
    user_column
        Where its user stands: then sessions are cut from each user's clicks by `gap`.
    time_unit
        What a time given as a number counts: ``s``, ``ms``, ``us`` or ``ns``.
    format
        The name of a preset for a published data set.
    sort
        Read the whole log first and put it in order of time.
    until_end
        Stop at the end of the topic as it stood at the start.
    partitions
        Read these only.
    session_from
        The session's id is a field of the record, or its key.
    time_from
        The time is a field of the record, or the record's own timestamp.
    idle
        How long a click of a live topic waits for earlier clicks of the other partitions.
    on_missing_offsets
        Where to go on when the records at the position are gone; without it the run ends with an
        error.
    group
        The consumer group that offsets are committed to, for lag tools to see.
    kafka
        Settings of the connection, as `client_settings` reads them.

    """

    session_column: str | int | None = None
    user_column: str | int | None = None
    item_column: str | int | None = None
    time_column: str | int | None = None
    time_unit: str | None = None
    format: str | None = None
    sort: bool | None = None
    until_end: bool = False
    partitions: Annotated[list[int], Between(0, (1 << 31) - 1)] | None = None
    session_from: Literal["field", "key"] = "field"
    time_from: Literal["field", "record"] = "field"
    idle: str | float = "200ms"
    on_missing_offsets: Literal["earliest", "latest"] | None = None
    group: str = "nextclick"
    kafka: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the ranges, and that the durations can be read."""
        super().__post_init__()
        parse_duration(self.idle, "--idle")
        for column in ("session_column", "user_column", "item_column", "time_column"):
            given = getattr(self, column)
            if isinstance(given, int):
                # One form: a place from a file is the same as one from the command line.
                msgspec.structs.force_setattr(self, column, str(given))
        if not self.group.strip():
            raise ConfigError("--group must be a name")
        if self.partitions is not None and not self.partitions:
            raise ConfigError("--partitions must name at least one")

    @property
    def idle_seconds(self) -> float:
        """How long a live click waits for earlier ones of other partitions, in seconds."""
        return parse_duration(self.idle, "--idle")


class StreamConfig(SourceOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options that every way through a stream has, whatever is tested on it.

    Durations are seconds, or a text such as ``"500ms"``, ``"60s"``, ``"30m"``, ``"1h"``, ``"2d"``.

    Parameters
    ----------
    gap
        The inactivity that ends a session. Where not given: 30 minutes for users, the custom of
        the field, and one day for session ids, which seldom need cutting but must expire.
    lateness
        How much older than its session's latest click a click may be. 60 seconds forgive the
        clocks and queues of several servers.
    max_ahead
        How far a click may be ahead of the stream: one that is further ahead is left out.
    max_sessions, max_items
        The bounds on live sessions and on the catalogue: whatever is least recently clicked
        makes room.
    snapshots
        The folder for snapshots; none are taken without it.
    snapshot_every
        How often: a duration, or a number of clicks such as ``"5000clicks"``.
    keep_snapshots
        How many of the newest stay.
    fresh
        Start anew, though the folder holds snapshots.
    batch
        Clicks tested and learned at once.
    device
        Where models compute; ``auto`` is a GPU where there is one.
    seed
        Of everything random.
    max_clicks
        Stop after so many.
    json, report
        Files to write the figures and the page to.
    dead_letters
        Where unusable records go: a file, or ``kafka://host:port/topic``.
    session_column, user_column, item_column, time_column, time_unit, format, sort, until_end,
    partitions, session_from, time_from, idle, on_missing_offsets, group, kafka
        How the source is read, see `SourceOptions`.

    """

    gap: str | float | None = None
    lateness: str | float = "60s"
    max_ahead: str | float = "30d"
    max_sessions: Count = 100_000
    max_items: Count = 1_000_000
    snapshots: str | None = None
    snapshot_every: str | float = "60s"
    keep_snapshots: Count = 3
    fresh: bool = False
    batch: Annotated[int, Between(1, LARGEST_BATCH)] = 64
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: Seed = 0
    max_clicks: Annotated[int, Between(1, MOST_CLICKS)] | None = None
    json: str | None = None
    report: str | None = None
    dead_letters: str | None = None

    def __post_init__(self) -> None:
        """Check the ranges, and that the durations can be read."""
        super().__post_init__()
        for option in ("snapshots", "json", "report", "dead_letters"):
            check_named(getattr(self, option), flag(option))
        if self.gap_seconds is not None and self.gap_seconds <= 0:
            raise ConfigError(f"--gap must be longer than 0, not {self.gap}")
        parse_duration(self.lateness, "--lateness")
        if self.max_ahead_seconds <= 0:
            raise ConfigError(f"--max-ahead must be longer than 0, not {self.max_ahead}")
        parse_every(self.snapshot_every, "--snapshot-every")

    @property
    def gap_seconds(self) -> float | None:
        """The inactivity that ends a session, in seconds, where it is given."""
        return None if self.gap is None else parse_duration(self.gap, "--gap")

    @property
    def lateness_seconds(self) -> float:
        """How much older than its session's latest click a click may be, in seconds."""
        return parse_duration(self.lateness, "--lateness")

    @property
    def max_ahead_seconds(self) -> float:
        """How far a click may be ahead of the stream, in seconds."""
        return parse_duration(self.max_ahead, "--max-ahead")

    @property
    def every(self) -> Interval:
        """How often to take a snapshot."""
        return parse_every(self.snapshot_every, "--snapshot-every")

    def public(self) -> dict[str, Any]:
        """Give all options in JSON's types, as they may be shown and kept: without secrets.

        Examples
        --------
        >>> RunConfig(kafka={"sasl.password": "12345"}).public()["kafka"]
        {'sasl.password': '***'}

        """
        options: dict[str, Any] = msgspec.to_builtins(self)
        options["kafka"] = public_settings(self.kafka)
        return options


class RunConfig(StreamConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a run; a flag is a field's name with dashes, ``--snapshot-every``.

    Parameters
    ----------
    window
        Clicks in the sliding window of the metrics.
    recommendations
        Where recommendations go: a file, or ``kafka://host:port/topic``.
    recommend
        The best items before each scored click, or after every click.
    exclude
        What the lists after every click leave out: the item just clicked, or nothing.
    k
        How many of them.
    max_wait
        How long a click on a quiet stream waits for its recommendations.
    exactly_once
        Write recommendations to their topic in transactions that go with the snapshots.
    metrics_port, metrics_address
        Where to serve ``/metrics`` for Prometheus; nowhere without a port.
    serve
        Where to answer requests for recommendations over HTTP: a port on this machine, or
        ``host:port``; nowhere without it.
    api_key
        ``env:NAME``: the variable that holds the key which requests must bring.
    allow_origins
        Pages of which origins may ask from a browser, with commas between them.
    begin_from
        A snapshot, or a folder of them: begin with what was learned there. A run that has
        snapshots of its own goes on from those.
    model
        What the model is made of and how it learns.
    gap, lateness, max_ahead, max_sessions, max_items, snapshots, snapshot_every, keep_snapshots,
    fresh, batch, device, seed, max_clicks, json, report, dead_letters
        As for every stream, see `StreamConfig`.
    session_column, user_column, item_column, time_column, time_unit, format, sort, until_end,
    partitions, session_from, time_from, idle, on_missing_offsets, group, kafka
        How the source is read, see `SourceOptions`.

    Raises
    ------
    ConfigError
        An option is out of its range.

    Examples
    --------
    >>> config = RunConfig(user_column="visitor", snapshot_every="5000clicks")
    >>> config.lateness_seconds, config.every.clicks
    (60.0, 5000)

    """

    window: Annotated[int, Between(1, LARGEST_WINDOW)] = 10_000
    recommendations: str | None = None
    recommend: Literal["scored", "every"] = "scored"
    exclude: Literal["current", "none"] = "current"
    k: Annotated[int, Between(1, MOST_RECOMMENDED)] = 20
    max_wait: str | float = "100ms"
    exactly_once: bool = False
    metrics_port: Annotated[int, Between(0, (1 << 16) - 1)] | None = None
    metrics_address: str = "127.0.0.1"
    serve: str | None = None
    api_key: str | None = None
    allow_origins: str | None = None
    begin_from: str | None = None
    model: GRU4RecConfig = GRU4RecConfig()

    def __post_init__(self) -> None:
        """Check the ranges, and that the durations can be read."""
        super().__post_init__()
        for option in ("recommendations", "begin_from"):
            check_named(getattr(self, option), flag(option))
        parse_duration(self.max_wait, "--max-wait")
        if self.serve is not None:
            parse_place(self.serve, "--serve")
        elif self.api_key is not None or self.allow_origins is not None:
            raise ConfigError("--api-key and --allow-origins are for requests: give --serve too")
        if self.exactly_once:
            self._check_exactly_once()

    def _check_exactly_once(self) -> None:
        if not (self.recommendations or "").startswith("kafka://"):
            raise ConfigError(
                "--exactly-once is for recommendations that go to a topic: give "
                "--recommendations kafka://host:port/topic (files need no such option)"
            )
        if self.snapshots is None:
            raise ConfigError(
                "--exactly-once commits recommendations with the snapshots: give a folder with "
                "--snapshots"
            )

    @property
    def max_wait_seconds(self) -> float:
        """How long a click on a quiet stream waits for its recommendations, in seconds."""
        return parse_duration(self.max_wait, "--max-wait")
