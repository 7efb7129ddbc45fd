from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("connectors", "models", "stream")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("nextclick", *parts)).removesuffix(".__init__")


# Taken from the sources, not from what is installed: a file that the install lacks is a failure.
MODULES = sorted(module_name(path) for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_and_its_examples_hold(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0
