from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nextclick.stream.report import provenance as module
from nextclick.stream.report.provenance import provenance


def git(folder: Path, *words: str) -> None:
    names = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    subprocess.run(["git", "-C", str(folder), *names, *words], check=True, capture_output=True)


def test_it_tells_version_machine_and_time() -> None:
    found = provenance()
    assert found["version"].count(".") == 2
    assert "core" in found["machine"]
    assert datetime.now(UTC) - datetime.fromisoformat(found["date"]) < timedelta(minutes=5)


def test_the_commit_is_that_of_the_checkout_and_says_where_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOT", tmp_path)
    assert provenance()["commit"] is None
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "one")
    clean = provenance()["commit"]
    assert len(clean) >= 7
    (tmp_path / "file").write_text("two")
    assert provenance()["commit"] == f"{clean}+"


def test_an_installed_package_inside_somebodys_repository_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init")
    installed = tmp_path / "site-packages" / "nextclick"
    installed.mkdir(parents=True)
    monkeypatch.setattr(module, "ROOT", installed)
    assert provenance()["commit"] is None


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance()["commit"] is None
