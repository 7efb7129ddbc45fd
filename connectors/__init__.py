"""Doors: clicks come in, recommendations go out. Knows no model."""

from __future__ import annotations

from .clicks import Click, Clicks, Id, Position, Rejected
from .dead_letters import DeadLetterTopic, dead_letter
from .formats import LogFormat, log_format
from .kafka import KafkaSource
from .kafka_connect import KafkaLog
from .kafka_settings import KafkaAddress, client_settings, parse_address, public_settings
from .kafka_sink import KafkaSink
from .lag import Lag
from .log import LogSource
from .open import open_source
from .pipe import PipeSource
from .polled import check_polled
from .replay import Replay, make_topic
from .simulator import SimulatedShop
from .sinks import JsonLinesSink, RemoteSink, Sink, SinkError
from .source import BEGIN_FROM, Source, SourceError

__all__ = [
    "BEGIN_FROM",
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
]
