"""Connecting to a Kafka, and why that failed."""

from __future__ import annotations

import collections
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka.errors import (
    AuthorizationError,
    CorruptRecordError,
    KafkaConfigurationError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedCodecError,
)

from ..source import SourceError
from .failed_sockets import close_failed_sockets
from .kafka_internals import clients

DEFAULTS: dict[str, Any] = {
    # A broker that is back is found within a second, not half a minute.
    "reconnect_backoff_max_ms": 1000,
    "bootstrap_timeout_ms": 20_000,
    "client_id": "nextclick",
    # Topics are made by people and by --make-topic, never by a name mistyped.
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}

TABLE = "[kafka]"
"""The table of settings, as messages name it."""

CAUSES: dict[str, str] = {
    "OAUTHBEARER.*invalid_token|invalid_token": (
        "the broker refuses the token: check sasl.oauth.token in [kafka], its issuer, audience "
        "and scope"
    ),
    "SaslAuthenticationFailed": (
        "the user name or the password is wrong: check sasl.username and sasl.password in [kafka]"
    ),
    "UnsupportedSaslMechanism": (
        "the broker does not know this SASL mechanism: set sasl.mechanism in [kafka] to one of its"
    ),
    "IllegalSaslState": (
        "the broker expects no user at this port: set security.protocol in [kafka] to SSL or "
        "PLAINTEXT, or name its port for SASL"
    ),
    "(Hostname|IP address) mismatch": (
        "the broker's certificate is for another host: name the broker as its certificate does"
    ),
    "certificate has expired": "the broker's certificate has expired: it needs a new one",
    "CERTIFICATE_VERIFY_FAILED": (
        "the broker's certificate is not signed by an authority that is trusted here: name the "
        "authority's file with ssl.cafile in [kafka]"
    ),
    "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA": (
        "the broker does not accept this client's certificate: name one that it trusts with "
        "ssl.certfile and ssl.keyfile in [kafka]"
    ),
    "WRONG_VERSION_NUMBER|UNEXPECTED_EOF|RECORD_LAYER|has been closed \\(EOF\\)": (
        "the broker does not speak TLS at this port: set security.protocol in [kafka] to "
        "PLAINTEXT or SASL_PLAINTEXT, or name its port for TLS"
    ),
    # The first bytes of a TLS alert, read as a length.
    "Invalid frame length: 352": (
        "the broker speaks TLS at this port: set security.protocol in [kafka] to SSL or SASL_SSL"
    ),
    "DNS Resolution": "the host is not known: check its name in the address",
    "ECONNREFUSED": (
        "nothing listens there: start the broker, or check host and port in the address"
    ),
    "socket disconnected": (
        "the broker closes the connection: check security.protocol in [kafka], it may require "
        "TLS (SSL) or a user (SASL_SSL); for a user, check sasl.username and sasl.password in "
        "[kafka], or its sasl.oauth.token"
    ),
    "timed out|Timeout|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH": (
        "it does not answer: check host and port in the address, and firewalls between"
    ),
}
"""What kafka-python writes into its log, and what it means; the first that fits is taken."""


NO_TOKEN = re.compile(r"No token: (?P<why>.*)")
"""What is written into the log where a token cannot be had."""

NOT_REACHED = re.compile(r"Not reached, as (?P<kind>named|advertised): (?P<place>\S+)")
"""What is written into the log where a broker has never been reached at an address."""

ADVERTISED = tuple(
    CAUSES[pattern]
    for pattern in CAUSES
    if re.search("mismatch|DNS|ECONNREFUSED|timed out", pattern)
)
"""Causes that lie in the address which a broker names, where it is not the one that was given."""


def connect(kind: Any, servers: list[str], settings: Mapping[str, Any], **more: Any) -> Any:
    """Make one of kafka-python's clients, of those of the settings that it knows.

    Parameters
    ----------
    kind
        `KafkaConsumer`, `KafkaProducer` or `KafkaAdminClient`.
    servers
        Where the brokers are.
    settings
        As `client_settings` returns them.
    **more
        Settings that come before those.

    Raises
    ------
    SourceError
        No broker is reached; the message names the cause and the remedy.

    """
    chosen = {**DEFAULTS, **settings, **more}
    given = {key: value for key, value in chosen.items() if key in kind.DEFAULT_CONFIG}
    connections = clients()
    close_failed_sockets()
    if connections is not None:
        given["kafka_client"] = connections
    with explained(servers, settings):
        try:
            return kind(bootstrap_servers=servers, **given)
        except BaseException:
            # A client that is not made whole leaves its thread behind.
            for one in connections.made if connections is not None else []:
                one.close()
            raise


@contextmanager
def explained(servers: list[str], settings: Mapping[str, Any] = {}) -> Iterator[None]:
    """Turn kafka-python's failures to reach a broker into a `SourceError` that names the cause.

    Parameters
    ----------
    servers
        Where the brokers are.
    settings
        How they are reached.

    """
    with KafkaLog() as log:
        try:
            yield
        except KafkaConfigurationError as error:
            what = str(error).removeprefix(f"{type(error).__name__}: ")
            table = settings.get("table", TABLE)
            raise SourceError(f"{table}: these settings do not go together: {what}") from error
        except (KafkaError, OSError, ValueError, AssertionError) as error:
            cause = log.cause(f"{type(error).__name__}: {error}")
            raise SourceError(
                in_table(f"Kafka at {', '.join(servers)}: {cause}", settings)
            ) from error


def in_table(message: str, settings: Mapping[str, Any]) -> str:
    """Return a message that names the table which the settings of a sink are from."""
    return message.replace(TABLE, settings.get("table", TABLE))


def unreadable(where: str, error: Exception) -> SourceError:
    """Return an error with the reason why a topic cannot be read on, and the remedy."""
    if isinstance(error, UnsupportedCodecError):
        reason = f"{error}: install lz4, python-snappy or zstandard"
    elif isinstance(error, CorruptRecordError):
        reason = f"{error}: disk or network has damaged it; restore it from another replica"
    elif isinstance(error, SaslAuthenticationFailedError | AuthorizationError):
        reason = f"{error}: this user may not read the topic; see [kafka] and the brokers' ACLs"
    else:
        reason = f"{type(error).__name__}: {error}; run again to resume from the last snapshot"
    return SourceError(f"{where}: {reason}")


class KafkaLog(logging.Handler):
    """Keeps what kafka-python writes into its log, since causes are only there.

    While it is entered, nothing of that log goes to standard error, unless the process has set
    up a log of its own.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: collections.deque[str] = collections.deque(maxlen=100)

    def __enter__(self) -> KafkaLog:
        """Keep messages from now on."""
        logging.getLogger("kafka").addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        """Keep no more messages."""
        logging.getLogger("kafka").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self._messages.append(record.getMessage())

    def clear(self) -> None:
        """Forget what was written."""
        self._messages.clear()

    def cause(self, otherwise: str) -> str:
        """Return why a broker was not reached; `otherwise` where the log does not show it."""
        written = [*self._messages, otherwise]
        without = [match["why"] for message in written if (match := NO_TOKEN.search(message))]
        if without:
            return without[-1]
        sentence = otherwise
        for pattern, known in CAUSES.items():
            if any(re.search(pattern, message) for message in written):
                sentence = known
                break
        places = [match for message in written if (match := NOT_REACHED.search(message))]
        advertised = [match["place"] for match in places if match["kind"] == "advertised"]
        if not advertised or len(advertised) < len(places) or sentence not in ADVERTISED:
            return sentence
        what = sentence.partition(":")[0]
        return (
            f"a broker answers there and names {advertised[-1]} as its own address, which cannot "
            f"be reached from here ({what}): set advertised.listeners of the broker to one that can"
        )
