"""Tokens of OAUTHBEARER: a text, a file that is read again, or a class of the user's own."""

from __future__ import annotations

import base64
import binascii
import datetime
import importlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider

from ...source import SourceError

SETTINGS = ("sasl_oauth_token", "sasl_oauth_token_file", "sasl_oauth_token_provider")
"""The settings that give a token, of which a table has one."""

NAMES = ", ".join(name.replace("_", ".") for name in SETTINGS)


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    """Returns a token whenever a connection is made, and when the broker asks for a new one.

    Where there is none, or it has expired, the connection fails for now and is made again a little
    later: a token that comes too late ends nothing.

    Parameters
    ----------
    read
        Returns the token that holds now.
    where
        Where it is from, for messages.
    more
        Returns what is sent to the broker with the token.

    """

    def __init__(
        self, read: Callable[[], str], where: str, more: Callable[[], dict[str, str]] = dict
    ) -> None:
        self._read = read
        self._where = where
        self._more = more

    def token(self) -> str:
        """Return the token."""
        try:
            token = str(self._read()).strip()
        except Exception as error:
            raise self._failed(f"cannot be read: {type(error).__name__}: {error}") from error
        if not token or not token.isascii() or any(not 32 < ord(each) < 127 for each in token):
            raise self._failed("is no token: it must be one word of ASCII characters")
        ends = expiry(token)
        if ends is not None and ends <= time.time():
            moment = datetime.datetime.fromtimestamp(ends, datetime.UTC)
            raise self._failed(f"expired at {moment:%Y-%m-%dT%H:%M:%SZ}: renew it")
        return token

    def extensions(self) -> dict[str, str]:
        """Return what is sent to the broker with the token."""
        try:
            return dict(self._more())
        except Exception as error:
            raise self._failed(f"has no extensions: {type(error).__name__}: {error}") from error

    def _failed(self, why: str) -> KafkaConnectionError:
        """Return an error after which the connection is tried again; the cause is in the log."""
        logging.getLogger("kafka").warning("No token: the token from %s %s", self._where, why)
        return KafkaConnectionError(f"the token from {self._where} {why}")


def expiry(token: str) -> float | None:
    """Return when a token expires, in epoch seconds, where it is a JWT that says so.

    Examples
    --------
    >>> expiry("e30.eyJleHAiOjE3MDB9."), expiry("opaque")
    (1700.0, None)

    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        return None


def with_token(settings: dict[str, Any], table: str = "[kafka]") -> dict[str, Any]:
    """Return kafka-python's settings with a provider in the place of what gives a token.

    Parameters
    ----------
    settings
        By kafka-python's names, and those of `SETTINGS`.
    table
        Where they are from, for messages.

    Raises
    ------
    SourceError
        Nothing gives one, or more than one thing, or the class cannot be used.

    """
    given = {name: settings[name] for name in SETTINGS if name in settings}
    kept = {name: value for name, value in settings.items() if name not in given}
    mechanism = settings.get("sasl_mechanism")
    if mechanism != "OAUTHBEARER":
        for name in given:
            raise SourceError(
                f'{table} {name.replace("_", ".")}: it needs sasl.mechanism = "OAUTHBEARER"'
            )
        return kept
    if len(given) != 1:
        raise SourceError(f"{table} sasl.mechanism = 'OAUTHBEARER' needs one of {NAMES}")
    ((name, value),) = given.items()
    if name == "sasl_oauth_token":
        provider = TokenProvider(lambda: value, "sasl.oauth.token")
    elif name == "sasl_oauth_token_file":
        provider = TokenProvider(lambda: Path(value).read_text(encoding="ascii"), value)
    else:
        provider = _own_provider(value, table)
    return {**kept, "sasl_oauth_token_provider": provider}


def _own_provider(name: str, table: str) -> TokenProvider:
    """Make a provider of a class that a user names."""
    where = f"{table} sasl.oauth.token.provider: {name}"
    module, _, inner = name.partition(":")
    if not module or not inner:
        raise SourceError(f"{where}: write package.module:Class")
    try:
        made = getattr(importlib.import_module(module), inner)()
    except Exception as error:
        raise SourceError(f"{where} cannot be used: {type(error).__name__}: {error}") from error
    if not callable(getattr(made, "token", None)):
        raise SourceError(f"{where} has no method token() that returns a token")
    return TokenProvider(made.token, name, getattr(made, "extensions", dict))
