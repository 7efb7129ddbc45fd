"""What is shown to the person at the terminal: output, notes and errors.

Everything is printed as it is: nothing in an id, a path or a message is markup, an emoji's code or
a number to be coloured, and no line is broken. Only what would move the cursor or change the
terminal is shown escaped (`printable`).
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

from ..notes import Info
from ..workers.saying import is_news
from . import log
from .printable import printable


def console(**options: Any) -> Console:
    """Make a console that prints what it is given, and nothing else."""
    return Console(markup=False, emoji=False, highlight=False, **options)


errors = console(stderr=True)
output = console()


def show(line: object, label: str = "", style: str = "") -> None:
    """Print a line of output, after a label in a style where there is one."""
    _print(output, label, style, line)


def notify(sentence: str) -> None:
    """Show a note, in the log where there is one; an `Info` asks for nothing to be done."""
    if log.active():
        write = log.info if isinstance(sentence, Info) else log.warning
        write(sentence)
    else:
        _print(errors, "note:", "yellow", sentence)


def complain(sentence: str) -> None:
    """Print why a command ends, unless torchrun tries again what has ended in the same way."""
    if not is_news(sentence):
        return
    if log.active():
        log.error(sentence)
    else:
        _print(errors, "nextclick:", "bold red", sentence)


def accept_any_character() -> None:
    """Print characters that the output's encoding lacks as backslash escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError, OSError):
                stream.reconfigure(errors="backslashreplace")


def _print(where: Console, label: str, style: str, line: object) -> None:
    text = Text()
    if label:
        text.append(label, style)
        text.append(" ")
    text.append(printable(line))
    where.print(text, soft_wrap=True)
