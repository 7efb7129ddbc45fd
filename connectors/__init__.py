"""clicks come in, recommendations go out. Knows no model."""

from __future__ import annotations

from .clicks import FILTERED, Click, Clicks, Id, Position, Rejected, dead_letter
from .custom_source import check_polled
from .decoding.log_format import LogFormat, log_format
from .files.growing.followed_log import FollowedLog
from .files.growing.recorded_log import RecordedLog
from .files.json_lines_sink import JsonLinesSink
from .files.listing import would_read
from .files.log import LogSource
from .files.merged_logs import MergedLogs
from .files.pipe import PipeSource
from .files.storage.remote import is_remote, without_secrets
from .items.open import open_items
from .items.records import ItemChanges, ItemRecord, ItemSource, WrongRecord, item_key
from .kafka.access.settings import (
    KafkaAddress,
    client_settings,
    has_own_settings,
    parse_address,
    public_settings,
)
from .kafka.access.subscription import Subscription, parse_subscription
from .kafka.client import KafkaLog
from .kafka.dead_letters import DeadLetterTopic
from .kafka.lag import Lag
from .kafka.replay import Replay
from .kafka.sink import KafkaSink
from .kafka.source import KafkaSource
from .kafka.topics import make_sink_topic, make_topic
from .memory.open import MemorySource, given_name, is_named, is_source
from .memory.table_reader import ArrowStream
from .open import open_source
from .recorder import FullError, Recorded, Recorder, RecordError
from .schemas.registry import SchemaRegistry
from .schemas.settings import public_registry_settings, registry_settings
from .simulator import SimulatedShop
from .sink import RemoteSink, Sink, SinkError
from .source import BEGIN_FROM, Source, SourceError
from .submitted_clicks import ClickError, ClickForm, SubmittedClick, path_in
from .topic_recorder import TopicRecorder

__all__ = [
    "BEGIN_FROM",
    "FILTERED",
    "ArrowStream",
    "Click",
    "ClickError",
    "ClickForm",
    "Clicks",
    "DeadLetterTopic",
    "FollowedLog",
    "FullError",
    "Id",
    "ItemChanges",
    "ItemRecord",
    "ItemSource",
    "JsonLinesSink",
    "KafkaAddress",
    "KafkaLog",
    "KafkaSink",
    "KafkaSource",
    "Lag",
    "LogFormat",
    "LogSource",
    "MemorySource",
    "MergedLogs",
    "PipeSource",
    "Position",
    "RecordError",
    "Recorded",
    "RecordedLog",
    "Recorder",
    "Rejected",
    "RemoteSink",
    "Replay",
    "SchemaRegistry",
    "SimulatedShop",
    "Sink",
    "SinkError",
    "Source",
    "SourceError",
    "SubmittedClick",
    "Subscription",
    "TopicRecorder",
    "WrongRecord",
    "check_polled",
    "client_settings",
    "dead_letter",
    "given_name",
    "has_own_settings",
    "is_named",
    "is_remote",
    "is_source",
    "item_key",
    "log_format",
    "make_sink_topic",
    "make_topic",
    "open_items",
    "open_source",
    "parse_address",
    "parse_subscription",
    "path_in",
    "public_registry_settings",
    "public_settings",
    "registry_settings",
    "without_secrets",
    "would_read",
]
