"""What is shown to the person at the terminal: output, notes and errors.

Everything is printed as it is: nothing in an id, a path or a message is markup, an emoji's code or
a number to be coloured, and no line is broken. Only what would move the cursor or change the
terminal is shown escaped (`printable`).
"""

from __future__ import annotations

import io
import sys
import unicodedata
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

from ..notes import Info
from . import log

_MEANT_TO_ACT = {"Cc", "Cs", "Zl", "Zp"}
"""Control characters, halves of characters, ends of lines and of paragraphs."""

_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction in which others are shown."""


def console(**options: Any) -> Console:
    """Make a console that prints what it is given, and nothing else."""
    return Console(markup=False, emoji=False, highlight=False, **options)


errors = console(stderr=True)
output = console()


def printable(text: object) -> str:
    r"""Return a text as one line that leaves the terminal as it is; all else stays as it is.

    Examples
    --------
    >>> print(printable("urn:key:7 [kafka] \\[x]"), printable("two\nlines"), printable("\x1b[2J"))
    urn:key:7 [kafka] \[x] two\nlines \x1b[2J

    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


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
    """Print why a command ends."""
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


def _shown(character: str) -> str:
    if unicodedata.category(character) in _MEANT_TO_ACT or character in _BIDI:
        return character.encode("unicode_escape").decode()
    return character
