"""Options as a text of the command line or of the environment gives them."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterable
from typing import Any

from .declaration import Declared
from .options import ConfigError

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def read_text(text: str, declared: Declared, typed: str) -> Any:
    """Read the value of an option; what is none stays a text, to be refused as it is in a file.

    Parameters
    ----------
    text
        The text.
    declared
        The option.
    typed
        Its name, for the message.

    Raises
    ------
    ConfigError
        It is no list, or no assignments, where these are asked for.

    Examples
    --------
    >>> from .declaration import declared
    >>> from .run import RunConfig
    >>> options = declared(RunConfig)
    >>> read_text("64", options["batch"], "--batch"), read_text("many", options["batch"], "--batch")
    (64, 'many')
    >>> read_text("hidden=200 loss=bpr-max", options["model"], "NEXTCLICK_MODEL")
    {'hidden': 200, 'loss': 'bpr-max'}

    """
    if declared.option.read is not None:
        return declared.option.read(text, typed)
    match declared.shape:
        case "switch":
            return read_switch(text)
        case "whole":
            return _number(text, int)
        case "number":
            return _number(text, float)
        case "list" if "int" in str(declared.kind):
            return read_numbers(text, typed)
        case "list":
            return read_names(text, typed)
        case "table":
            return (declared.option.read_all or parse_assignments)(_words(text, typed), typed)
    return text


def read_switch(text: str) -> bool | str:
    """Read whether a switch is on; a text that means neither stays as it is.

    Examples
    --------
    >>> read_switch("Yes"), read_switch("0"), read_switch("perhaps")
    (True, False, 'perhaps')

    """
    word = text.strip().lower()
    return word in YES if word in YES + NO else text


def read_numbers(text: str, typed: str) -> list[int]:
    """Read whole numbers with commas between them, and put them in order, each once.

    Raises
    ------
    ConfigError
        They are no numbers.

    Examples
    --------
    >>> read_numbers("2, 0", "--partitions")
    [0, 2]

    """
    try:
        return sorted({int(number) for number in text.split(",")})
    except ValueError:
        raise ConfigError(f"{typed} {text!r}: write numbers with commas, such as 1,5") from None


def read_names(text: str, typed: str) -> list[str]:
    """Read names with commas between them.

    Raises
    ------
    ConfigError
        One occurs twice.

    Examples
    --------
    >>> read_names("gru4rec, markov", "--models")
    ['gru4rec', 'markov']

    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{typed} names {name} twice")
    return names


def parse_assignments(texts: Iterable[str], typed: str) -> dict[str, Any]:
    """Read options given as ``name=value``, each value as TOML has it; a bare word is a text.

    Raises
    ------
    ConfigError
        One has no name or no value.

    Examples
    --------
    >>> parse_assignments(["hidden=200", "reset=after"], "--model")
    {'hidden': 200, 'reset': 'after'}

    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"{typed} {text!r}: write name=value, for instance hidden=200")
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):  # No TOML, or a number that Python does not read.
            values[name] = value
    return values


def read_model(text: str, typed: str) -> dict[str, Any]:
    """Read a model with its options between colons; one that has none is an empty table.

    Raises
    ------
    ConfigError
        An option has no value.

    Examples
    --------
    >>> read_model("gru4rec:hidden=200:window=3", "--models")
    {'kind': 'gru4rec', 'hidden': 200, 'window': 3}
    >>> read_model("vstan", "--models"), read_model("our_models:Recent", "--models")
    ({}, {'kind': 'our_models:Recent'})

    """
    parts = text.split(":")
    first = next((at for at, part in enumerate(parts) if "=" in part), len(parts))
    kind = ":".join(parts[:first])
    options = parse_assignments(parts[first:], f"{typed} {text}:")
    return {"kind": kind, **options} if kind != text or ":" in kind else {}


def read_models(texts: Iterable[str], typed: str) -> dict[str, dict[str, Any]]:
    """Read models with their options: each text names models, or sets an option of one.

    Raises
    ------
    ConfigError
        One has no name, or an option no value.

    Examples
    --------
    >>> read_models(["vstan, markov", "vstan.neighbours=200"], "--shadow")
    {'vstan': {'neighbours': 200}, 'markov': {}}
    >>> read_models(["vstan:neighbours=200"], "--shadow")
    {'vstan:neighbours=200': {'kind': 'vstan', 'neighbours': 200}}

    """
    models: dict[str, dict[str, Any]] = {}
    for text in texts:
        path = text.partition("=")[0]
        # An option after a colon is of a variant; one after a point is of a model named before.
        if path == text or (":" in path and "." not in path.rpartition(":")[2]):
            for name in read_names(text, typed):
                models.setdefault(name, read_model(name, typed))
            continue
        for path, value in parse_assignments([text], typed).items():
            name, dot, option = path.rpartition(".")
            if not (name and dot and option):
                raise ConfigError(
                    f"{typed} {text!r}: write model or model.option=value, such as vstan.share=0.5"
                )
            models.setdefault(name, read_model(name, typed))[option] = value
    return models


def _words(text: str, typed: str) -> list[str]:
    """Split a text at its blanks, as a shell does."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{typed} {text!r}: a quote is not closed") from error


def _number(text: str, kind: type[int] | type[float]) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text
