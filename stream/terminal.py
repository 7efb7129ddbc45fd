"""The person at the terminal: what is shown, and notes beside it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

errors = Console(stderr=True)
output = Console()


def tell(sentence: str) -> None:
    """Say a sentence to the person at the terminal."""
    errors.print(f"[yellow]note:[/] {escape(sentence)}", soft_wrap=True)
