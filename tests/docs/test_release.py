"""What a release says of itself agrees: version, date, changelog, citation, extras."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import nextclick
from tools.sizes import FOR_DEVELOPERS, extras

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", re.MULTILINE)
SECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_changelog_has_its_form() -> None:
    assert CHANGELOG.startswith("# Changelog\n")
    headings = re.findall(r"^## .*$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "## [Unreleased]"
    assert all(RELEASE.match(heading) for heading in headings[1:])
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE)) <= SECTIONS
    dates = [date.fromisoformat(day) for _, day in RELEASE.findall(CHANGELOG)]
    assert dates == sorted(dates, reverse=True)


def test_every_entry_is_in_a_section_of_a_version() -> None:
    for version in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        before = version.partition("\n### ")[0]
        assert "\n- " not in before, f"name the kind of change first: {before[:80]}"


def test_this_version_is_released_in_the_changelog_and_cited() -> None:
    version, day = RELEASE.findall(CHANGELOG)[0]
    assert version == nextclick.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    assert f'\ndate-released: "{day}"\n' in citation


def test_every_extra_is_documented_with_its_size() -> None:
    page = (ROOT / "docs/guide/install.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `nextclick\[(\w+)\]` \| .+ \| \+ \d+ MB \|$", page, re.MULTILINE)
    assert sorted(rows) == extras()
    assert all(f"`{name}`" in page for name in FOR_DEVELOPERS)


def test_nobody_waits_for_the_tools_of_site_and_release_who_runs_or_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    late = project["optional-dependencies"]["docs"] + project["optional-dependencies"]["release"]
    names = {re.split(r"[<>=\[]", each)[0] for each in late}
    at_once = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert names.isdisjoint(re.split(r"[<>=\[]", each)[0] for each in at_once)
