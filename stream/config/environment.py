"""Options from environment variables: ``NEXTCLICK_BATCH=64`` is ``--batch 64``."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from .declaration import Declared, bare
from .options import ConfigError, build, check_type, checked
from .texts import read_text

PREFIX = "NEXTCLICK_"


def from_environment(
    options: Iterable[Declared], environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Read the options that the environment gives; a variable that is empty gives none.

    Parameters
    ----------
    options
        All options there are.
    environ
        The environment.

    Raises
    ------
    ConfigError
        One has the wrong type, or is out of bounds; the message names the variable.

    Examples
    --------
    >>> from .declaration import declared
    >>> from .run import RunConfig
    >>> options = declared(RunConfig).values()
    >>> from_environment(options, {"NEXTCLICK_BATCH": "32", "NEXTCLICK_FRESH": "yes", "PATH": "/"})
    {'batch': 32, 'fresh': True}
    >>> from_environment(options, {"NEXTCLICK_BATCH": "0"})
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: NEXTCLICK_BATCH must be at least 1, not 0

    """
    given = {}
    for each in options:
        text = environ.get(each.variable, "")
        # Kubernetes sets NEXTCLICK_PORT to such an address, where a service is called nextclick.
        if text.strip() and not text.startswith("tcp://"):
            given[each.name] = _value(each, text)
    return given


def _value(declared: Declared, text: str) -> Any:
    value = read_text(text, declared, declared.variable)
    if declared.option.read is not None:
        return value
    value = check_type(value, declared.kind, declared.variable)
    kind = bare(declared.kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        try:
            build(kind, value)
        except ConfigError as error:
            raise ConfigError(f"{declared.variable}: {error}") from error
    return checked(value, declared.kind, declared.variable)


def near_misses(known: Iterable[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each variable that is no option, and nearly one.

    Examples
    --------
    >>> near_misses(["NEXTCLICK_BATCH"], {"NEXTCLICK_BACTH": "1", "NEXTCLICK_TEST_KAFKA": "noida"})
    ['there is no option NEXTCLICK_BACTH; is it NEXTCLICK_BATCH?']

    """
    names = {name.removeprefix(PREFIX) for name in known}
    given = sorted(name.removeprefix(PREFIX) for name in environ if name.startswith(PREFIX))
    return [
        f"there is no option {PREFIX}{name}; is it {PREFIX}{nearest}?"
        for name in given
        if name not in names
        for nearest in difflib.get_close_matches(name, names, n=1, cutoff=0.8)
    ]


def with_variables(message: str, options: Iterable[Declared]) -> str:
    """Return a message with the variables that give the options which it names.

    Parameters
    ----------
    message
        What is wrong.
    options
        Those that the environment gives.

    Examples
    --------
    >>> from .declaration import declared
    >>> from .run import RunConfig
    >>> with_variables("--json a.csv is the source too", [declared(RunConfig)["json"]])
    '--json a.csv is the source too (--json is from NEXTCLICK_JSON)'

    """
    named = [
        f"{each.flag} is from {each.variable}"
        for each in options
        if re.search(rf"{re.escape(each.flag)}(?![\w-])", message) and each.variable not in message
    ]
    return f"{message} ({', '.join(named)})" if named else message
