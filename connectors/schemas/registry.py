"""Asking a schema registry, by the REST interface of Confluent's."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ..decoding.values import UnusableError
from ..source import SourceError
from .settings import RegistrySettings, registry_urls

TIMEOUT = 10.0
"""Seconds that an answer may take."""

AWAY = 3.0
"""Seconds without an answer after which the registry counts as away."""

LONGEST_PAUSE = 2.0
"""Seconds between two attempts, at most."""

LARGEST_ANSWER = 32 << 20
"""Bytes of an answer at most."""

NOT_THERE = range(40401, 40411)
"""Codes by which registries say that they have no such subject, version or schema."""

ACCEPTED = "application/vnd.schemaregistry.v1+json, application/json"


class Reference(NamedTuple):
    """A schema that another one is made with.

    Parameters
    ----------
    name
        What it is called there: a type of Avro, or the path of an import.
    subject, version
        Where the registry has it.

    """

    name: str
    subject: str
    version: int


class Schema(NamedTuple):
    """A schema as a registry has it.

    Parameters
    ----------
    kind
        ``AVRO``, ``PROTOBUF`` or ``JSON``.
    text
        The schema.
    references
        Those that it is made with.

    """

    kind: str
    text: str
    references: tuple[Reference, ...]


class SchemaRegistry:
    """A schema registry; one that is away is waited for.

    Parameters
    ----------
    url
        Its address, or several of them with commas, which are asked in turn.
    settings
        User and TLS.

    Raises
    ------
    SourceError
        The address is none.

    Attributes
    ----------
    away
        Why it does not answer, None where it does.

    """

    def __init__(self, url: str, settings: RegistrySettings | None = None) -> None:
        self._urls = registry_urls(url)
        settings = settings if settings is not None else RegistrySettings()
        self._authorization = settings.authorization()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=settings.tls())
        )
        self._closed = threading.Event()
        self._times_away = 0
        self.away: str | None = None

    def check(self) -> None:
        """Ask it once.

        Raises
        ------
        SourceError
            It does not answer, or not to this user; the message names the remedy.

        """
        try:
            with suppress(UnusableError):
                try:
                    self._ask("/schemas/types")
                except UnusableError:
                    # An older one: whatever it says of a schema tells that it is a registry.
                    self._ask("/schemas/ids/1")
        except _AwayError as error:
            raise SourceError(f"the schema registry at {self._urls[0]}: {error}") from error

    def schema(self, number: int) -> Schema:
        """Return the schema with an id; wait where the registry is away.

        Raises
        ------
        UnusableError
            There is none.
        SourceError
            The registry refuses to answer.

        """
        return self._schema(f"/schemas/ids/{number}")

    def referenced(self, reference: Reference) -> Schema:
        """Return the schema that a reference means; see `schema`."""
        subject = urllib.parse.quote(reference.subject, safe="")
        try:
            return self._schema(f"/subjects/{subject}/versions/{reference.version}")
        except UnusableError as fault:
            detail = f"'{reference.name}', which it refers to, is not there"
            raise UnusableError(fault.reason, detail) from fault

    @property
    def notes(self) -> list[str]:
        """What a person should know: that the registry is away, or how often it was."""
        if self.away is not None:
            return [self.away]
        if not self._times_away:
            return []
        times = "once" if self._times_away == 1 else f"{self._times_away:,} times"
        return [
            (
                f"{self._urls[0]}: the schema registry was unavailable {times}; reading resumed "
                "where it had stopped"
            )
        ]

    def close(self) -> None:
        """Wait no longer."""
        self._closed.set()

    def _schema(self, path: str) -> Schema:
        found = self._wait_for(path)
        try:
            text = found["schema"]
            references = tuple(
                Reference(str(one["name"]), str(one["subject"]), int(one["version"]))
                for one in found.get("references") or ()
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._no_registry(path) from error
        if not isinstance(text, str):
            raise self._no_registry(path)
        return Schema(str(found.get("schemaType") or "AVRO").upper(), text, references)

    def _wait_for(self, path: str) -> dict[str, Any]:
        """Ask until there is an answer."""
        began, pause = time.monotonic(), 0.1
        while True:
            try:
                found = self._ask(path)
            except _AwayError as error:
                if time.monotonic() - began > AWAY and self.away is None:
                    self.away = f"{self._urls[0]}: waiting for the schema registry: {error}"
            except UnusableError:
                self._note_answer()
                raise
            else:
                self._note_answer()
                if not isinstance(found, dict):
                    raise self._no_registry(path)
                return found
            if self._closed.wait(pause):
                raise SourceError("the source was closed while it waited for the schema registry")
            pause = min(2 * pause, LONGEST_PAUSE)

    def _note_answer(self) -> None:
        if self.away is not None:
            self._times_away += 1
            self.away = None

    def _ask(self, path: str) -> Any:
        """Ask each address until one answers."""
        failure: _AwayError | None = None
        for url in self._urls:
            try:
                return self._ask_one(url, path)
            except _AwayError as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def _ask_one(self, url: str, path: str) -> Any:
        request = urllib.request.Request(url + path, headers={"Accept": ACCEPTED})
        if self._authorization is not None:
            # Not sent to where the registry may redirect.
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                body = _read(response)
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(error.code, error.read(1 << 16), path)
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(url, error) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise self._untrusted(url, error.reason) from error
            raise _AwayError(_cause(error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _AwayError(_cause(error)) from error
        if len(body) > LARGEST_ANSWER:
            raise SourceError(f"{url}{path}: the answer has more than {LARGEST_ANSWER:,} bytes")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._no_registry(path) from error

    def _refuse(self, status: int, body: bytes, path: str) -> None:
        """Raise what a status other than 200 means."""
        if status in (401, 403):
            raise SourceError(
                f"the schema registry at {self._urls[0]} does not let this user read schemas "
                f"(status {status}): check username and password, or token, in [registry]"
            )
        if status == 404:
            try:
                code = msgspec.json.decode(body)["error_code"]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
                code = None
            if code in NOT_THERE:
                raise UnusableError("unknown_schema", "the schema registry has no such schema")
            if path == "/schemas/types":
                # Older registries know only Avro, and do not say so.
                raise UnusableError("unknown_schema", "the schema registry is of an old version")
            raise self._no_registry(path)
        if status in (408, 425, 429) or status >= 500:
            raise _AwayError(f"it answers with the status {status}")
        raise SourceError(
            f"{self._urls[0]}{path}: the schema registry refuses, with the status {status}: check "
            "--schema-registry"
        )

    def _no_registry(self, path: str) -> SourceError:
        return SourceError(
            f"{self._urls[0]}{path}: what answers is no schema registry: check --schema-registry, "
            "also the path in it"
        )

    def _untrusted(self, url: str, error: ssl.SSLCertVerificationError) -> SourceError:
        return SourceError(
            f"the schema registry at {url}: its certificate is not trusted here "
            f"({error.verify_message}): name the authority's file with ssl.cafile in [registry], "
            "or the host as the certificate does"
        )


def _read(response: Any) -> bytes:
    """Return the body of an answer, at most a byte more than it may have."""
    began, body = time.monotonic(), b""
    # By pieces: what comes byte by byte would never take too long for each of them.
    while len(body) <= LARGEST_ANSWER and (piece := response.read1(1 << 16)):
        body += piece
        if time.monotonic() - began > TIMEOUT:
            raise _AwayError(f"its answer takes more than {TIMEOUT:.0f} seconds")
    return body


class _AwayError(Exception):
    """The registry does not answer; asked again later it may."""


def _cause(error: object) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there: start it, or check host and port of --schema-registry"
    if isinstance(error, TimeoutError):
        return "it does not answer: check host and port of --schema-registry"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error}" or type(error).__name__
