"""The options of serving, as they are written."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re

from .options import ConfigError

LOOPBACK = "127.0.0.1"

_PLACE = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]\s]+):)?(?P<port>\d{1,5})")
_ORIGIN = re.compile(r"https?://[^/\s,*]+")


def parse_place(place: str, option: str) -> tuple[str, int]:
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
            f"{option} {place!r:.80}: write a port, such as 8080, or host:port, such as "
            "0.0.0.0:8080"
        )
    return (match["host"] or LOOPBACK).strip("[]"), int(match["port"])


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_key(given: str | None, option: str) -> str | None:
    """Return the key that requests must bring, from the variable that the option names.

    Raises
    ------
    ConfigError
        The option is not written as ``env:NAME``, or the variable is empty or cannot be sent.

    """
    if given is None:
        return None
    kind, _, name = given.partition(":")
    if kind != "env" or not name:
        raise ConfigError(
            f"{option}: write env:NAME, and put the key into that variable of the environment; "
            "a key on the command line is seen by everybody on this machine"
        )
    key = os.environ.get(name, "")
    if not key:
        raise ConfigError(f"{option} {given}: the variable {name} is not set, or empty")
    if not all(33 <= ord(sign) < 127 for sign in key):
        raise ConfigError(
            f"{option} {given}: the key may hold letters, digits and signs of ASCII, and no blanks"
        )
    return key


def parse_origins(origins: str | None, option: str) -> list[str]:
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
                f"{option} {origin!r:.80}: write an origin, such as https://shop.example, or *"
            )
    return named


def check_installed(option: str) -> None:
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
            f"{option} needs {', '.join(missing)}: pip install 'nextclick[serve]' brings "
            f"{'it' if len(missing) == 1 else 'them'} along"
        )
