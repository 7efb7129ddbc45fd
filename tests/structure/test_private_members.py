"""Members that a library keeps to itself are used nowhere, but in the one file that may."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure.test_docstrings import imported

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for room in ("connectors", "models", "stream") for path in (ROOT / room).rglob("*.py")
)
GUARDED = {"connectors/kafka/kafka_internals.py", "models/compute/jit.py"}
"""Files that find out first whether a library has the member, and do without it."""

DOCUMENTED = {"_asdict", "_exit", "_fields", "_make", "_replace"}
"""Names of the standard library with an underscore, which are public all the same."""


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def defined(tree: ast.AST) -> Iterator[str]:
    """Return each name with an underscore that a file defines itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the line and the name of each private member that is used or imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and not node.level:
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, part) for part in parts if private(part))
        elif isinstance(node, ast.Import):
            parts = [part for alias in node.names for part in alias.name.split(".")]
            yield from ((node.lineno, part) for part in parts if private(part))
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("getattr", "setattr", "hasattr", "delattr")
            and len(node.args) > 1
            and isinstance(node.args[1], ast.Constant)
            and private(str(node.args[1].value))
        ):
            yield node.lineno, str(node.args[1].value)


def foreign(source: str, own: set[str]) -> list[tuple[int, str]]:
    """Return the uses of private members that no file of ours defines."""
    known = own | DOCUMENTED
    return [(line, name) for line, name in uses(ast.parse(source)) if name not in known]


@pytest.fixture(scope="module")
def own() -> set[str]:
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in SOURCES
        if str(path.relative_to(ROOT)) not in GUARDED
    ]
    return {name for tree in trees for name in defined(tree)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_member_of_a_library_is_used(path: Path, own: set[str]) -> None:
    if str(path.relative_to(ROOT)) in GUARDED:
        return
    assert foreign(path.read_text(encoding="utf-8"), own) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_method_of_a_librarys_class_is_replaced(path: Path) -> None:
    where = path.relative_to(ROOT).with_suffix("")
    if f"{where}.py" in GUARDED or where.name == "__main__":
        return
    name = ".".join(("nextclick", *where.parts)).removesuffix(".__init__")
    for _, kind in inspect.getmembers(imported(name), inspect.isclass):
        if kind.__module__ != name:
            continue
        bases = [base for base in kind.__mro__[1:] if not base.__module__.startswith("nextclick")]
        replaced = {
            f"{base.__module__}.{base.__qualname__}.{member}"
            for member, value in vars(kind).items()
            if private(member) and inspect.isfunction(value) and value.__module__ == name
            for base in bases
            if member in vars(base)
        }
        assert replaced == set()


@pytest.mark.parametrize(
    "source",
    [
        "def f(consumer):\n    return consumer._fetcher",
        "from river.drift import page_hinkley\npage_hinkley.PageHinkley()._x_mean",
        "from torch._C import Value",
        "import numpy._core",
        "class A(Base):\n    def f(self):\n        return self._theirs()",
        "def f(x):\n    return getattr(x, '_hidden')",
    ],
)
def test_a_private_member_is_seen(source: str) -> None:
    assert len(foreign(source, {"_ours"})) == 1


def test_ones_own_members_may_be_used() -> None:
    source = (
        "class A:\n    def f(self, other):\n        self._ours = other._ours\n        os._exit(1)"
    )
    assert foreign(source, {"_ours"}) == []
