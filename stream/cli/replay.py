"""The command ``nextclick replay``: a log published to a topic."""

from __future__ import annotations

import re
import signal
import sys
from contextlib import closing
from typing import Annotated, Any

import typer

from nextclick.connectors import (
    Clicks,
    KafkaAddress,
    KafkaLog,
    Replay,
    SinkError,
    Source,
    client_settings,
    make_topic,
    parse_address,
)

from ..config.declaration import option
from ..config.options import ConfigError
from ..config.run import RunConfig
from ..config.source import MOST_PARTITIONS, LogOptions
from ..endpoints import Spec, is_topic, open_configured_source, specs_of
from ..monitoring.unusable_records import Unusable
from ..notes import Info
from ..signals import on_stop
from .exit_codes import NO_CLICKS
from .flags import ServiceOptions, command
from .progress import LiveLine
from .terminal import errors, notify, show


def parse_speed(text: str, typed: str = "--speed") -> float | None:
    """Read how many times faster than the log's own pace; None is flat out.

    Raises
    ------
    ConfigError
        It is no speed.

    Examples
    --------
    >>> [parse_speed(text) for text in ("1x", "60x", "0.5x", "max")]
    [1.0, 60.0, 0.5, None]

    """
    if text == "max":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x?", text)
    if match is None or float(match[1]) == 0:
        raise ConfigError(f"{typed} {text!r}: write for instance 1x, 60x or max")
    return float(match[1])


class ReplayConfig(LogOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a replay: how the log is read, and where it goes."""

    to: Annotated[str, option("Topic, kafka://host:port/topic.", value="TOPIC")]
    speed: Annotated[
        str,
        option(
            "Speed: 1x is the log's own pace, 60x is sixty times faster, max does not wait.",
            value="SPEED",
            parse=parse_speed,
        ),
    ] = "max"
    make_topic: Annotated[
        int | None,
        option(
            "Create the topic with this many partitions and unlimited retention.",
            ge=1,
            le=MOST_PARTITIONS,
        ),
    ] = None


@command(ReplayConfig, ServiceOptions, shared=RunConfig)
def replay_command(
    log: Annotated[
        list[str],
        typer.Argument(
            help="A log (.csv, .tsv, .jsonl, .parquet, .avro, plain or compressed), or several, a "
            "folder or a pattern, read in the order of time; or sim:clicks=60000,seed=1 for the "
            "simulated shop.",
        ),
    ],
    config: ReplayConfig,
) -> None:
    """Publish a log to a Kafka topic, keyed by session, with its own times.

    If it is interrupted, the same command resumes where it stopped.
    """
    replay(log, parse_address(config.to), config, parse_speed(config.speed), config.make_topic)


def replay(
    log: Spec,
    address: KafkaAddress,
    options: LogOptions,
    speed: float | None = None,
    partitions: int | None = None,
) -> None:
    """Carry out a replay, and tell how it went.

    Parameters
    ----------
    log
        The log, see `open_source`.
    address
        The brokers and the topic.
    options
        How the log is read, and how the brokers are reached.
    speed
        How many times faster than the log's own pace; None is flat out.
    partitions
        Make the topic, with so many.

    Raises
    ------
    ConfigError, SourceError, SinkError
        It cannot be done; the message names the place and the remedy.

    """
    for each in specs_of(log):
        if is_topic(each):
            raise ConfigError(f"{each} is a topic: name a log to replay")
    settings = client_settings(options.kafka)
    # What kafka-python logs is told in errors and notes; its own words are of no help.
    with closing(open_configured_source(log, options)) as source, KafkaLog():
        if partitions is not None and make_topic(address, settings, partitions):
            plural = "" if partitions == 1 else "s"
            notify(Info(f"created the topic {address.topic} with {partitions:,} partition{plural}"))
        unusable = Unusable(options.time_unit or "s")
        publishing = Replay(_Watched(source, unusable), address, settings, speed, notify)
        ended = _publish(publishing, source)
    for warning in source.warnings:
        notify(warning)
    for reason, count in sorted(publishing.rejected.items()):
        notify(f"{count:,} records of the log are not clicks and were skipped: {reason}")
    if not publishing.read and not unusable.notes() and (why := unusable.why()):
        notify(why)
    if source.gap is not None:
        notify(
            f"the log has users, not sessions: run the topic with --gap {source.gap:g}s to cut "
            "sessions as on the log"
        )
    if publishing.doubles:
        notify(
            f"{publishing.doubles:,} records are in the topic twice, because a broker restarted "
            "during the replay; nextclick recognises them by their sequence"
        )
    there = publishing.read - publishing.published
    before = f" ({there:,} were there before)" if there else ""
    if ended:
        show(f"{publishing.read:,} clicks in {address.topic}{before}")
        if not publishing.read:
            sys.exit(NO_CLICKS)
        return
    show(f"stopped after {publishing.read:,} clicks{before}; the same command resumes from there")
    sys.exit(130)


def _publish(publishing: Replay, log: Source) -> bool:
    """Publish the log and close the connection; return whether all of it is there."""
    try:
        with on_stop(_interrupt), ReplayProgress(log) as progress:
            publishing.run(progress)
    except KeyboardInterrupt:
        notify(Info("stopping, waiting for the brokers to confirm what was sent"))
        try:
            publishing.close()
        except SinkError as error:
            notify(str(error))
        return False
    except BaseException:
        publishing.close()
        raise
    publishing.close()
    return True


class ReplayProgress(LiveLine):
    """Progress of a replay.

    Parameters
    ----------
    log
        The log.

    """

    def __init__(self, log: Source) -> None:
        super().__init__(errors, "reading the log")
        self._log = log

    def __call__(self, replay: Replay) -> None:
        """Show the progress if some time has passed since the last."""
        behind = [f"{replay.behind:,.0f} s behind"] if replay.behind >= 1 else []
        self.update(replay.read, lambda: getattr(self._log, "share", None), lambda: behind)


class _Watched:
    """A source whose unusable records are told of while it is read."""

    def __init__(self, source: Source, unusable: Unusable) -> None:
        self._source = source
        self._unusable = unusable
        self._told = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Read on, and say what is wrong where it is plain."""
        clicks = self._source.poll(limit, wait)
        if clicks is not None:
            self._unusable.take(clicks)
        if not self._told:
            for sentence in self._unusable.notes():
                self._told = True
                notify(sentence)
        return clicks


def _interrupt(number: signal.Signals) -> None:
    """End the replay where it is, to be closed in good order."""
    raise KeyboardInterrupt
