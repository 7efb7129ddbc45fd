"""Commands made of declared options: their flags, their help, and where each option comes from."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import typer

from nextclick.connectors import SinkError, SourceError

from ..config.declaration import OUTPUT, Declared, choices, declared, option
from ..config.environment import from_environment, near_misses, with_variables
from ..config.options import ConfigError, Options, build, load_toml, merge
from ..config.texts import parse_assignments, read_text
from ..snapshots.store import SnapshotError
from .help import UsageError
from .terminal import notify

Given = dict[str, Any]

VARIABLES: set[str] = set()
"""The environment variables of all commands."""

Source = Annotated[
    list[str],
    typer.Argument(
        help="A log (delimited text, JSON Lines, Parquet, Arrow or Avro; plain or compressed), or "
        "several, a folder or a pattern such as 'logs/*.csv.gz', read in the order of time; "
        "s3://, gs:// or https://; kafka://host:port/topic; - for standard input; "
        "http:clicks.jsonl for clicks sent over HTTP (with --serve); or "
        "sim:clicks=60000,seed=1 for the simulated shop.",
    ),
]


NUMBERS = {"whole": "a whole number", "number": "a number"}
"""What must be typed for an option of a shape that is a number."""


class FileOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The option that names a file with the others."""

    config: Annotated[
        str | None,
        option(
            "TOML file with options; environment variables (NEXTCLICK_BATCH=64) override it, and "
            "flags override both.",
            basic=True,
            value="FILE",
            file=False,
        ),
    ] = None


class ServiceOptions(FileOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of the command line that every command has which goes on for long."""

    log_format: Annotated[
        Literal["text", "json"] | None,
        option(
            "Write notes to standard error as log lines with time and level.",
            OUTPUT,
            default="text if standard error is not a terminal",
            file=False,
        ),
    ] = None


def command(
    struct: type[Options],
    *own: type[Options],
    lay: Callable[[Given, Given], Given] = merge,
    shared: type[Options] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command whose options are those that structs declare.

    Flags override environment variables, these override the TOML file, and this the defaults.

    Parameters
    ----------
    struct
        What the command takes as ``config``.
    own
        Options of the command line only; the command takes those given as ``given``.
    lay
        Lays the options of one origin over those of the origins below.
    shared
        A file may be shared with a command that has these options; they are passed over.

    """
    options = {each.name: each for kind in (struct, *own) for each in declared(kind).values()}
    VARIABLES.update(each.variable for each in options.values())

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        taken = inspect.signature(function, eval_str=True).parameters
        arguments = [each for name, each in taken.items() if name not in ("config", "given")]

        @functools.wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            passed = {each.name: values.pop(each.name) for each in arguments}
            from_variables: Given = {}
            try:
                flags = _flags(options, values)
                from_variables = from_environment(options.values())
                for kind in own:
                    mine = kind.__struct_fields__
                    build(kind, {name: flags[name] for name in flags if name in mine})
                for sentence in near_misses(VARIABLES):
                    notify(sentence)
                path = {**from_variables, **flags}.get("config")
                kinds = [struct, *own, *([shared] if shared else [])]
                file = load_toml(path, *kinds) if path is not None else {}
                file = {name: value for name, value in file.items() if name in options}
                given = lay(lay(lay({}, file), from_variables), flags)
                for each in options.values():
                    file_place = f"{path}, table [{each.name}]"
                    places = {file_place: file, each.variable: from_variables, each.flag: flags}
                    _check_table(each, given, places)
                _check_required(context, options, given)
                fields = struct.__struct_fields__
                config = build(struct, {name: given[name] for name in given if name in fields})
                if "given" in taken:
                    passed["given"] = given
                function(**passed, config=config)
            except (ConfigError, SourceError, SinkError, SnapshotError) as error:
                unset = [options[name] for name in from_variables if name not in flags]
                error.args = (with_variables(str(error), unset), *error.args[1:])
                raise

        parameters = [inspect.Parameter("context", _KEYWORD, annotation=typer.Context)]
        parameters += [each.replace(kind=_KEYWORD) for each in arguments]
        parameters += _parameters(list(options.values()))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


_KEYWORD: Any = inspect.Parameter.KEYWORD_ONLY


def _parameters(options: list[Declared]) -> list[inspect.Parameter]:
    """Return a command's parameters for its options, as typer reads them: most used first."""
    found = []
    for each in sorted(options, key=lambda each: (not each.option.basic, each.name != "config")):
        if not each.option.flag:
            continue
        annotation: Any = Annotated[_type(each), _typer_option(each)]
        default = False if each.shape == "switch" else None
        found.append(inspect.Parameter(each.name, _KEYWORD, default=default, annotation=annotation))
        if each.shape == "switch":  # To override what a file or the environment says.
            off = typer.Option(f"--no-{each.flag[2:]}", help="", hidden=True)
            found.append(
                inspect.Parameter(
                    f"no_{each.name}", _KEYWORD, default=False, annotation=Annotated[bool, off]
                )
            )
    return found


def _type(declared: Declared) -> Any:
    if declared.shape == "switch":
        return bool
    return list[str] | None if _repeated(declared) else str | None


def _repeated(declared: Declared) -> bool:
    return declared.shape == "table" and declared.option.read is None


def _typer_option(declared: Declared) -> Any:
    names = (*declared.option.names, declared.flag)
    return typer.Option(
        *names,
        help=help_text(declared),
        rich_help_panel=None if declared.option.basic else declared.option.panel or None,
        # Without one typer would show a switch as an option that takes a value.
        metavar=declared.shown_value,
        autocompletion=_completion(choices(declared.kind)),
    )


def _completion(values: tuple[Any, ...]) -> Callable[[str], list[str]] | None:
    if not values:
        return None
    return lambda incomplete: [each for each in values if each.startswith(incomplete)]


def help_text(declared: Declared) -> str:
    """Return an option's help with its default.

    Examples
    --------
    >>> from ..config.run import RunConfig
    >>> help_text(declared(RunConfig)["batch"])
    'Clicks tested and learned at once. [default: 64]'

    """
    if declared.required:
        return f"{declared.option.help} [required]"
    default = declared.shown_default
    return f"{declared.option.help} [default: {default}]" if default else declared.option.help


def _flags(options: Mapping[str, Declared], values: Mapping[str, Any]) -> Given:
    """Return the options that flags give; one that was not given is no wish for the contrary."""
    flags: Given = {}
    for name, each in options.items():
        value = values.get(name)
        if each.shape == "switch":
            if value or values.get(f"no_{name}"):
                flags[name] = bool(value)
        elif _repeated(each):
            if value:
                read = each.option.read_all or parse_assignments
                flags[name] = read(value, each.flag)
        elif value is not None:
            flags[name] = read_text(value, each, each.flag)
            if each.shape in NUMBERS and flags[name] == value:
                raise ConfigError(f"{each.flag} {value!r:.80}: write {NUMBERS[each.shape]}")
    return flags


def _check_table(each: Declared, given: Given, places: Mapping[str, Given]) -> None:
    """Check what each origin gives for a table whose options another option decides."""
    if each.option.check is not None:
        for place, origin in places.items():
            if each.name in origin:
                each.option.check(origin[each.name], given, place)


def _check_required(context: Any, options: Mapping[str, Declared], given: Given) -> None:
    for name, each in options.items():
        if each.required and name not in given:
            raise UsageError(f"Missing option '{each.flag}'.", ctx=context)
