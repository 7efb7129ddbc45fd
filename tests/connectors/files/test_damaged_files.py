"""Files of every form with damage: clicks, named reasons, or one sentence."""

from __future__ import annotations

import bz2
import io
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pytest

from nextclick.connectors.decoding.log_format import log_format
from nextclick.connectors.open import open_source
from nextclick.connectors.source import SourceError
from tests.connectors.files.logs import HEADER
from tests.connectors.files.test_published import MIND, MUSIC, OTTO

LINES = [b'a%d,"x\n%d",%d' % (n, n, n) if n % 9 == 0 else b"a%d,x,%d" % (n, n) for n in range(300)]
TEXT = HEADER + b"\n".join(LINES)
REASONS = {
    "blank",
    "bad_csv",
    "too_few_columns",
    "too_many_columns",
    "no_session",
    "no_item",
    "no_time",
    "bad_time",
    "time_not_finite",
    "time_out_of_range",
    "mixed_time_units",
    "not_utf8",
    "id_too_long",
    "truncated",
    "not_a_click",
    # Events of another kind, which OTTO's condition leaves out.
    "filtered",
    "bad_json",
    "no_list",
    "wrong_type",
}


def zipped(text: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clicks.csv", text)
    return file.getvalue()


def feather(compression: str) -> bytes:
    numbers = list(range(300))
    columns = {"session_id": numbers, "item_id": [f"i{n}" for n in numbers], "timestamp": numbers}
    file = io.BytesIO()
    pyarrow.feather.write_feather(pa.table(columns), file, compression=compression, chunksize=50)
    return file.getvalue()


FORMS: dict[str, tuple[str, bytes]] = {
    "plain": ("a.csv", TEXT),
    "delimiter": ("a.txt", TEXT.replace(b",", b"::")),
    "bzip2": ("a.csv.bz2", bz2.compress(TEXT)),
    "xz": ("a.csv.xz", lzma.compress(TEXT)),
    "zip": ("a.zip", zipped(TEXT)),
    "arrow": ("a.arrow", feather("uncompressed")),
    "feather": ("a.feather", feather("zstd")),
    "otto": ("train.jsonl", OTTO.encode() * 20),
    "mind": ("behaviors.tsv", MIND.encode() * 20),
    "30music": ("sessions.idomaar", MUSIC.encode() * 20),
}
DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    lambda data, random_: data[: random_.randrange(len(data))],
    lambda data, random_: data[: (at := random_.randrange(len(data)))] + data[at + 9 :],
    lambda data, random_: data[: (at := random_.randrange(len(data)))] + b'"' + data[at:],
    lambda data, random_: (
        data[: (at := random_.randrange(len(data)))] + random_.randbytes(8) + data[at + 8 :]
    ),
]


def outcome(path: Path, form: str) -> str:
    """Read a file to its end; return what became of it."""
    options = {"delimiter": "::"} if form == "delimiter" else {}
    preset = form if form in ("otto", "mind", "30music") else None
    records = 0
    try:
        source = open_source(path, log_format(preset, **options))  # type: ignore[arg-type]
    except SourceError as error:
        return "error" if str(error).startswith(str(path)) else str(error)
    try:
        while (clicks := source.poll(50)) is not None:
            records += len(clicks) + len(clicks.rejected)
            assert {record.reason for record in clicks.rejected} <= REASONS
            assert len(clicks.sessions) == len(clicks.items) == len(clicks.times)
    except SourceError as error:
        return "error" if str(error).startswith(str(path)) else str(error)
    finally:
        source.close()
    return "read" if records else "nothing"


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_file_ends_in_clicks_reasons_or_a_sentence(tmp_path: Path, form: str) -> None:
    name, data = FORMS[form]
    random_ = random.Random(7)
    path = tmp_path / name
    path.write_bytes(data)
    assert outcome(path, form) == "read"
    for _ in range(60):
        path.write_bytes(random_.choice(DAMAGES)(data, random_))
        assert outcome(path, form) in ("read", "nothing", "error")
