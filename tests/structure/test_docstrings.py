from __future__ import annotations

import doctest
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("connectors", "models", "stream")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("nextclick", *parts)).removesuffix(".__init__")


# Taken from the sources, not from what is installed: a file that the install lacks is a failure.
MODULES = sorted(module_name(path) for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(name: str) -> ModuleType:
    """Return a module; skip the test where the module is about a library that is an extra."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("mlflow", "tensorboard", "wandb"):
            raise
        pytest.skip(f"needs {error.name}: make checks")


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_and_its_examples_hold(name: str) -> None:
    module = imported(name)
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n---|\Z)", re.DOTALL | re.MULTILINE)
NO_VERB = ("Give", "Tell", "Let", "Say")


def documented(module: ModuleType) -> Iterator[Callable[..., Any]]:
    """Yield the module's own classes, functions and methods that have a docstring."""
    own = [
        obj for obj in vars(module).values() if getattr(obj, "__module__", "") == module.__name__
    ]
    classes = [obj for obj in own if inspect.isclass(obj)]
    members = [obj for each in classes for obj in vars(each).values()]
    functions = [obj for obj in (*own, *members) if inspect.isfunction(obj)]
    found: list[Callable[..., Any]] = [*classes, *functions]
    yield from (obj for obj in found if obj.__doc__)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_name_the_parameters_of_the_signature(name: str) -> None:
    for obj in documented(imported(name)):
        section = SECTION.search(inspect.cleandoc(obj.__doc__ or ""))
        if section is None:
            continue
        lines = [line for line in section[1].splitlines() if line and not line[0].isspace()]
        names = {each.split(":")[0].strip(" *") for line in lines for each in line.split(",")}
        unknown = names - {*inspect.signature(obj).parameters}
        assert not unknown, f"{obj.__qualname__} has no parameter {', '.join(sorted(unknown))}"


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_begin_with_what_is_done_or_returned(name: str) -> None:
    for obj in documented(imported(name)):
        first = inspect.cleandoc(obj.__doc__ or "").partition(" ")[0]
        assert first not in NO_VERB, f"{obj.__qualname__}: Return ..., not {first} ..."
