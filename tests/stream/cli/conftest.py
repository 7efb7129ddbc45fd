from __future__ import annotations

from pathlib import Path

import pytest

from tests.stream.cli.shell import call


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a simulated log of 800 clicks."""
    path = tmp_path / "clicks.csv"
    assert call("simulate", "--clicks", "800", "--items", "50", "--out", path) == 0
    return path
