"""Texts as a terminal may be given them: nothing in them moves the cursor or hides a part."""

from __future__ import annotations

import unicodedata

_MEANT_TO_ACT = {"Cc", "Cs", "Zl", "Zp"}
"""Control characters, halves of characters, ends of lines and of paragraphs."""

_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction in which others are shown."""


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


def _shown(character: str) -> str:
    if unicodedata.category(character) in _MEANT_TO_ACT or character in _BIDI:
        return character.encode("unicode_escape").decode()
    return character
