"""The structure of the sources: which folder may import which, and how large things may be."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KNOWS: dict[str, set[str]] = {
    "connectors": set(),
    "models": set(),
    "stream": {"connectors", "models"},
}
FOLDERS: dict[str, set[str]] = {
    "connectors/decoding": {"connectors"},
    "connectors/files": {
        "connectors",
        "connectors/decoding",
        "connectors/files/storage",
        "connectors/schemas",
    },
    "connectors/files/storage": {"connectors"},
    "connectors/files/growing": {
        "connectors",
        "connectors/decoding",
        "connectors/files",
        "connectors/files/storage",
    },
    "connectors/memory": {
        "connectors",
        "connectors/decoding",
        "connectors/files",
        "connectors/files/storage",
    },
    "connectors/kafka": {
        "connectors",
        "connectors/decoding",
        "connectors/kafka/access",
        "connectors/kafka/merging",
        "connectors/schemas",
    },
    "connectors/kafka/access": {"connectors"},
    "connectors/schemas": {"connectors", "connectors/decoding"},
    "connectors/items": {
        "connectors",
        "connectors/decoding",
        "connectors/files",
        "connectors/files/storage",
        "connectors/kafka",
        "connectors/kafka/access",
        "connectors/kafka/merging",
        "connectors/schemas",
    },
    "connectors/kafka/merging": {"connectors", "connectors/decoding", "connectors/kafka/access"},
    "models/compute": set(),
    "models/items": {"models", "models/compute"},
    "models/memory": {"models", "models/compute", "models/items"},
    "models/gru4rec": {"models", "models/compute", "models/items", "models/memory"},
    "models/workers": {
        "models",
        "models/compute",
        "models/gru4rec",
        "models/items",
        "models/memory",
    },
    "models/rivals": {
        "models",
        "models/rivals/counting",
        "models/rivals/gru4rec",
        "models/rivals/neural",
    },
    "models/rivals/tables": {"models"},
    "models/rivals/counting": {
        "models",
        "models/compute",
        "models/gru4rec",
        "models/items",
        "models/rivals/tables",
    },
    "models/rivals/neural": {"models", "models/compute", "models/gru4rec", "models/items"},
    "models/rivals/gru4rec": {"models", "models/compute", "models/gru4rec", "models/items"},
    "stream/config": set(),
    "stream/evaluation": {"stream"},
    "stream/sessions": {"stream"},
    "stream/monitoring": {"stream", "stream/config", "stream/workers"},
    "stream/monitoring/tracking": {"stream", "stream/config"},
    "stream/recommendations": {"stream", "stream/monitoring"},
    "stream/snapshots": {"stream", "stream/config", "stream/monitoring"},
    "stream/comparison": {
        "stream",
        "stream/config",
        "stream/evaluation",
        "stream/monitoring/tracking",
        "stream/recommendations",
        "stream/report",
        "stream/workers",
    },
    "stream/workers": {
        "stream",
        "stream/comparison",
        "stream/config",
        "stream/evaluation",
        "stream/monitoring",
    },
    "stream/report": {"stream", "stream/comparison", "stream/config", "stream/evaluation"},
    "stream/serving": {
        "stream",
        "stream/config",
        "stream/evaluation",
        "stream/monitoring",
        "stream/recommendations",
        "stream/serving/page",
        "stream/snapshots",
    },
    "stream/serving/page": {"stream/evaluation", "stream/report", "stream/serving"},
    "stream/cli": {
        "stream",
        "stream/serving",
        "stream/serving/page",
        "stream/comparison",
        "stream/config",
        "stream/monitoring",
        "stream/recommendations",
        "stream/report",
        "stream/snapshots",
        "stream/workers",
    },
}
"""The folders inside the rooms, each with the others of its room that it may import from."""

SOURCES = sorted(path for room in KNOWS for path in (ROOT / room).rglob("*.py"))


def faults(source: str, room: str, depth: int) -> Iterator[str]:
    """Yield each import that breaks the rules, for a file `depth` folders below its room."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level > depth + 1:
                yield f"line {node.lineno}: a relative import leaves the room"
            continue
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if name == "nextclick.__version__":
                continue
            if top in KNOWS:
                yield f"line {node.lineno}: {name} is not installed under that name"
            elif top == "nextclick" and other == room:
                yield f"line {node.lineno}: imports inside a room are relative"
            elif top == "nextclick" and other not in KNOWS[room]:
                yield f"line {node.lineno}: {room} must not know {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_one_way(path: Path) -> None:
    room, *folders, _ = path.relative_to(ROOT).parts
    assert list(faults(path.read_text(encoding="utf-8"), room, len(folders))) == []


@pytest.mark.parametrize(
    ("room", "depth", "source"),
    [
        ("connectors", 0, "from nextclick.models import State"),
        ("connectors", 0, "def late():\n    import nextclick.stream.engine"),
        ("models", 0, "from nextclick import connectors"),
        ("models", 0, "from nextclick.models.recommender import State"),
        ("models", 0, "from ..connectors import Click"),
        ("models", 1, "from ...connectors import Click"),
        ("stream", 0, "from models import State"),
        ("stream", 0, "import nextclick"),
    ],
)
def test_a_wrong_arrow_is_seen(room: str, depth: int, source: str) -> None:
    assert len(list(faults(source, room, depth))) == 1


@pytest.mark.parametrize(
    ("room", "depth", "source"),
    [
        ("models", 0, "from .recommender import State"),
        ("models", 1, "from ..recommender import State"),
        ("stream", 0, "from nextclick.models import State\nimport nextclick.connectors.clicks"),
        ("connectors", 0, "import modelstudio, numpy.random"),
        ("stream", 0, "from nextclick import __version__"),
    ],
)
def test_a_right_arrow_passes(room: str, depth: int, source: str) -> None:
    assert list(faults(source, room, depth)) == []


@pytest.mark.parametrize("room", KNOWS)
def test_public_names_exist(room: str) -> None:
    module = importlib.import_module(f"nextclick.{room}")
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("room", KNOWS)
def test_a_room_is_loaded_once_and_is_typed(room: str) -> None:
    module = importlib.import_module(f"nextclick.{room}")
    assert room not in sys.modules
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / room / "__init__.py"
    assert (ROOT / room / "py.typed").exists()


def imported(path: Path) -> Iterator[Path]:
    """Yield each file of the rooms that a file imports, wherever in it the import is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        parts = node.module.split(".") if node.module else []
        if node.level:
            base = path.parents[node.level - 1].joinpath(*parts)
        elif parts[0] == "nextclick" and len(parts) > 1:
            base = ROOT.joinpath(*parts[1:])
        else:
            continue
        for alias in node.names:
            for place in (base / f"{alias.name}.py", base / "__init__.py", base.with_suffix(".py")):
                if place.exists():
                    yield place
                    break


@pytest.mark.parametrize(
    ("file", "target"),
    [
        ("models/rivals/counting/markov.py", "models/rivals/counting/rules.py"),
        ("models/rivals/counting/rules.py", "models/recommender.py"),
        ("stream/__main__.py", "stream/signals.py"),
        ("stream/__main__.py", "stream/cli/app.py"),  # Inside a function.
        ("stream/engine.py", "connectors/__init__.py"),
        ("stream/evaluation/metrics.py", "models/argument_checks.py"),
    ],
)
def test_an_import_is_found_wherever_it_stands(file: str, target: str) -> None:
    assert ROOT / target in set(imported(ROOT / file))


def folder_of(path: Path) -> str:
    return path.parent.relative_to(ROOT).as_posix()


def test_every_folder_of_code_inside_a_room_is_in_the_table() -> None:
    below = {folder_of(path) for path in SOURCES} - set(KNOWS)
    assert below == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_from_the_folders_that_the_table_gives_it(folder: str) -> None:
    room = folder.partition("/")[0]
    found = {
        folder_of(target)
        for path in (ROOT / folder).glob("*.py")
        for target in imported(path)
        if target.relative_to(ROOT).parts[0] == room
    }
    assert found - {folder} <= FOLDERS[folder]


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = {path: set(imported(path)) - {path} for path in SOURCES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " -> ".join(str(path.relative_to(ROOT)) for path in reversed(error.args[1]))
        pytest.fail(circle)
