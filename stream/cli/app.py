"""The commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nextclick import __version__
from nextclick.connectors import SinkError, SourceError

from ..config.options import ConfigError
from ..snapshots.store import SnapshotError
from .compare import compare_command
from .exit_codes import MISTAKE
from .help import Command, Commands
from .inspect import inspect_command
from .recommend import recommend
from .replay import replay_command
from .run import run_command
from .serve import serve_command
from .simulate import simulate
from .terminal import accept_any_character, complain

app = typer.Typer(
    name="nextclick",
    cls=Commands,
    help="Next-click recommendation that learns online from a click stream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def show_version(wanted: bool) -> None:
    """Print the version and end, where that is wanted."""
    if wanted:
        typer.echo(f"nextclick {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Options of nextclick itself, before the command."""


def main() -> None:
    """Run the command line; a user's mistake ends in one clear line and exit code 2."""
    accept_any_character()
    try:
        app()
    except (ConfigError, SourceError, SnapshotError, SinkError, FloatingPointError) as error:
        complain(str(error))
        sys.exit(MISTAKE)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does.
        sys.stderr.close()
        sys.exit(1)


app.command("run", cls=Command)(run_command)
app.command("compare", cls=Command)(compare_command)
app.command("serve", cls=Command)(serve_command)
app.command("replay", cls=Command)(replay_command)
app.command(cls=Command)(recommend)
app.command(cls=Command)(simulate)


app.command("inspect", cls=Command)(inspect_command)
