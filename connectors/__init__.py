"""clicks come in, recommendations go out. Knows no model."""

from __future__ import annotations

from .clicks import FILTERED, Click, Clicks, Id, Position, Rejected, dead_letter
from .custom_source import check_polled
from .decoding.log_format import LogFormat, log_format
from .files.json_lines_sink import JsonLinesSink
from .files.listing import would_read
from .files.log import LogSource
from .files.merged_logs import MergedLogs
from .files.pipe import PipeSource
from .files.remote import without_secrets
from .kafka.client import KafkaLog
from .kafka.dead_letters import DeadLetterTopic
from .kafka.lag import Lag
from .kafka.replay import Replay
from .kafka.settings import KafkaAddress, client_settings, parse_address, public_settings
from .kafka.sink import KafkaSink
from .kafka.source import KafkaSource
from .kafka.topics import make_topic
from .open import open_source
from .simulator import SimulatedShop
from .sink import RemoteSink, Sink, SinkError
from .source import BEGIN_FROM, Source, SourceError

__all__ = [
    "BEGIN_FROM",
    "FILTERED",
    "Click",
    "Clicks",
    "DeadLetterTopic",
    "Id",
    "JsonLinesSink",
    "KafkaAddress",
    "KafkaLog",
    "KafkaSink",
    "KafkaSource",
    "Lag",
    "LogFormat",
    "LogSource",
    "MergedLogs",
    "PipeSource",
    "Position",
    "Rejected",
    "RemoteSink",
    "Replay",
    "SimulatedShop",
    "Sink",
    "SinkError",
    "Source",
    "SourceError",
    "check_polled",
    "client_settings",
    "dead_letter",
    "log_format",
    "make_topic",
    "open_source",
    "parse_address",
    "public_settings",
    "without_secrets",
    "would_read",
]
