"""How large files, functions and folders may be, and which are larger for now."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = ("benchmarks", "connectors", "models", "package", "stream", "tests", "tools")
FILES = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef

MOST_LINES = 400
LONG_FILES: dict[str, int] = {}
"""Files with more lines, each with how many it has at most: to be cut, and never to grow."""

MOST_LINES_OF_A_FUNCTION = 60
LONG_FUNCTIONS = {
    "benchmarks/peers/parity.py": 83,
    "benchmarks/speed/bench_peers.py": 99,
    "benchmarks/speed/bench_snapshots.py": 72,
    "stream/report/static_chart.py": 74,
    "tests/models/rivals/plain.py": 77,
    "tests/stream/snapshots/test_store.py": 65,
}
"""Files with a longer function, each with the lines of its longest, the docstring left out."""

MOST_PARAMETERS = 8
MANY_PARAMETERS = {
    "benchmarks/peers/parity.py": (16, "a command: a parameter for each of its options"),
    "connectors/decoding/log_format.py": (15, "what a log is read by, each by keyword"),
    "connectors/kafka/source.py": (11, "what a topic is read by, each by keyword"),
    "models/rivals/gru4rec/retrained.py": (9, "a rival's options, each by keyword"),
    "models/items/best_items.py": (9, "compiled: as much as a selection needs, in and out"),
    "stream/engine.py": (15, "what a run is put together from, each by keyword"),
    "tests/models/memory/test_mixture.py": (9, "as the compiled function that it checks"),
    "tests/models/rivals/plain.py": (12, "as the rival that it computes plainly"),
}
"""Files with a function of more parameters, each with the most that one has, and why."""

MOST_ENTRIES = 22
"""Files and folders of code in a folder: about twenty are still found at a glance."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def lines_of_code(function: Function) -> int:
    """Count the lines from ``def`` to the end, without the docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def parameters(function: Function) -> int:
    """Count the named parameters, without ``self`` or ``cls``."""
    named = function.args.posonlyargs + function.args.args
    own = bool(named) and named[0].arg in ("self", "cls")
    return len(named) + len(function.args.kwonlyargs) - own


def lines_of_file(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def longest_function(path: Path) -> int:
    return max(map(lines_of_code, functions(path)), default=0)


def most_parameters(path: Path) -> int:
    return max(map(parameters, functions(path)), default=0)


LIMITS = {
    "lines of a file": (lines_of_file, MOST_LINES, LONG_FILES),
    "lines of a function": (longest_function, MOST_LINES_OF_A_FUNCTION, LONG_FUNCTIONS),
    "parameters of a function": (
        most_parameters,
        MOST_PARAMETERS,
        {file: most for file, (most, _) in MANY_PARAMETERS.items()},
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_nothing_is_larger_than_it_may_be(limit: str) -> None:
    measure, most, exceptions = LIMITS[limit]
    found = {name_of(path): measure(path) for path in FILES}
    beyond = {file: size for file, size in found.items() if size > exceptions.get(file, most)}
    assert beyond == {}, f"more {limit} than {most}, or than its exception allows"


@pytest.mark.parametrize("limit", LIMITS)
def test_every_exception_is_still_one(limit: str) -> None:
    measure, most, exceptions = LIMITS[limit]
    needless = [
        file for file in exceptions if not (ROOT / file).exists() or measure(ROOT / file) <= most
    ]
    assert needless == [], "take these off the list: they are within the limit now, or gone"


def test_no_folder_of_code_has_many_entries() -> None:
    folders = {path.parent for path in FILES}
    held = {
        name_of(folder): sum(path.parent == folder and path.stem != "__init__" for path in FILES)
        + sum(other.parent == folder for other in folders)
        for folder in folders
    }
    assert {folder: count for folder, count in held.items() if count > MOST_ENTRIES} == {}


def test_sizes_are_counted_as_they_are_meant() -> None:
    source = (
        "class A:\n    def f(self, a, /, b, *, c=1, **d):\n"
        '        """Do.\n\n        """\n        b\n'
    )
    (function,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, Function))
    assert lines_of_code(function) == 2
    assert parameters(function) == 3
