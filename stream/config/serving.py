"""The options of serving, as they are written."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
from typing import Annotated

from .declaration import SERVING, option
from .options import ConfigError, parse_name

LOOPBACK = "127.0.0.1"

_PLACE = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]\s]+):)?(?P<port>\d{1,5})")
_ORIGIN = re.compile(r"https?://[^/\s,*]+")


def parse_place(place: str, typed: str) -> tuple[str, int]:
    """Read where to serve: ``PORT`` on this machine only, or ``HOST:PORT``.

    Raises
    ------
    ConfigError
        It is neither.

    Examples
    --------
    >>> parse_place("8080", "--serve"), parse_place("[::]:80", "--serve")
    (('127.0.0.1', 8080), ('::', 80))

    """
    match = _PLACE.fullmatch(place.strip())
    if match is None or int(match["port"]) >= 1 << 16:
        raise ConfigError(
            f"{typed} {place!r:.80}: write a port, such as 8080, or host:port, such as 0.0.0.0:8080"
        )
    return (match["host"] or LOOPBACK).strip("[]"), int(match["port"])


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_key(given: str, typed: str) -> str:
    """Return the name of the variable that holds the key which requests must bring.

    Raises
    ------
    ConfigError
        It is not written as ``env:NAME``.

    """
    kind, _, name = given.partition(":")
    if kind != "env" or not name:
        raise ConfigError(
            f"{typed}: write env:NAME, and put the key into that environment variable; a key on "
            "the command line is visible to everybody on this machine"
        )
    return name


def read_key(given: str | None, typed: str) -> str | None:
    """Return the key that requests must bring, from the variable that the option names.

    Raises
    ------
    ConfigError
        The option is not written as ``env:NAME``, or the variable is empty or cannot be sent.

    """
    if given is None:
        return None
    name = parse_key(given, typed)
    key = os.environ.get(name, "")
    if not key:
        raise ConfigError(f"{typed} {given}: the variable {name} is not set, or empty")
    if not all(33 <= ord(sign) < 127 for sign in key):
        raise ConfigError(
            f"{typed} {given}: the key may contain ASCII letters, digits and punctuation, but no "
            "spaces"
        )
    return key


def parse_origins(origins: str | None, typed: str) -> list[str]:
    """Read the origins of pages, as browsers send them, with commas between them.

    Raises
    ------
    ConfigError
        One is no origin.

    """
    named = [] if origins is None else [origin.strip() for origin in origins.split(",")]
    for origin in named:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"{typed} {origin!r:.80}: write an origin, such as https://shop.example, or *"
            )
    return named


ApiKey = Annotated[
    str | None,
    option(
        "Environment variable with the key that requests must send.",
        SERVING,
        value="env:NAME",
        parse=parse_key,
    ),
]
Origins = Annotated[
    str | None,
    option(
        "Origins of browser pages that may send requests, such as https://shop.example.",
        SERVING,
        value="ORIGIN,…",
        parse=parse_origins,
    ),
]


Items = Annotated[
    str | None,
    option(
        "File (JSON Lines) or kafka://host:port/topic with data of the items: what is available, "
        "and fields to show and to filter by.",
        SERVING,
        value="FILE|TOPIC",
        parse=parse_name,
    ),
]


def check_installed(typed: str) -> None:
    """Check that what the server needs is installed.

    Raises
    ------
    ConfigError
        It is not.

    """
    needed = ("starlette", "uvicorn", "httptools")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{typed} needs {', '.join(missing)}: pip install 'nextclick[serve]' installs "
            f"{'it' if len(missing) == 1 else 'them'}"
        )
