"""How a Kafka is named and set up: addresses, and the settings of its clients."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.codec import has_lz4, has_snappy

from ...option_checks import check_type
from ...source import SourceError
from ...spelling import nearest
from . import tokens

SINKS = ("recommendations", "dead_letters")
"""What may have settings of its own, in a table of this name in ``[kafka]``."""

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER", "AWS_MSK_IAM")
CHOICES = {
    "security_protocol": PROTOCOLS,
    "sasl_mechanism": MECHANISMS,
    "compression_type": ("none", "gzip", "snappy", "lz4", "zstd"),
    "client_dns_lookup": ("use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"),
}
"""The values of settings that know only some."""

LARGEST = 2**31 - 1
AT_MOST = {"max_in_flight_requests_per_connection": 5}
MAY_BE_ZERO = {
    *("batch_size", "linger_ms", "fetch_min_bytes", "fetch_max_wait_ms"),
    *("reconnect_backoff_ms", "reconnect_backoff_max_ms", "retry_backoff_ms", "max_block_ms"),
}
"""Bounds of numbers: from 1, or 0 where that is of use, to what Kafka's protocol can express."""

LIBRARIES = {"snappy": (has_snappy, "python-snappy"), "lz4": (has_lz4, "lz4")}
"""Codecs that a package must be there for."""

KNOWN: dict[str, Any] = {
    **KafkaAdminClient.DEFAULT_CONFIG,
    **KafkaProducer.DEFAULT_CONFIG,
    **KafkaConsumer.DEFAULT_CONFIG,
    **dict.fromkeys(tokens.SETTINGS),
}
"""Every setting that kafka-python's clients know, and its default; and those of tokens."""

OURS = {
    "bootstrap_servers": "name the brokers in the address, kafka://host:port/topic",
    "group_id": "name the group with --group",
    "group_instance_id": "nextclick is no member of a group; it assigns partitions itself",
    "enable_auto_commit": "nextclick commits only after a snapshot is durable",
    "auto_offset_reset": "positions are in the snapshot; see --on-missing-offsets",
    "isolation_level": "nextclick always reads committed records only",
    "enable_idempotence": "nextclick's producers are always idempotent",
    "acks": "nextclick's producers always wait for all replicas",
    "transactional_id": "give --exactly-once",
}
"""Settings that a user may not set, and what to do instead."""

OTHER_NAMES = {
    "sasl_username": "sasl_plain_username",
    "sasl_password": "sasl_plain_password",
    "sasl_mechanisms": "sasl_mechanism",
    "ssl_ca_location": "ssl_cafile",
    "ssl_truststore_location": "ssl_cafile",
    "ssl_certificate_location": "ssl_certfile",
    "ssl_key_location": "ssl_keyfile",
    "ssl_key_password": "ssl_password",
    "fetch_wait_max_ms": "fetch_max_wait_ms",
}
"""What other clients call a setting, and what kafka-python does."""

PROXIES = {"proxy_url", "socks5_proxy"}
SECRETS = {*("sasl_plain_password", "ssl_password", "sasl_oauth_token"), *PROXIES}
WHOLE_NUMBERS = {"receive_buffer_bytes", "send_buffer_bytes"}
NOT_IN_A_FILE = {
    *("key_serializer", "value_serializer", "key_deserializer", "value_deserializer"),
    *("ssl_context", "api_version", "consumer_timeout_ms"),
}
FILES = {"ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile", "sasl_oauth_token_file"}

_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/]+):\d{1,5}")


class _Address(NamedTuple):
    servers: list[str]
    topic: str


class KafkaAddress(_Address):
    """A topic, and the brokers to ask for it.

    Parameters
    ----------
    servers
        Where brokers listen, each ``host:port``.
    topic
        The topic's name.

    Raises
    ------
    SourceError
        They cannot be such.

    """

    __slots__ = ()

    def __new__(cls, servers: list[str], topic: str) -> KafkaAddress:
        """Check both."""
        servers = check_type("KafkaAddress", "servers", servers, list[str])
        address = super().__new__(cls, servers, check_type("KafkaAddress", "topic", topic, str))
        if not servers or not all(map(_SERVER.fullmatch, servers)):
            raise SourceError(f"{address}: a Kafka address looks like kafka://host:port/topic")
        if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", topic) or topic in (".", ".."):
            raise SourceError(
                f"{address}: {topic!r} is no name of a topic; the address looks like "
                f"kafka://host:port/topic"
            )
        return address

    def __str__(self) -> str:
        """Return the address as it is typed."""
        return f"kafka://{','.join(self.servers)}/{self.topic}"


def parse_address(spec: str) -> KafkaAddress:
    """Read an address such as ``kafka://host:port,host:port/topic``; the port is 9092 by default.

    Raises
    ------
    SourceError
        It is no such address.

    Examples
    --------
    >>> parse_address("kafka://localhost:9092,[::1]:9093/clicks")
    KafkaAddress(servers=['localhost:9092', '[::1]:9093'], topic='clicks')

    """
    servers, topic = split_address(spec)
    if topic.startswith("^") or "," in topic:
        raise SourceError(f"{spec}: only a source reads several topics: name one topic here")
    return KafkaAddress(servers, topic)


def split_address(spec: str) -> tuple[list[str], str]:
    """Return the brokers and what names topics in an address.

    Raises
    ------
    SourceError
        It is no address of a Kafka, or holds a password.

    """
    hosts, _, topics = spec.removeprefix("kafka://").partition("/")
    if "@" in hosts:
        # The message does not repeat what may be a password.
        raise SourceError(
            "a Kafka address holds no user and no password: set sasl.username and sasl.password "
            "in [kafka] of the configuration, for instance to 'env:KAFKA_PASSWORD'"
        )
    servers = [server if _has_port(server) else f"{server}:9092" for server in hosts.split(",")]
    if not spec.startswith("kafka://"):
        raise SourceError(f"{spec}: a Kafka address looks like kafka://host:port/topic")
    return servers, topics


def _has_port(server: str) -> bool:
    return ":" in server.rpartition("]")[2]


def client_settings(table: Mapping[str, Any], sink: str | None = None) -> dict[str, Any]:
    """Read the settings for kafka-python's clients from a ``[kafka]`` table.

    Names are Kafka's own (``security.protocol``) or kafka-python's (``security_protocol``). A
    text ``env:NAME`` is the value of an environment variable.

    Parameters
    ----------
    table
        The table.
    sink
        One of `SINKS`: where the table has one of this name in it, ``[kafka.recommendations]``,
        that holds the sink's settings, and no others do: a password for some brokers is not sent
        to others. None: the settings of all else.

    Raises
    ------
    SourceError
        A setting is unknown, wrong, or not for a user to set.

    Examples
    --------
    >>> client_settings({"security.protocol": "SSL", "fetch": {"min.bytes": 1000}})
    {'security_protocol': 'SSL', 'fetch_min_bytes': 1000}

    """
    own = sink is not None and has_own_settings(table, sink)
    where = f"[kafka.{sink}]" if own else "[kafka]"
    settings: dict[str, Any] = {}
    for name, value in _of(table, sink if own else None).items():
        key = _key(name)
        if key in OURS:
            raise SourceError(f"{where} {name}: {OURS[key]}")
        if key not in KNOWN:
            close = nearest(key, KNOWN).replace("_", ".")
            raise SourceError(f"{where} {name}: there is no such setting{close}")
        if key in settings:
            raise SourceError(f"{where} {name}: it is set twice, under two names")
        settings[key] = _value(f"{where} {name}", key, value)
    protocol = settings.get("security_protocol", "PLAINTEXT")
    if protocol.startswith("SASL") and "sasl_mechanism" not in settings:
        raise SourceError(
            f"{where} security.protocol = {protocol!r} needs sasl.mechanism as well: one of "
            f"{', '.join(MECHANISMS)}"
        )
    if settings.get("sasl_mechanism") == "AWS_MSK_IAM":
        _check_iam(where, protocol)
    settings = tokens.with_token(settings, where)
    return {**settings, "table": where} if own else settings


def has_own_settings(table: Mapping[str, Any], sink: str) -> bool:
    """Whether a sink has settings of its own in a ``[kafka]`` table."""
    return any(name == sink or name.startswith(f"{sink}.") for name in table)


def _of(table: Mapping[str, Any], sink: str | None) -> dict[str, Any]:
    """Return the settings that a sink has for itself, or those of all else; the last ones hold."""
    settings = {}
    for name, value in _flat(table):
        owner, _, own = name.partition(".")
        if owner in SINKS and owner == sink:
            settings[own] = value
        elif owner not in SINKS and sink is None:
            settings[name] = value
    return settings


def _check_iam(table: str, protocol: str) -> None:
    """Check what kafka-python needs to sign in at Amazon's brokers."""
    where = f"{table} sasl.mechanism = 'AWS_MSK_IAM'"
    if protocol != "SASL_SSL":
        raise SourceError(f"{where} needs security.protocol = 'SASL_SSL'")
    if importlib.util.find_spec("botocore") is None:
        raise SourceError(f"{where} needs the package botocore: install it")


def public_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``[kafka]`` table as it may be shown: without secrets.

    Examples
    --------
    >>> public_settings({"sasl.username": "anna", "sasl.password": "12345"})
    {'sasl.username': 'anna', 'sasl.password': '***'}

    """
    return {
        name: "***" if _is_secret(name) and not str(value).startswith("env:") else value
        for name, value in _flat(table)
    }


def _is_secret(name: str) -> bool:
    owner, _, own = name.partition(".")
    return _key(own if owner in SINKS else name) in SECRETS


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Return each setting with its whole name: TOML takes a dotted name for a table in a table."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _key(name: str) -> str:
    key = name.replace(".", "_")
    return OTHER_NAMES.get(key, key)


def _value(place: str, key: str, value: Any) -> Any:
    """Check a setting's value; one from the environment is a text that may represent a number."""
    default = KNOWN[key]
    if key in NOT_IN_A_FILE or not isinstance(default, int | float | str | None):
        raise SourceError(f"{place}: it cannot be set in a configuration")
    kind = int if key in WHOLE_NUMBERS else str if default is None else type(default)
    if isinstance(value, str) and value.startswith("env:"):
        variable = value.removeprefix("env:")
        if variable not in os.environ:
            raise SourceError(f"{place}: the environment variable {variable} is not set: export it")
        value = os.environ[variable]
        if kind is int and value.isdecimal():
            value = int(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise SourceError(f"{place}: it must be {words[kind]}")
    if isinstance(value, int | float) and kind is not bool:
        least, most = int(key not in MAY_BE_ZERO), AT_MOST.get(key, LARGEST)
        if not least <= value <= most:
            raise SourceError(f"{place}: {value} is not between {least} and {most:,}")
    if key in CHOICES and value not in CHOICES[key]:
        close = nearest(str(value), CHOICES[key])
        raise SourceError(f"{place}: {value!r} is not one of {', '.join(CHOICES[key])}{close}")
    if key in PROXIES and not str(value).startswith(("http://", "socks5://", "socks5h://")):
        # The message does not repeat what may hold a password.
        raise SourceError(f"{place}: write http://host:port or socks5://host:port")
    if key == "compression_type":
        there, package = LIBRARIES.get(str(value), (lambda: True, ""))
        if not there():
            raise SourceError(f"{place}: {value!r} needs the package {package}: install it")
        return None if value == "none" else value
    if key in FILES and not os.access(str(value), os.R_OK):
        raise SourceError(f"{place}: {value} is no file that can be read")
    return value
