"""The house stands as it was drawn: arrows point one way, and each room says what it shows."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KNOWS: dict[str, set[str]] = {
    "connectors": set(),
    "models": set(),
    "stream": {"connectors", "models"},
}
SOURCES = sorted(path for room in KNOWS for path in (ROOT / room).rglob("*.py"))


def faults(source: str, room: str, depth: int) -> Iterator[str]:
    """Give each import that breaks the rules, for a file `depth` folders below its room."""
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
