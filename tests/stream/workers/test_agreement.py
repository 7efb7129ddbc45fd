"""The figures of one, two and three workers on real logs, with the default model in float32.

``python -m pytest -m slow -s tests/stream/workers/test_agreement.py`` prints the table of
docs/concepts/workers.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stream.workers.groups import Group

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workers"),
    pytest.mark.timeout(3600),
]

DATA = Path(__file__).parents[4] / "shared" / "data"
CLICKS = 20_000
SIZES = (1, 2, 3)
FIGURES = ("recall@20", "mrr@20")
MOST_APART = 0.0005
"""Of a recall or a mean reciprocal rank: .05 points."""


def learned(log: Path, size: int, folder: Path) -> dict[str, Any]:
    """Return the figures of a run that so many workers share."""
    folder.mkdir()
    command: list[str | Path] = ["run", log, "--max-clicks", str(CLICKS), "--device", "cpu"]
    with Group(size, [*command, "--json", folder / "json"], output=folder / "said") as group:
        assert group.wait() == 0, group.text()
        assert (f"{size} workers, gloo" in group.text()) == (size > 1)
    found: dict[str, Any] = json.loads((folder / "json").read_bytes())
    return found


@pytest.mark.parametrize("name", ["deskdrop", "trivago", "yoochoose"])
def test_any_number_of_workers_has_the_figures_of_one_process(tmp_path: Path, name: str) -> None:
    log = DATA / f"{name}.csv.gz"
    if not log.exists():
        pytest.skip(f"needs {log}")
    found = [learned(log, size, tmp_path / str(size)) for size in SIZES]
    cells = [[f"{100 * each[figure]:.3f}" for each in found] for figure in FIGURES]
    print(f"\n| `{name}` | " + " | ".join(f"{r} / {m}" for r, m in zip(*cells, strict=True)) + " |")
    for each in found[1:]:
        assert each["clicks"] == CLICKS
        for figure in FIGURES:
            assert abs(each[figure] - found[0][figure]) < MOST_APART, figure
        counted = ("scored", "first_clicks", "new_items", "items")
        assert {name: each.get(name) for name in counted} == {
            name: found[0].get(name) for name in counted
        }
