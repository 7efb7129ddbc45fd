"""Odd keys, headers, conditions, times, ids and files: each ends as clicks or has a name."""

from __future__ import annotations

import bz2
import json
import lzma
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pytest

from nextclick.connectors import LogFormat, SourceError, log_format, open_source
from nextclick.connectors.decoding.conditions import parse_condition
from nextclick.connectors.kafka.record_decoder import RecordDecoder
from tests.connectors.decoding.test_fuzzed_records import COUNTS, REASONS, WORDS, damaged, record

OF_RECORDS = {"tombstone", "list_too_long"}

CONDITIONS = ["k = 'v'", "k in ('v', 'c') and not p.price > 5", "p is null or u.id < 50", "k"]


def kafka_key(chance: random.Random) -> bytes | None:
    number = chance.randrange(1 << 31)
    kinds = [None, b"", b"anna", b"\xff\xfe", number.to_bytes(4, "big"), number.to_bytes(8, "big")]
    return chance.choice([*kinds, b'{"user": {"id": 7}}', b'{"user": 1', b"[]", b"12345"])


def headers(chance: random.Random) -> list[tuple[str, bytes | None]]:
    values = [None, b"", b"s1", b"\xff", b'{"id": 3}', b"\0\0\0\7"]
    names = ["session", "session", "sequence", "other", ""]
    return [(chance.choice(names), chance.choice(values)) for _ in range(chance.randrange(4))]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    "options",
    [
        {"session_column": "header:session", "item_column": "p.sku"},
        {"session_column": "header:session.id", "item_column": "e[].i"},
        {"session_column": "key:user.id", "item_column": "k+p.sku"},
        {"session_column": "key", "item_column": "p.sku", "key_type": "int"},
        {"session_column": "key", "item_column": "a[]", "event_id": "header:session"},
        {"session_column": "key", "item_column": "p.sku", "where": "header:session is not null"},
    ],
    ids=lambda options: " ".join(options.values()),
)
def test_keys_and_headers_of_records(options: dict[str, Any], count: int) -> None:
    chance = random.Random(str(options))
    decoder = RecordDecoder(log_format(time_column="t", **options), "clicks")
    clicks, reasons = 0, Counter[str]()
    for start in range(0, count, 500):
        values = [damaged(json.dumps(record(chance)).encode(), chance) for _ in range(500)]
        if not start:
            values[0] = json.dumps({**record(random.Random(0)), "t": 1_700_000_000_000}).encode()
        records = [
            SimpleNamespace(
                value=value if chance.random() < 0.98 else None,
                key=kafka_key(chance),
                headers=headers(chance),
                offset=start + at,
                timestamp=1,
                sequence=-1,
            )
            for at, value in enumerate(values)
        ]
        run = decoder.decode(0, records)
        clicks += len(run.decoded.items)
        reasons.update(one.reason for one in run.decoded.rejected)
        assert len(run.decoded.items) + len(run.decoded.rejected) == len(run.offsets)
        assert set(run.offsets.tolist()) == {one.offset for one in records}
    assert reasons.keys() <= REASONS | OF_RECORDS
    assert clicks > 0


PIECES = [
    *("kind", "p.price", "e[].id", '"a b"', '"', "'", "'view'", "''", "5", "-1.5", "1e3", "true"),
    *("and", "or", "not", "in", "is", "null", "(", ")", ",", "=", "!=", "<>", "<", ">=", "==", "$"),
    *(
        "header:x",
        "key",
        "é",
        "\0",
        "\n",
        ";",
        "like",
        "--",
        "[0]",
        "[",
        "9" * 400,
        "\ud800",
        "NOT",
    ),
]


@pytest.mark.parametrize("count", COUNTS)
def test_any_text_is_a_condition_or_an_error_with_its_place(count: int) -> None:
    chance = random.Random(1)
    faults = []
    for _ in range(count):
        text = " ".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 9)))
        try:
            parse_condition(text)
        except SourceError as error:
            faults.append(str(error))
    assert 0 < len(faults) < count
    assert all(fault.startswith(("at character", "it is empty")) for fault in faults)


def odd_time(chance: random.Random) -> object:
    text = chance.choice(
        [
            *("2025-06-15T15:06:40Z", "20250615T150640,5z", "2025-W24-7", "2025-166", "1700000000"),
            *("2025-06-15 15:06:40 UTC", "2025-06-15T17:06:40[Europe/Berlin]", "1.7e9", "NaN"),
            *("2025-06-15T15:06:40+02:00[Europe/Berlin]", "24:00", "2025-06-15T24:00", "+5", "-1"),
        ]
    )
    for _ in range(chance.choice([0, 0, 1, 2])):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice("0179-+:.,TtZz[]/ Ee_é\u0663") + text[at + 1 :]
    return text if chance.random() < 0.8 else chance.choice([1_700_000_000, 1.7e9, *WORDS])


def odd_id(chance: random.Random) -> object:
    ids = ["a", "007", 7, 17.0, 2**53, 2.0**53, 10**30, "x" * 1025, 10**1025, "\ud800", "a+b", "\\"]
    return chance.choice([*ids, *WORDS])


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("event", [None, "event", "k+event"])
def test_times_ids_and_event_ids(tmp_path: Path, event: str | None, count: int) -> None:
    chance = random.Random(event)
    with (tmp_path / "a.jsonl").open("w") as file:
        file.write(json.dumps({"session_id": 1, "item_id": 2, "timestamp": 1_700_000_000}) + "\n")
        for _ in range(count - 1):
            line = {
                "session_id": odd_id(chance) if chance.random() < 0.3 else 1,
                "item_id": odd_id(chance) if chance.random() < 0.3 else 2,
                "timestamp": odd_time(chance) if chance.random() < 0.7 else 1_700_000_000,
                "event": odd_id(chance) if chance.random() < 0.3 else chance.randrange(99),
                "k": chance.choice("vcx"),
            }
            file.write(json.dumps(line) + "\n")
    accounted(tmp_path / "a.jsonl", log_format(event_id=event), count)


def odd_rows(chance: random.Random, count: int, delimiter: str) -> bytes:
    """Return delimited text with odd quotes; its first row is as it should be."""
    rows = ["s1,i1,1700000000".replace(",", delimiter)]
    fields = ["a", '"a"', '"a\nb"', '"a""b"', '"', '""', "", " ", 'a"b', f'"x{delimiter}y"', "\r"]
    while len(rows) < count:
        if chance.random() < 0.6:
            row = ['"s 2"', "i2", '"1700000001"']
        else:
            row = [chance.choice(fields), chance.choice(fields), chance.choice(["1", '"2"', "x"])]
        rows.append(delimiter.join(row[: chance.choice([3, 3, 3, 2])]))
    return ("\n".join(rows) + "\n").encode()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "csv": bytes,
    "csv.bz2": bz2.compress,
    "csv.xz": lzma.compress,
}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("packing", [*PACKED, "zip"])
@pytest.mark.parametrize("delimiter", [",", "::", "\t"])
def test_packed_text_with_odd_quotes_and_no_header(
    tmp_path: Path, delimiter: str, packing: str, count: int
) -> None:
    chance = random.Random(f"{delimiter}{packing}")
    text = odd_rows(chance, count, delimiter)
    path = tmp_path / f"a.{packing}"
    if packing == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv", text)
    else:
        path.write_bytes(PACKED[packing](text))
    columns = ["session_id", "item_id", "timestamp"]
    form = log_format(delimiter=delimiter, columns=columns, keep_raw=True)
    # Quoted fields may hold line breaks: such a record has two lines.
    accounted(path, form, text.count(b"\n"), breaks=True)


@pytest.mark.parametrize("count", COUNTS)
def test_nested_arrow(tmp_path: Path, count: int) -> None:
    chance = random.Random(5)
    rows = [
        {
            "u": {"id": chance.choice([None, number])},
            "e": chance.choice([None, [], [{"i": chance.choice(["x", "", None])}] * 2]),
            "t": chance.choice([1_700_000_000, 1_700_000_000_000, None, 0, -(2**62)]),
        }
        for number in range(count)
    ]
    rows[0] = {"u": {"id": 1}, "e": [{"i": "x"}], "t": 1_700_000_000}
    pyarrow.feather.write_feather(pa.Table.from_pylist(rows), tmp_path / "a.feather")
    form = log_format(session_column="u.id", item_column="e[].i", time_column="t")
    accounted(tmp_path / "a.feather", form, count)


def accounted(path: Path, form: LogFormat, lines: int, *, breaks: bool = False) -> None:
    """Read a log; each of its lines or rows must end as clicks or have a reason."""
    source = open_source(path, form)
    reasons: Counter[str] = Counter()
    clicks = last = joined = 0
    while (polled := source.poll(500)) is not None:
        clicks += len(polled)
        reasons.update(one.reason for one in polled.rejected)
        texts = [one for one in (*polled.sessions, *polled.items) if isinstance(one, str)]
        joined += sum(text.count("\n") for text in texts)
        joined += sum((one.raw or b"").count(b"\n") for one in polled.rejected)
        assert len(polled.events or polled.items) == len(polled)
        last = polled.position["line" if "line" in polled.position else "row"]
    source.close()
    assert last == lines
    assert reasons.keys() <= REASONS | {"truncated"}
    assert clicks > 0
    assert clicks + reasons.total() + (joined if breaks else 0) >= lines
    if breaks:
        assert clicks + reasons.total() + joined == lines
