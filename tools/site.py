"""The hooks of mkdocs: navigation from the index, pages from outside ``docs/``, and checks.

The pages are written to be read in the repository as well. So the navigation is taken from the
links of ``docs/README.md``, and links to files outside ``docs/`` lead to copies in the site.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
INDEX = "docs/README.md"

COPIES = {
    "CHANGELOG.md": "contribute/changelog.md",
    "CONTRIBUTING.md": "contribute/contributing.md",
    "SECURITY.md": "operate/security.md",
    "operate/dashboard.json": "operate/nextclick-dashboard.json",
    "examples/shop/README.md": "guide/shop.md",
}
"""Files outside ``docs/`` that the site has too, each with its place there."""

PACKAGES = {"nextclick": "package"} | {
    f"nextclick/{room}": room for room in ("connectors", "models", "stream")
}

FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1 *$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))")
HEADING = re.compile(r"^## (?P<title>[^:\n]+)(?::.*)?$", re.MULTILINE)
FROM_NETWORK = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//[^\"]*\""
    r"|<link\b(?=[^>]*\brel=\"(?:stylesheet|preconnect|preload)\")[^>]*\bhref=\"(?:https?:)?//[^\"]*\""
)

log = logging.getLogger("mkdocs.hooks.nextclick")


def place_in_site(path: str) -> str | None:
    """Return where the site has a file of the repository; None where it has not."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return COPIES.get(path)


def place_in_repository(place: str) -> str:
    """Return the file of the repository that the site has at a place."""
    return {there: here for here, there in COPIES.items()}.get(place, f"docs/{place}")


def navigation(index: str) -> list[dict[str, Any]]:
    r"""Return the pages that an index links to, in its order, under its headings of level two.

    Examples
    --------
    >>> navigation("# All\n\n## Guide: use it\n\n[Start](guide/a.md), [more](guide/a.md#b)\n")
    [{'Home': 'README.md'}, {'Guide': ['guide/a.md']}]

    """
    found: list[dict[str, Any]] = [{"Home": "README.md"}]
    headings = list(HEADING.finditer(index))
    ends = [*(each.start() for each in headings[1:]), len(index)]
    for heading, end in zip(headings, ends, strict=True):
        links = [
            posixpath.normpath(posixpath.join("docs", link["target"]))
            for link in LINK.finditer(index, heading.end(), end)
        ]
        places = [place for link in links if (place := place_in_site(link))]
        found.append({heading["title"]: list(dict.fromkeys(places))})
    return found


def with_links_of_the_site(text: str, path: str) -> tuple[str, list[str]]:
    """Turn the links of a page to files outside ``docs/`` into links to their copies.

    Parameters
    ----------
    text
        The page.
    path
        Where the repository has it.

    Returns
    -------
    tuple[str, list[str]]
        The page, and the links that lead to files that the site does not have.

    """
    here = posixpath.dirname(place_in_site(path) or "")
    astray: list[str] = []

    def turned(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link["target"]))
        place = place_in_site(target)
        if place is None:
            astray.append(link["target"])
            return link[0]
        return posixpath.relpath(place, here or ".") + (link["anchor"] or "")

    return _outside_code(text, lambda prose: LINK.sub(turned, prose)), astray


def as_python_markdown(text: str) -> str:
    """Adapt what GitHub and Python-Markdown read differently: comments and bars in tables.

    A table needs a blank line before it, also after a comment. A bar in a code span of a table is
    escaped for GitHub, and must not be for Python-Markdown.
    """

    def adapted(prose: str) -> str:
        prose = re.sub(r"^(<!--.*-->)$", r"\n\1\n", prose, flags=re.MULTILINE)
        return re.sub(
            r"^\|.*$",
            lambda row: re.sub(r"`[^`]*`", lambda code: code[0].replace(r"\|", "|"), row[0]),
            prose,
            flags=re.MULTILINE,
        )

    return _outside_code(text, adapted)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the navigation from the index, and link the sources where griffe finds them."""
    config.nav = navigation((ROOT / INDEX).read_text(encoding="utf-8"))
    link_packages(ROOT / "build" / "site")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from outside ``docs/``."""
    from mkdocs.structure.files import File

    for here, there in COPIES.items():
        if here.endswith(".md"):
            content = (ROOT / here).read_text(encoding="utf-8")
            files.append(File.generated(config, there, content=content))
        else:
            files.append(File.generated(config, there, abs_src_path=str(ROOT / here)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links to other files, and warn of those that the site lacks."""
    path = place_in_repository(page.file.src_uri)
    text, astray = with_links_of_the_site(markdown, path)
    for target in astray:
        log.warning("%s: the site has no %s; see COPIES in tools/site.py", path, target)
    return as_python_markdown(text)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Warn of a page that would load something from the network."""
    for found in FROM_NETWORK.findall(output):
        log.warning("%s would load from the network: %s", page.file.src_uri, found)
    return output


def link_packages(folder: Path) -> None:
    """Link the sources below a folder as they are installed."""
    for place, source in PACKAGES.items():
        target = folder / place
        if place == "nextclick":
            target.mkdir(parents=True, exist_ok=True)
            links = {target / path.name: path for path in (ROOT / source).iterdir()}
        else:
            links = {target: ROOT / source}
        for link, path in links.items():
            if not link.is_symlink():
                link.symlink_to(path)


def _outside_code(text: str, change: Any) -> str:
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])
