"""The records in the table of docs/guide/sources.md become the clicks that it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nextclick.connectors import log_format, open_source

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "sources.md"
ROW = re.compile(r"^\| `(\{.*\})` \| `(.*)` \| `(.*)` \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("record", "options", "clicks"), ROWS, ids=[row[1] for row in ROWS])
def test_a_record_of_the_page_becomes_its_clicks(
    tmp_path: Path, record: str, options: str, clicks: str
) -> None:
    path = tmp_path / "record.jsonl"
    path.write_text(record + "\n")
    words = shlex.split(options)
    given = {
        flag.removeprefix("--").replace("-", "_"): value
        for flag, value in zip(words[::2], words[1::2], strict=True)
    }
    source = open_source(path, log_format(**given))  # type: ignore[arg-type]
    polled = source.poll(100)
    source.close()
    assert polled is not None
    columns = zip(polled.sessions, polled.items, polled.times.tolist(), strict=True)
    assert ", ".join(f"{session} {item} {time:.12g}" for session, item, time in columns) == clicks


def test_the_page_has_rows() -> None:
    assert len(ROWS) >= 12
