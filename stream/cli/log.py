"""The log of a service: lines with time and level on standard error, as text or as JSON.

In a terminal there is none, unless ``--log-format`` asks for one: there the notes are shown as they
are. This file imports nothing that takes long, so that the first line is seen at once.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from .printable import printable

FORMATS = ("text", "json")
SERVICES = ("run", "compare", "replay")
"""The commands that go on for long."""

LOGGER = logging.getLogger("nextclick")


class Formatter(logging.Formatter):
    """Makes a line of a record.

    Parameters
    ----------
    kind
        One of `FORMATS`.

    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        time = time.replace("+00:00", "Z")
        message = record.getMessage()
        if self._kind == "json":
            fields = {"time": time, "level": record.levelname.lower(), "message": message}
            return json.dumps(fields)
        if not message.isprintable():
            message = printable(message)
        return f"{time} {record.levelname} {message}"


def begin(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> None:
    """Set up the log that a command line asks for, and write its first line.

    Parameters
    ----------
    arguments
        What follows the program's name.
    environ
        The environment.

    """
    command = arguments[0] if arguments else ""
    if command not in SERVICES or any(each.startswith("--help") for each in arguments):
        return
    style = chosen_format(arguments, environ)
    if style not in FORMATS:
        if sys.stderr.isatty():
            return
        style = "text"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(style))
    LOGGER.handlers = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    info(f"nextclick {command}: loading libraries")


@contextmanager
def loading() -> Iterator[None]:
    """Show in a terminal that libraries are loaded, while they are.

    The commands import what they carry out only then: torch takes seconds, and neither help nor a
    mistake in an option needs it.
    """
    shown = not active() and sys.stderr.isatty()
    if shown:
        print("loading libraries ...", end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print("\x1b[K", end="", file=sys.stderr, flush=True)


def chosen_format(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return the format that flags, or else the environment, ask for.

    Examples
    --------
    >>> chosen_format(["run", "x", "--log-format", "json"], {})
    'json'
    >>> chosen_format(["run", "x", "--log-format=text"], {"NEXTCLICK_LOG_FORMAT": "json"})
    'text'

    """
    style = environ.get("NEXTCLICK_LOG_FORMAT", "").strip() or None
    for at, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--log-format":
            style = value if equals else "".join(arguments[at + 1 : at + 2])
    return style


def active() -> bool:
    """Whether there is a log."""
    return bool(LOGGER.handlers)


def info(message: str) -> None:
    """Write a line about what goes on."""
    LOGGER.info("%s", message)


def warning(message: str) -> None:
    """Write a line about what a person should know."""
    LOGGER.warning("%s", message)


def error(message: str) -> None:
    """Write a line about why a command ends."""
    LOGGER.error("%s", message)
