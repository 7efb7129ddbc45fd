"""How the command line explains itself: help that reads as it is written, and wrong usage."""

from __future__ import annotations

import sys
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from .terminal import complain

# typer exports the kind of error for a wrong value only; wrong usage of every kind lies above it.
UsageError: Any = typer.BadParameter.__base__

_ARGUMENTS = "nextclick.arguments"


class Command(TyperCommand):
    """A command whose help is no markup: brackets in it are brackets."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.help = escape(self.help) if self.help else self.help
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                # A bracket may have been escaped already.
                parameter.help = escape(text.replace("\\[", "["))  # type: ignore[attr-defined]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments, and keep them for help that depends on one; see `typed`."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


def typed(context: typer.Context, flag: str) -> str | None:
    """Return the value of a flag as it was typed, though it has not been read yet."""
    arguments: list[str] = context.meta.get(_ARGUMENTS, [])
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == flag:
            return value if equals else "".join(arguments[place + 1 : place + 2])
    return None


class Commands(TyperGroup):
    """Commands that answer wrong usage with one line, as they do every other mistake."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command that the arguments name, and end the process with its exit code.

        Parameters
        ----------
        arguments, options
            As typer's own; where ``standalone_mode`` is False, nothing is caught.

        """
        standalone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        if not standalone:
            return super().main(*arguments, **options)
        try:
            code = super().main(*arguments, **options)
        except UsageError as error:
            self._explain(error)
            sys.exit(error.exit_code)
        sys.exit(code if isinstance(code, int) else 0)

    def _explain(self, error: Any) -> None:
        # Options that are alike are in the message of some versions only, and worded otherwise.
        alike = " or ".join(getattr(error, "possibilities", None) or ())
        message = " ".join((error.message if alike else error.format_message()).split())
        # Without a command typer shows the help, and says no more.
        if message and type(error).__name__ != "NoArgsIsHelpError":
            command = error.ctx.command_path if error.ctx else self.name
            hint = f"did you mean {alike}? See" if alike else "see"
            complain(f"{message[0].lower()}{message[1:].rstrip('.')} ({hint} {command} --help)")
