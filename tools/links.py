"""Ask every address outside that the pages link to, whether it is there: `make links`.

Not part of the checks of every change, since it depends on other people's machines. Links within
the repository are checked by the tests and by the build of the site.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^ {0,3}```.*?^ {0,3}```$", re.DOTALL | re.MULTILINE)
ADDRESS = re.compile(r"\]\((https?://[^)\s]+)\)|<(https?://[^>\s]+)>")
LOCAL = re.compile(r"https?://(localhost|127\.|machine\b|[\w.-]*\bexample\b)")
SECONDS = 30


def addresses(text: str) -> list[str]:
    """Return the addresses that a page links to outside this machine, code left out.

    Examples
    --------
    >>> addresses("[a](https://a.org/x) <http://localhost:8080> [b](c.md) `https://d.org`")
    ['https://a.org/x']

    """
    found = ("".join(pair) for pair in ADDRESS.findall(FENCE.sub("", text)))
    return [each for each in found if not LOCAL.match(each)]


def fault(address: str) -> str | None:
    """Return why an address cannot be had; None where it can."""
    request = Request(address, headers={"User-Agent": "nextclick-links"})
    try:
        with urlopen(request, timeout=SECONDS):
            return None
    except HTTPError as error:
        # Some sites refuse programs; the page is there for people.
        return None if error.code in (401, 403, 405, 429) else f"{error.code} {error.reason}"
    except (URLError, OSError) as error:
        return str(getattr(error, "reason", error))


def check(pages: Iterable[Path]) -> int:
    """Print each address that cannot be had, with its pages; return how many there are."""
    places: dict[str, list[str]] = {}
    for page in pages:
        for address in addresses(page.read_text(encoding="utf-8")):
            places.setdefault(address, []).append(page.relative_to(ROOT).as_posix())
    with ThreadPoolExecutor(8) as pool:
        faults = list(pool.map(fault, places))
    for (address, named), why in zip(places.items(), faults, strict=True):
        if why is not None:
            print(f"{address}: {why} ({', '.join(dict.fromkeys(named))})")
    print(f"{len(places)} addresses, {len(places) - faults.count(None)} of them not there")
    return len(places) - faults.count(None)


if __name__ == "__main__":
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    sys.exit(min(check(sorted(found)), 1))
