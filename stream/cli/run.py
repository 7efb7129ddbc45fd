"""The command ``nextclick run``: its options, and what it shows at the end."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from nextclick.models import GRU4RecConfig

from ..config.declaration import MODEL, option, variable
from ..config.learners import DEFAULT, check_name
from ..config.model_options import model_options
from ..config.options import ConfigError, merge
from ..config.run import RunConfig
from . import log
from .exit_codes import NO_CLICKS
from .flags import Given, ServiceOptions, Source, command
from .help import typed
from .progress import Progress, summary
from .terminal import errors, notify, output, show

SHOWN_AS = {"json": "figures", "report": "curves"}
"""What a run calls the files that it has written."""


def memory_size(value: int | str, typed: str) -> int:
    """Read the size of the model's memory.

    Raises
    ------
    ConfigError
        It is neither a number of clicks nor ``off``.

    Examples
    --------
    >>> memory_size("off", "--memory"), memory_size("5000", "--memory")
    (0, 5000)

    """
    if value == "off":
        return 0
    if not str(value).isdecimal():
        raise ConfigError(f"{typed} {value!r}: give a number of clicks, or off")
    return int(value)


class RunFlags(ServiceOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options that ``nextclick run`` has besides those of a run."""

    memory: Annotated[
        int | str | None,
        option(
            "Clicks that the model's memory keeps, or off to use the network alone.",
            MODEL,
            default=str(GRU4RecConfig().memory),
            value="INTEGER|off",
            file=False,
            parse=memory_size,
        ),
    ] = None


def lay(below: Given, given: Given) -> Given:
    """Lay options over others; ``memory`` is an option of the model.

    Examples
    --------
    >>> lay({"model": {"hidden": 50}}, {"memory": "off"})
    {'model': {'hidden': 50, 'memory': 0}}

    """
    given = dict(given)
    if "memory" in given:
        size = memory_size(given.pop("memory"), "--memory")
        given["model"] = {**given.get("model", {}), "memory": size}
    return merge(below, given)


def show_model_options(context: typer.Context, wanted: bool) -> None:
    """Print the options of the model that ``--learner`` names, and end, where that is wanted."""
    if not wanted:
        return
    name = typed(context, "--learner") or os.environ.get(variable("learner"), "") or DEFAULT
    for each in model_options(check_name(name, "--learner")):
        show(f"{each.name} ({each.values}) [default: {each.default}]", style="bold")
        if each.help:
            show(f"    {each.help.replace('``', '')}")
    raise typer.Exit


@command(RunConfig, RunFlags, lay=lay)
def run_command(
    source: Source,
    config: RunConfig,
    given: Given,
    help_model: Annotated[
        bool,
        typer.Option(
            "--help-model",
            help="Show the options of the model (of --learner) and exit.",
            metavar="",
            is_eager=True,
            callback=show_model_options,
        ),
    ] = False,
) -> None:
    """Score every click of a stream, then learn it."""
    with log.loading():
        from ..runner import UnwrittenError, run

    try:
        with Progress(errors, config.max_clicks) as progress:
            result = run(source, config, notify, progress, given.get("model", {}))
    except UnwrittenError as error:
        output.print(summary(error.result))
        raise
    output.print(summary(result))
    for what in ("json", "report", "clicks", "snapshots"):
        path = getattr(config, what)
        if path is not None:
            show(f"{SHOWN_AS.get(what, what)}: {path}")
    if not result["usable"]:
        sys.exit(NO_CLICKS)
