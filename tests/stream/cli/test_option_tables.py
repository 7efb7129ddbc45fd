from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nextclick.stream.cli.option_tables import COMMANDS, TABLE, main, renewed
from nextclick.stream.config.declaration import declared
from nextclick.stream.config.options import ConfigError

ROOT = Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
RENEW = "run: python -m nextclick.stream.cli.option_tables docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tables_of_a_page_are_those_of_the_declarations(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert renewed(text) == text, RENEW


def test_every_option_of_every_command_is_in_the_page_of_options() -> None:
    text = (ROOT / "docs" / "guide" / "options.md").read_text(encoding="utf-8")
    for kinds in COMMANDS.values():
        for each in (option for kind in kinds for option in declared(kind).values()):
            assert f"{each.flag} " in text or f"{each.flag}`" in text or f"[{each.name}]" in text


@pytest.mark.parametrize("which", ["walk", "run: Sauce", "run: batch bach"])
def test_a_table_of_what_is_not_there_is_an_error(which: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no (command|option)"):
        renewed(f"<!-- options {which} -->\n<!-- /options -->")


def test_a_page_is_written_anew_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- options run: batch -->\nold\n<!-- /options -->\n\nafter\n")
    monkeypatch.setattr(sys, "argv", ["option_tables", str(tmp_path), "--check"])
    assert main() == 1
    assert "is out of date" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["option_tables", str(tmp_path)])
    assert main() == 0
    text = page.read_text()
    assert "| `--batch INTEGER` | `64` | Clicks tested and learned at once. | yes |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert TABLE.search(text)
    monkeypatch.setattr(sys, "argv", ["option_tables", str(tmp_path), "--check"])
    assert main() == 0
