"""Configuration: what a run is told, from a TOML file and from flags."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from nextclick.models import Recipe

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_CLICKS = re.compile(r"([\d_,]+)\s*clicks?")

S = TypeVar("S", bound=msgspec.Struct)


class ConfigError(Exception):
    """An option is unknown, of the wrong type or out of range; the message names it."""


class Every(msgspec.Struct, frozen=True):
    """How often: after so many seconds, or after so many clicks; the other is None.

    Examples
    --------
    >>> parse_every("5000clicks", "--snapshot-every")
    Every(seconds=None, clicks=5000)

    """

    seconds: float | None = None
    clicks: int | None = None


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a run; a flag is a field's name with dashes, ``--snapshot-every``.

    Durations are seconds, or a text such as ``"500ms"``, ``"60s"``, ``"30m"``, ``"1h"``, ``"2d"``.

    Parameters
    ----------
    session_column, item_column, time_column
        Where a click's session, item and time stand in the source; where not given, what the
        format says, else ``session_id``, ``item_id`` and ``timestamp``.
    user_column
        Where its user stands: then sessions are cut from each user's clicks by `gap`.
    time_unit
        What a time given as a number counts: ``s``, ``ms``, ``us`` or ``ns``.
    format
        The name of a preset for a published data set.
    sort
        Read the whole log first and put it in order of time.
    gap
        The inactivity that ends a session. Where not given: 30 minutes for users, the custom of
        the field, and one day for session ids, which seldom need cutting but must expire.
    lateness
        How much older than its session's latest click a click may be. 60 seconds forgive the
        clocks and queues of several servers.
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
        Where the model computes; ``auto`` is a GPU where there is one.
    seed
        Of everything random.
    max_clicks
        Stop after so many.
    window
        Clicks in the sliding window of the metrics.
    k
        How many items to recommend for each click.
    json, report, recommendations, dead_letters
        Files to write the figures, the page, the recommendations and the unusable records to.
    model
        What the model is made of and how it learns.

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

    session_column: str | None = None
    user_column: str | None = None
    item_column: str | None = None
    time_column: str | None = None
    time_unit: str | None = None
    format: str | None = None
    sort: bool | None = None
    gap: str | float | None = None
    lateness: str | float = "60s"
    max_sessions: int = 100_000
    max_items: int = 1_000_000
    snapshots: str | None = None
    snapshot_every: str | float = "60s"
    keep_snapshots: int = 3
    fresh: bool = False
    batch: int = 64
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0
    max_clicks: int | None = None
    window: int = 10_000
    k: int = 20
    json: str | None = None
    report: str | None = None
    recommendations: str | None = None
    dead_letters: str | None = None
    model: Recipe = Recipe()

    def __post_init__(self) -> None:
        """Check the ranges, and that the durations can be read."""
        for field in (
            "max_sessions",
            "max_items",
            "keep_snapshots",
            "batch",
            "max_clicks",
            "window",
            "k",
        ):
            at_least(getattr(self, field), 1, flag(field))
        at_least(self.seed, 0, "--seed")
        if self.gap_seconds is not None and self.gap_seconds <= 0:
            raise ConfigError(f"--gap must be longer than 0, not {self.gap}")
        parse_duration(self.lateness, "--lateness")
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
    def every(self) -> Every:
        """How often to take a snapshot."""
        return parse_every(self.snapshot_every, "--snapshot-every")


def flag(field: str) -> str:
    """Give an option's name as it is typed.

    Examples
    --------
    >>> flag("snapshot_every")
    '--snapshot-every'

    """
    return "--" + field.replace("_", "-")


def at_least(value: float | None, least: float, option: str) -> None:
    """Raise ConfigError where a value is given and below the least that makes sense."""
    if value is not None and not value >= least:
        raise ConfigError(f"{option} must be at least {least}, not {value}")


def parse_duration(duration: str | float, option: str) -> float:
    """Read a duration in seconds.

    Parameters
    ----------
    duration
        A number of seconds, or a number with its unit: ms, s, m, h or d.
    option
        The option's name, for the message.

    Raises
    ------
    ConfigError
        It is no duration.

    Examples
    --------
    >>> [parse_duration(text, "--gap") for text in ("30m", "500ms", "1.5h", "90", 90)]
    [1800.0, 0.5, 5400.0, 90.0, 90.0]

    """
    if isinstance(duration, str):
        match = _DURATION.fullmatch(duration.strip())
        seconds = float(match[1]) * _UNITS[match[2] or "s"] if match else math.nan
    else:
        seconds = float(duration)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ConfigError(
            f'{option}: {duration!r} is no duration; write for instance "60s" or "30m"'
        )
    return seconds


def parse_every(every: str | float, option: str) -> Every:
    """Read how often something is to happen: a duration, or a number of clicks.

    Raises
    ------
    ConfigError
        It is neither, or it is nothing.

    """
    match = _CLICKS.fullmatch(every.strip()) if isinstance(every, str) else None
    digits = re.sub("[_,]", "", match[1]) if match else ""
    if digits:
        parsed = Every(clicks=int(digits))
    else:
        try:
            parsed = Every(seconds=parse_duration(every, option))
        except ConfigError:
            raise ConfigError(
                f'{option}: {every!r} says not how often; write for instance "60s" or "5000clicks"'
            ) from None
    if not (parsed.seconds or parsed.clicks):
        raise ConfigError(f"{option} must be more than 0, not {every!r}")
    return parsed


def check_keys(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Check that options exist.

    Parameters
    ----------
    given
        The options' names.
    known
        All names there are.
    where
        The file, and the table in it, for the message.

    Raises
    ------
    ConfigError
        One does not; the message names the nearest one that does.

    Examples
    --------
    >>> check_keys(["bach"], ["batch", "seed"], "run.toml")
    Traceback (most recent call last):
    ...
    nextclick.stream.config.ConfigError: run.toml: there is no option 'bach'; is it 'batch'?

    """
    known = sorted(known)
    for key in given:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            remedy = f"is it {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
            raise ConfigError(f"{where}: there is no option {key!r}; {remedy}")


def load_toml(path: Path, struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Read the options that a TOML file gives.

    Parameters
    ----------
    path
        The file.
    struct
        What the options are for, `RunConfig` or a struct that extends it; a field that is a
        struct itself is a table of the file.

    Returns
    -------
    dict
        The options given, and only those; tables as dicts.

    Raises
    ------
    ConfigError
        The file cannot be read, or an option is unknown or has the wrong type.

    """
    try:
        given = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ValueError as error:  # No TOML, or no UTF-8.
        raise ConfigError(f"{path} is no TOML file: {error}") from error
    _check(given, struct, str(path))
    return given


def merge(file: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """Lay flags over a file's options; a flag that is None was not given.

    Examples
    --------
    >>> merge({"batch": 64, "model": {"hidden": 50}}, {"batch": 1, "seed": None})
    {'batch': 1, 'model': {'hidden': 50}}

    """
    merged = dict(file)
    for key, value in flags.items():
        if isinstance(value, dict):
            merged[key] = merge(merged.get(key, {}), value)
        elif value is not None:
            merged[key] = value
    return merged


def build(struct: type[S], given: dict[str, Any]) -> S:
    """Make a configuration of the options given; the others have their defaults.

    Raises
    ------
    ConfigError
        An option is unknown, has the wrong type, or is out of its range.

    Examples
    --------
    >>> build(RunConfig, {"batch": 0})
    Traceback (most recent call last):
    ...
    nextclick.stream.config.ConfigError: --batch must be at least 1, not 0

    """
    _check(given, struct, "the options")
    try:
        return msgspec.convert(given, struct)
    except msgspec.ValidationError as error:
        # The model's own check of a range: "window must be at least 1 - at `$.model`".
        raise ConfigError(str(error).replace(" - at `$.model`", " (a model option)")) from error


def parse_assignments(texts: Iterable[str], option: str) -> dict[str, Any]:
    """Read options given as ``name=value``, each value as TOML has it; a bare word is a text.

    Raises
    ------
    ConfigError
        One has no name or no value.

    Examples
    --------
    >>> parse_assignments(["hidden=200", "reset=after"], "--model")
    {'hidden': 200, 'reset': 'after'}

    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"{option} {text!r}: write name=value, for instance hidden=200")
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return values


def _check(given: dict[str, Any], struct: type[msgspec.Struct], where: str) -> None:
    """Check the names and types of options, those in tables too."""
    wanted = {field.name: field.type for field in msgspec.structs.fields(struct)}
    check_keys(given, wanted, where)
    for key, value in given.items():
        kind = wanted[key]
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            _check(value, kind, f"{where}, table [{key}]")
            continue
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            if get_origin(kind) is Literal:
                problem = f"expected one of {', '.join(map(str, get_args(kind)))}, got {value!r}"
            else:
                # "Expected `int | null`, got `str`", where TOML has no null.
                words = str(error).replace("`", "").replace(" | null", "")
                problem = f"{words[0].lower()}{words[1:]} ({value!r})"
            raise ConfigError(f"{where}: {key!r}: {problem}") from error
