"""The hooks of the site: navigation from the index, links to copies, and what GitHub reads else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.site import (
    COPIES,
    FROM_NETWORK,
    INDEX,
    ROOT,
    as_python_markdown,
    link_packages,
    navigation,
    place_in_repository,
    place_in_site,
    with_links_of_the_site,
)


def test_every_page_is_in_the_navigation_once() -> None:
    sections = navigation((ROOT / INDEX).read_text(encoding="utf-8"))
    listed = [page for section in sections for pages in section.values() for page in pages]
    listed = [page for page in listed if len(page) > 1]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    pages |= {place for place in COPIES.values() if place.endswith(".md")}
    assert {*listed, "README.md"} == pages, "list new pages in docs/README.md"
    assert len(listed) == len(set(listed))


def test_a_link_to_a_page_or_a_copy_leads_there_and_another_is_reported() -> None:
    text = "[a](../concepts/model.md#x) [b](../../CONTRIBUTING.md#tests) [c](../../setup.py) [d](https://x.y)"
    turned, astray = with_links_of_the_site(text, "docs/guide/start.md")
    assert turned == (
        "[a](../concepts/model.md#x) [b](../contribute/contributing.md#tests) "
        "[c](../../setup.py) [d](https://x.y)"
    )
    assert astray == ["../../setup.py"]
    turned, astray = with_links_of_the_site("[e](docs/README.md)", "CONTRIBUTING.md")
    assert (turned, astray) == ("[e](../README.md)", [])


def test_code_is_left_as_it_is() -> None:
    text = "```text\n[c](../../setup.py)\n<!-- x -->\n```\n"
    assert with_links_of_the_site(text, "docs/guide/start.md") == (text, [])
    assert as_python_markdown(text) == text


def test_tables_stand_apart_from_comments_and_their_code_has_plain_bars() -> None:
    text = "<!-- options run -->\n| `a\\|b` | c \\| d |\n<!-- /options -->\n"
    assert as_python_markdown(text) == (
        "\n<!-- options run -->\n\n| `a|b` | c \\| d |\n\n<!-- /options -->\n\n"
    )


@pytest.mark.parametrize("path", COPIES)
def test_copies_are_of_files_and_are_found_again(path: str) -> None:
    assert (ROOT / path).is_file()
    place = place_in_site(path)
    assert place is not None
    assert place_in_repository(place) == path
    assert not (ROOT / "docs" / place).exists()


@pytest.mark.parametrize(
    ("html", "count"),
    [
        ('<script src="https://unpkg.com/x"></script>', 1),
        ('<img alt="" src="//host/x.png">', 1),
        ('<link href="https://fonts.example/x" rel="stylesheet">', 1),
        ('<link rel="preconnect" href="https://fonts.example">', 1),
        ('<a href="https://pytorch.org">p</a> <img src="curves.svg">', 0),
        ('<link rel="canonical" href="https://site.example">', 0),
    ],
)
def test_what_a_page_would_load_from_the_network_is_seen(html: str, count: int) -> None:
    assert len(FROM_NETWORK.findall(html)) == count


def test_the_sources_are_linked_as_they_are_installed(tmp_path: Path) -> None:
    for _ in range(2):
        link_packages(tmp_path)
    assert (tmp_path / "nextclick" / "__init__.py").exists()
    assert (tmp_path / "nextclick" / "stream" / "engine.py").samefile(ROOT / "stream/engine.py")
