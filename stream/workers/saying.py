"""How a process says why it ends, though the command line is not there to say it."""

from __future__ import annotations

import sys
from collections.abc import Callable

Say = Callable[[str], None]


def plainly(sentence: str) -> None:
    """Print a sentence to standard error."""
    print(f"nextclick: {sentence}", file=sys.stderr, flush=True)


_chosen: list[Say] = [plainly]


def choose(say: Say) -> None:
    """Have sentences said in another way."""
    _chosen[0] = say


_news: list[Callable[[str], bool]] = []


def ask(is_news: Callable[[str], bool]) -> None:
    """Ask before a mistake is told whether it is news."""
    _news[:] = [is_news]


def is_news(sentence: str) -> bool:
    """Whether a mistake has not been told by an earlier life of this process."""
    return all(asked(sentence) for asked in _news)


def complain(sentence: str) -> None:
    """Print why this process ends, in the way that is chosen."""
    _chosen[0](sentence)
