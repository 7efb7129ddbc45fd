"""Damaged and odd records of each form: all end as clicks, or under a named reason."""

from __future__ import annotations

import csv
import itertools
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextclick.connectors import LogFormat, log_format
from nextclick.connectors.files.log import LogSource

COUNTS = [2_000, pytest.param(100_000, marks=pytest.mark.slow)]

REASONS = {
    *("blank", "bad_json", "bad_csv", "wrong_type", "not_utf8", "too_few_columns"),
    *("too_many_columns", "no_session", "no_item", "no_time", "bad_time", "time_not_finite"),
    *("time_out_of_range", "mixed_time_units", "id_too_long", "lists_differ", "filtered"),
}
WORDS = [
    None,
    True,
    1.5,
    17.0,
    "",
    "x",
    "a b",
    [],
    {},
    [None],
    10**25,
    "1e400",
    "2025-W01",
    -1,
    {"b": 1},
]

FORMS: dict[str, dict[str, Any]] = {
    "paths": {"session_column": "u.id", "item_column": "p.sku", "time_column": "t"},
    "lists": {"session_column": "u.id", "item_column": "e[].i", "time_column": "e[].t"},
    "side by side": {"session_column": "u.id", "item_column": "a[]", "time_column": "b[]"},
    "joined": {"session_column": "u.id", "item_column": "k+p.sku", "time_column": "t"},
    "condition": {
        "session_column": "u.id",
        "item_column": "p.sku",
        "time_column": "t",
        "where": "k in ('v', 'c') and not (p.price > 5 or t is null) or u.id != 3",
    },
    "events": {"session_column": "u", "item_column": "p.sku", "time_column": "t", "event_id": "k"},
}


def record(chance: random.Random) -> dict[str, Any]:
    """Return a record as it should be, but for some of its values."""
    number = chance.randrange(1000)
    made: dict[str, Any] = {
        "u": {"id": number // 9},
        "p": {"sku": f"i{number}", "price": number / 100},
        "k": chance.choice("vcx"),
        "t": 1_700_000_000_000 + number,
        "e": [{"i": n, "t": 1_700_000_000_000 + n} for n in range(chance.randrange(4))],
        "a": list(range(chance.randrange(1, 4))),
        "b": [1_700_000_000_000] * chance.randrange(1, 4),
    }
    for name in list(made):
        if chance.random() < 0.15:
            value = made[name]
            if isinstance(value, dict) and chance.random() < 0.5:
                value[chance.choice(list(value))] = chance.choice(WORDS)
            elif isinstance(value, list) and value and chance.random() < 0.5:
                value[chance.randrange(len(value))] = chance.choice(WORDS)
            else:
                made[name] = chance.choice(WORDS)
    return made


def damaged(line: bytes, chance: random.Random) -> bytes:
    """Change or cut off some of the lines."""
    kind = chance.randrange(20)
    if kind == 0:
        at = chance.randrange(len(line))
        return line[:at] + bytes([chance.randrange(256)]).replace(b"\n", b"x") + line[at + 1 :]
    return line[: chance.randrange(len(line))] if kind == 1 else line


def check(path: Path, form: LogFormat, lines: int, joined: int = 0) -> None:
    source = LogSource(path, form)
    reasons: Counter[str] = Counter()
    clicks = last = 0
    while (polled := source.poll(500)) is not None:
        clicks += len(polled)
        reasons.update(rejected.reason for rejected in polled.rejected)
        assert set(map(type, [*polled.sessions, *polled.items])) <= {int, str}
        last = polled.position["line" if "line" in polled.position else "row"]
    assert last == lines
    assert reasons.keys() <= REASONS
    assert clicks > 0
    assert clicks + reasons.total() >= lines - 1 - joined


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("form", FORMS)
def test_lines_of_json(tmp_path: Path, form: str, count: int) -> None:
    chance = random.Random(form)
    rows = [damaged(json.dumps(record(chance)).encode(), chance) for _ in range(count)]
    rows[0] = json.dumps({**record(random.Random(0)), "t": 1_700_000_000_000}).encode()
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(rows) + b"\n")
    check(path, log_format(**FORMS[form]), count)


def are_one_record(line: bytes, following: bytes) -> bool:
    """Whether a quote that a line leaves open is closed by the next, rightly, and both are one."""
    if not (line.count(b'"') % 2 and following.count(b'"') % 2):
        return False
    lines = [line.decode("latin-1") + "\n", following.decode("latin-1")]
    try:
        return len(list(csv.reader(lines, delimiter="|", strict=True))) == 1
    except csv.Error:
        return False


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("form", FORMS)
def test_delimited_text_with_cells_of_json(tmp_path: Path, form: str, count: int) -> None:
    chance = random.Random(form)
    names = "upkteab"
    rows = [names.replace("", "|")[1:-1].encode()]
    for _ in range(count):
        made = record(chance)
        cells = [made[name] for name in names]
        texts = [cell if isinstance(cell, str) else json.dumps(cell) for cell in cells]
        quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
        rows.append(damaged("|".join(quoted).encode(), chance))
    path = tmp_path / "a.csv"
    path.write_bytes(b"\n".join(rows) + b"\n")
    joined = sum(itertools.starmap(are_one_record, itertools.pairwise(rows)))
    check(path, log_format(**FORMS[form], delimiter="|"), count + 1, joined)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("form", ["paths", "lists", "joined", "condition"])
def test_nested_parquet(tmp_path: Path, form: str, count: int) -> None:
    chance = random.Random(form)
    rows = []
    for _ in range(count):
        made = record(random.Random(chance.random()))
        clean = record(random.Random(0))
        # A column has one type: only null stands for what does not fit.
        rows.append(
            {
                "u": made["u"] if isinstance(made["u"], dict) and _is_id(made["u"]) else None,
                "p": made["p"] if _is_priced(made["p"]) else None,
                "k": made["k"] if isinstance(made["k"], str) else None,
                "t": made["t"] if type(made["t"]) is int and made["t"] < 2**62 else None,
                "e": clean["e"] if chance.random() < 0.5 else [None, {"i": 1, "t": None}],
            }
        )
    rows[0]["t"] = 1_700_000_000_000
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    check(path, log_format(**FORMS[form]), count)


def _is_id(value: dict[str, Any]) -> bool:
    return type(value.get("id")) is int and abs(value["id"]) < 2**62


def _is_priced(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("sku"), str)
        and type(value.get("price")) is float
    )
