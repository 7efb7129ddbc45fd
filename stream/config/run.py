"""The options of a run, each declared once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from nextclick.connectors import public_registry_settings, public_settings

from .clicks_file import ClicksK, ClicksPath, check_clicks
from .declaration import (
    MODEL,
    OUTPUT,
    SERVING,
    SNAPSHOTS,
    SOURCE,
    AnyTable,
    documented,
    option,
    typed,
)
from .learners import DEFAULT, OWN, check_model_table, check_name, names, read_options
from .options import (
    MOST_CLICKS,
    ConfigError,
    Interval,
    parse_duration,
    parse_every,
    parse_name,
    parse_positive,
)
from .protocol import check_frozen
from .ranking import Scores
from .serving import ApiKey, Items, Origins, parse_place
from .tracking import TrackOptions
from .trials import Interleave, Shadow, check_trials, with_interleaved
from .workers import WorkerTimeout

LARGEST_BATCH = 1 << 16
"""Clicks in a batch at most: the model takes no more at once."""

LARGEST_WINDOW = 10_000_000
"""Clicks in a window of the figures at most: two numbers each are held from the start."""

LARGEST_SEED = (1 << 63) - 2
"""Torch takes no larger one."""

MOST_RECOMMENDED = 10_000
"""Items that may be recommended at once."""


@documented
class StreamConfig(TrackOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of every command that goes through a stream, whatever is tested on it.

    Durations are seconds, or a text such as ``"500ms"``, ``"60s"``, ``"30m"``, ``"1h"``, ``"2d"``.
    """

    max_clicks: Annotated[
        int | None,
        option("Stop after this many clicks in all.", SOURCE, ge=1, le=MOST_CLICKS),
    ] = None
    gap: Annotated[
        str | float | None,
        option(
            "Inactivity that ends a session.",
            MODEL,
            fixed=True,
            changeable=True,
            default="30m with --user-column, else 1d",
            value="DURATION",
            parse=parse_positive,
        ),
    ] = None
    lateness: Annotated[
        str | float,
        option(
            "How much older than its session's latest click a click may be.",
            MODEL,
            fixed=True,
            changeable=True,
            value="DURATION",
            parse=parse_duration,
        ),
    ] = "60s"
    max_ahead: Annotated[
        str | float,
        option(
            "How far a click's time may be ahead of the stream.",
            MODEL,
            fixed=True,
            value="DURATION",
            parse=parse_positive,
        ),
    ] = "30d"
    max_sessions: Annotated[
        int,
        option(
            "Maximum number of live sessions; beyond it, the least recently clicked are dropped.",
            MODEL,
            ge=1,
            fixed=True,
            changeable=True,
        ),
    ] = 100_000
    max_items: Annotated[
        int,
        option(
            "Maximum size of the catalogue; beyond it, the least recently clicked items are "
            "dropped.",
            MODEL,
            ge=1,
            fixed=True,
            changeable=True,
        ),
    ] = 1_000_000
    batch: Annotated[
        int,
        option(
            "Clicks tested and learned at once.",
            MODEL,
            ge=1,
            le=LARGEST_BATCH,
            fixed=True,
            basic=True,
        ),
    ] = 64
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        option("Device for the models; auto uses a GPU if there is one.", MODEL),
    ] = "auto"
    seed: Annotated[int, option("Random seed.", MODEL, ge=0, le=LARGEST_SEED, fixed=True)] = 0
    worker_timeout: WorkerTimeout = "60s"
    snapshots: Annotated[
        str | None,
        option(
            "Folder for snapshots; a run resumes from the newest one there.",
            SNAPSHOTS,
            basic=True,
            value="FOLDER",
            parse=parse_name,
        ),
    ] = None
    snapshot_every: Annotated[
        str | float,
        option(
            'Time or clicks between snapshots, such as "60s" or "5000clicks".',
            SNAPSHOTS,
            value="INTERVAL",
            parse=parse_every,
        ),
    ] = "60s"
    keep_snapshots: Annotated[int, option("Snapshots to keep.", SNAPSHOTS, ge=1)] = 3
    fresh: Annotated[bool, option("Start over, even if the folder holds snapshots.", SNAPSHOTS)] = (
        False
    )
    json: Annotated[
        str | None,
        option(
            "File for the figures, as a JSON object.",
            OUTPUT,
            basic=True,
            value="FILE",
            parse=parse_name,
        ),
    ] = None
    report: Annotated[
        str | None,
        option(
            "File for the report page with the curves (.html).",
            OUTPUT,
            basic=True,
            value="FILE",
            parse=parse_name,
        ),
    ] = None
    clicks: ClicksPath = None
    clicks_k: ClicksK = 0
    dead_letters: Annotated[
        str | None,
        option(
            "File (JSON Lines) or kafka://host:port/topic for records that cannot be used.",
            OUTPUT,
            value="FILE|TOPIC",
            parse=parse_name,
        ),
    ] = None
    make_topics: Annotated[
        bool,
        option("Create the topics of --recommendations and --dead-letters if missing.", OUTPUT),
    ] = False

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
        """Return all options in JSON's types, as they may be shown and kept: without secrets.

        Examples
        --------
        >>> RunConfig(kafka={"sasl.password": "12345"}).public()["kafka"]
        {'sasl.password': '***'}

        """
        fields: dict[str, Any] = msgspec.to_builtins(self)
        options = {typed(name): value for name, value in fields.items()}
        options["kafka"] = public_settings(self.kafka)
        options["registry"] = public_registry_settings(self.registry)
        return options


@documented
class RunConfig(StreamConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a run; a flag is a field's name with dashes, ``--snapshot-every``.

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

    learner: Annotated[
        str,
        option(
            f"Model to learn and to recommend with: {', '.join(names())}.",
            MODEL,
            fixed=True,
            value="NAME",
            parse=check_name,
        ),
    ] = DEFAULT
    model: Annotated[
        AnyTable,
        option(
            "Option of the model, such as hidden=200; may be repeated (--help-model lists them).",
            MODEL,
            check=check_model_table,
        ),
    ] = msgspec.field(default_factory=dict)
    ranking: Scores = "exact32"
    begin_from: Annotated[
        str | None,
        option(
            "Snapshot, or folder of snapshots: start from the model trained there, on any source.",
            SNAPSHOTS,
            value="FOLDER",
            parse=parse_name,
        ),
    ] = None
    window: Annotated[
        int,
        option(
            "Scored clicks in the sliding window of the figures.",
            OUTPUT,
            ge=1,
            le=LARGEST_WINDOW,
            fixed=True,
            changeable=True,
        ),
    ] = 10_000
    recommendations: Annotated[
        str | None,
        option(
            "File (JSON Lines) or kafka://host:port/topic for recommendations.",
            OUTPUT,
            basic=True,
            value="FILE|TOPIC",
            parse=parse_name,
        ),
    ] = None
    recommend: Annotated[
        Literal["scored", "every"],
        option("Recommend before each scored click, or after every click.", OUTPUT),
    ] = "scored"
    exclude: Annotated[
        Literal["current", "none"],
        option("Exclude from lists after every click: the item just clicked, or nothing.", OUTPUT),
    ] = "current"
    k: Annotated[
        int, option("Items to recommend.", OUTPUT, ge=1, le=MOST_RECOMMENDED, names=("-k",))
    ] = 20
    max_wait: Annotated[
        str | float,
        option(
            "Longest time that a click on a quiet stream waits for its recommendations.",
            OUTPUT,
            value="DURATION",
            parse=parse_duration,
        ),
    ] = "100ms"
    exactly_once: Annotated[
        bool,
        option(
            "Write recommendations in transactions that are committed with the snapshots.", OUTPUT
        ),
    ] = False
    metrics_port: Annotated[
        int | None,
        option(
            "Port that serves /metrics for Prometheus, and /healthz.",
            OUTPUT,
            ge=0,
            le=(1 << 16) - 1,
            default="off",
        ),
    ] = None
    metrics_address: Annotated[str, option("Address that --metrics-port listens on.", OUTPUT)] = (
        "127.0.0.1"
    )
    serve: Annotated[
        str | None,
        option(
            "Serve recommendations over HTTP at this port of this machine, or at host:port.",
            SERVING,
            basic=True,
            value="[HOST:]PORT",
            parse=parse_place,
        ),
    ] = None
    api_key: ApiKey = None
    allow_origins: Origins = None
    items: Items = None
    shadow: Shadow = msgspec.field(default_factory=dict)
    interleave: Interleave = None

    def __post_init__(self) -> None:
        """Check each option, and those that need others."""
        super().__post_init__()
        check_clicks(self.clicks, self.clicks_k)
        options = read_options(self.learner, self.model, "the options, table [model]")
        msgspec.structs.force_setattr(self, "model", options)
        if self.begin_from is not None and self.learner not in OWN:
            raise ConfigError(
                f"--begin-from works with {DEFAULT} only: leave out --learner {self.learner}"
            )
        if self.serve is None and (self.api_key is not None or self.allow_origins is not None):
            raise ConfigError(
                "--api-key and --allow-origins apply to requests over HTTP: give --serve too"
            )
        if self.items is not None and self.serve is None and not self.writes_every:
            raise ConfigError(
                "--items applies to requests over HTTP and to lists after every click: give "
                "--serve, or --recommendations with --recommend every"
            )
        shown = self.serve is not None or self.writes_every
        check_frozen(self, self.serve, self.shadow, self.interleave)
        shadows = check_trials(self.shadow, self.interleave, shown)
        msgspec.structs.force_setattr(self, "shadow", shadows)
        if not self.exactly_once:
            return
        if not (self.recommendations or "").startswith("kafka://"):
            raise ConfigError(
                "--exactly-once works for a topic only: give --recommendations "
                "kafka://host:port/topic (files do not need it)"
            )
        if self.snapshots is None:
            raise ConfigError(
                "--exactly-once commits recommendations with the snapshots: add --snapshots DIR"
            )

    @property
    def writes_every(self) -> bool:
        """Whether a list is written after every click."""
        return self.recommendations is not None and self.recommend == "every"

    @property
    def shadows(self) -> dict[str, dict[str, Any]]:
        """The shadows with their options; the model of `interleave` is one of them."""
        return with_interleaved(self.shadow, self.interleave)

    @property
    def max_wait_seconds(self) -> float:
        """How long a click on a quiet stream waits for its recommendations, in seconds."""
        return parse_duration(self.max_wait, "--max-wait")
