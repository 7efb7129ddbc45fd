"""How a log is read, detected from its content, and from its name only where that is unclear."""

from __future__ import annotations

import csv
import json
import re
from typing import Literal, NamedTuple

import msgspec

from ..decoding.columns import find_click
from ..decoding.lines import BYTE_ORDER_MARK
from ..decoding.log_format import PRESETS, LogFormat
from ..decoding.record_lines import find_fields, is_plain
from ..decoding.values import UnusableError, parse_time
from ..source import SourceError
from .storage.decompression import COMPRESSIONS, Decompressed
from .storage.log_file import LogFile

Kind = Literal["text", "json", "parquet", "arrow", "avro"]

KINDS: dict[str, Kind] = {
    ".csv": "text",
    ".tsv": "text",
    ".dat": "text",
    ".inter": "text",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".avro": "avro",
}
"""The kind of log that the ending of a file's name stands for."""

KIND_NAMES: dict[Kind, str] = {
    "text": "delimited text",
    "json": "JSON Lines",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "avro": "Avro",
}

BINARY: dict[bytes, Kind] = {b"PAR1": "parquet", b"ARROW1\0\0": "arrow", b"Obj\x01": "avro"}
"""What files begin with that are no lines of text."""

DELIMITERS = {".tsv": "\t", ".inter": "\t"}
"""What parts the columns by a name ending; else a comma."""

LOOKED_AT = (",", "\t", ";", "|")
"""What may part the columns."""

NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}

HEAD = 1 << 16
"""Bytes of text that are looked at."""

FOREIGN: dict[bytes, str] = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save the sheet as CSV",
    b"\x04\x22\x4d\x18": "compressed with lz4: unpack it, or compress it with gzip or zstd",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"ORC\x0a": "an ORC file: write it as Parquet or CSV",
    b"ORC\x08": "an ORC file: write it as Parquet or CSV",
    b"FEA1": "a Feather file of the old version 1: write it as Parquet or CSV",
    b"\x89HDF": "an HDF5 file: write it as Parquet or CSV",
    b"SQLite format 3": "an SQLite database: write the table as CSV",
    b"\x93NUMPY": "a NumPy array: write it as Parquet or CSV",
    b"\x80\x03": "a pickle of Python: write it as Parquet or CSV",
    b"\x80\x04": "a pickle of Python: write it as Parquet or CSV",
    b"\x80\x05": "a pickle of Python: write it as Parquet or CSV",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\xff\xfe": "text in UTF-16: convert it, iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "text in UTF-16: convert it, iconv -f UTF-16 -t UTF-8",
}
"""What other files begin with, and what to do about them."""

TYPED = re.compile(r"[^:]+:(?:token|float|token_seq|float_seq)")
"""A column's name in a file of RecBole."""


class Content(NamedTuple):
    """How a log is to be read.

    Parameters
    ----------
    kind
        Delimited text, JSON Lines, Parquet, Arrow or Avro.
    form
        The format, with what the content says filled in.
    delimiter
        Of delimited text.
    notes
        Sentences for a person: where the name says something else, and what was assumed.

    """

    kind: Kind
    form: LogFormat
    delimiter: str
    notes: list[str]


def look_into(path: LogFile, form: LogFormat) -> Content:
    """Find out how a log is to be read.

    Raises
    ------
    SourceError
        It is not a log; the message says what it is.

    """
    suffix = name_ending(path)
    named = KINDS.get(suffix)
    head, compression, damage = _read_head(path)
    notes = _compression_notes(path, compression)
    for magic, binary in BINARY.items():
        if head.startswith(magic):
            if compression is not None:
                raise SourceError(f"{path} is {KIND_NAMES[binary]} inside {compression}: unpack it")
            return Content(binary, form, "", notes + _kind_notes(path, named, binary))
    # Of a damaged file the readers themselves say what is wrong.
    if not head.strip() and named is None and not damage:
        raise SourceError(f"{path} is empty: there is no click in it")
    if not head.strip() or damage:
        return Content(named or "text", form, _usual(suffix, form), notes)
    _check_text(path, head, named)
    kind = _kind(path, head, named, suffix, form)
    if kind != "text":
        return Content(kind, form, "", notes + _kind_notes(path, named, kind))
    line = _first_line(head)
    form, told = _as_recbole(path, line, suffix, form)
    delimiter, form, more = look_at_columns(str(path), line, form, suffix)
    if suffix in KINDS and named == "text" and delimiter != _usual(suffix, form):
        told.append(f"{path}: its columns are separated by {NAMES[delimiter]}")
    notes += _kind_notes(path, named, kind)
    return Content("text", form, delimiter, notes + told + more)


def look_at_columns(
    path: str, line: bytes, form: LogFormat, suffix: str = ""
) -> tuple[str, LogFormat, list[str]]:
    """Return the delimiter of delimited text by its first line, the format, and notes.

    Raises
    ------
    SourceError
        A column is given by a number that the line does not have.

    """
    delimiter = _delimiter(line, form, suffix)
    form, notes = _header(path, _split(line, delimiter), form)
    return delimiter, form, notes


def has_columns(line: bytes) -> bool:
    """Whether a first line may be the header of delimited text: it has three columns."""
    return any(len(_split(line, mark)) >= 3 for mark in LOOKED_AT)


def check_pipe(head: bytes) -> None:
    """Refuse what is not text on standard input.

    Raises
    ------
    SourceError
        It is compressed, or another kind of file.

    """
    packed = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
    for magic, how in packed.items():
        if head.startswith(magic):
            raise SourceError(f"<stdin> is compressed with {how}: unpack it, {how} -dc FILE | …")
    binary = {magic: f"{KIND_NAMES[kind]}: name the file" for magic, kind in BINARY.items()}
    for magic, what in {**FOREIGN, **binary}.items():
        if head.startswith(magic):
            raise SourceError(f"<stdin> is not text but {what}")


def name_ending(path: LogFile) -> str:
    """Return the ending that shows a log's kind, without that of its compression."""
    suffixes = path.suffixes
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _read_head(path: LogFile) -> tuple[bytes, str | None, str | None]:
    """Return the start of a file's text, how it is compressed, and where it is damaged."""
    if path.is_pipe:
        # What is read of a pipe is gone: its name alone says what it holds.
        if name_ending(path) not in KINDS:
            raise SourceError(f"{path} is a pipe: give - and JSON Lines on standard input")
        return b"", COMPRESSIONS.get(path.suffix), None
    stream = Decompressed(path)
    try:
        head = stream.head(HEAD)
        return head.removeprefix(BYTE_ORDER_MARK), stream.compression, stream.damage
    finally:
        stream.close()


def _compression_notes(path: LogFile, compression: str | None) -> list[str]:
    suffix = path.suffix
    named = COMPRESSIONS.get(suffix)
    if compression == named or (named is None and suffix not in KINDS):
        return []
    if compression is None:
        return [f"{path} is not compressed, despite its name, and is read as it is"]
    return [f"{path} is compressed with {compression}, despite its name, and is read that way"]


def _kind_notes(path: LogFile, named: Kind | None, kind: Kind) -> list[str]:
    if named in (None, kind):
        return []
    return [f"{path} holds {KIND_NAMES[kind]}, despite its name, and is read that way"]


def _check_text(path: LogFile, head: bytes, named: Kind | None) -> None:
    """Refuse what is not text in UTF-8 or the like."""
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise SourceError(f"{path} is not a log but {what}")
    if head[257:262] == b"ustar":
        raise SourceError(f"{path} is not a log but a tar archive: unpack it")
    line = head if named is None else _first_line(head)
    if b"\0" not in line or named in ("json", *BINARY.values()):
        return
    if line[:200].count(b"\0") >= len(line[:200]) // 3:
        raise SourceError(f"{path} is text in UTF-16 or UTF-32: convert it with iconv -t UTF-8")
    raise SourceError(
        f"{path} is a binary file of an unknown format: give delimited text, JSON Lines, "
        "Parquet, Arrow or Avro"
    )


def _kind(path: LogFile, head: bytes, named: Kind | None, suffix: str, form: LogFormat) -> Kind:
    """Return the kind that the content shows: delimited text or JSON Lines."""
    if re.match(rb"\s*\[\s*\{", head):
        raise SourceError(
            f"{path} is one JSON array: write one object a line, "
            f"jq -c '.[]' {path.name} > {path.stem.partition('.')[0]}.jsonl"
        )
    line = head.lstrip().partition(b"\n")[0]
    if line.startswith(b"{"):
        if named == "json" or _is_object(line) or len(line) >= HEAD // 2:
            return "json"
        if named is None or named in BINARY.values():
            raise SourceError(
                f"{path} is JSON, but not one object a line: write it so, "
                f"jq -c . {path.name} > {path.stem.partition('.')[0]}.jsonl"
            )
        return "text"
    if named == "text" or (named is None and suffix != ".json"):
        return "text"
    first = _first_line(head)
    if any(_has_click(_split(first, mark), form) for mark in LOOKED_AT):
        return "text"
    return "json" if named is None else named


def _is_object(line: bytes) -> bool:
    try:
        # Python's own reader takes NaN too: such a record is rejected by itself, not its log.
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _first_line(head: bytes) -> bytes:
    return head.partition(b"\n")[0].removesuffix(b"\r")


def _split(line: bytes, delimiter: str) -> list[str]:
    """Return the fields of a file's first line."""
    text = line.decode("utf-8", "replace").replace("\r", " ").replace("\0", " ")
    if len(delimiter) > 1:
        return [field.strip() for field in text.split(delimiter)]
    try:
        fields = next(csv.reader([text], delimiter=delimiter), [""]) or [""]
    except csv.Error:
        return [text]
    return [field.strip() for field in fields]


def _usual(suffix: str, form: LogFormat) -> str:
    return form.delimiter or DELIMITERS.get(suffix, ",")


def _delimiter(line: bytes, form: LogFormat, suffix: str) -> str:
    """Find the delimiter of the columns: that of the name, if it yields the columns needed."""
    usual = _usual(suffix, form)
    if form.delimiter is not None:
        return usual
    marks = sorted(LOOKED_AT, key=lambda mark: mark != usual)
    fields = {mark: _split(line, mark) for mark in marks}
    found = [mark for mark in marks if _has_click(fields[mark], form)]
    # Where none gives them, the one with the most columns makes the best message.
    return found[0] if found else max(marks, key=lambda mark: len(fields[mark]))


def _has_click(columns: list[str], form: LogFormat) -> bool:
    if not form.header:
        names = list(form.columns or map(str, range(1, len(columns) + 1)))
        columns = names[: len(columns)]
    try:
        if is_plain(form):
            find_click(columns, form, "")
        else:
            find_fields(columns, form, "")
    except SourceError:
        return False
    return True


def _as_recbole(
    path: LogFile, line: bytes, suffix: str, form: LogFormat
) -> tuple[LogFormat, list[str]]:
    """Fill in the format of RecBole's atomic files, recognised by their name or their header."""
    marks = LOOKED_AT if form.delimiter is None else (form.delimiter,)
    typed = any(all(map(TYPED.fullmatch, _split(line, mark))) for mark in marks)
    if suffix != ".inter" and not typed:
        return form, []
    usual, preset = LogFormat(), PRESETS["recbole"]
    user = form.user
    if user is None and form.session == usual.session:
        user = preset.user
    gap = preset.gap if form.gap is None else form.gap
    sort = preset.sort if form.sort is None else form.sort
    told = []
    if sort:
        told.append(
            f"{path}: a RecBole file, whose lines are not in time order: the whole file was read "
            "and sorted by time first"
        )
    return msgspec.structs.replace(form, user=user, gap=gap, sort=sort), told


def _header(path: str, row: list[str], form: LogFormat) -> tuple[LogFormat, list[str]]:
    """Decide whether the first line is a header, where columns are given by their places."""
    key = form.session if form.session is not None else form.user
    wanted = [str(key), form.item, form.time]
    if not form.header or not all(name.isdecimal() for name in wanted):
        # With a name among them there is a header: a place is then one in it.
        return form, []
    numbers = ", ".join(wanted)
    if set(wanted) <= set(row) and _counts(row):
        told = (
            f"{path}: the first line numbers the columns from {row[0]} on, and was taken as the "
            f"header: columns {numbers} are those of these names"
        )
        return form, [told]
    time = row[int(form.time) - 1] if 0 < int(form.time) <= len(row) else ""
    try:
        parse_time(time)
    except UnusableError:
        if time and not set(wanted) & set(row):
            told = (
                f"{path}: the first line was taken as the header, since {time[:40]!r} in column "
                f"{form.time} is no time; columns {numbers} are counted from 1 in it"
            )
            return form, [told]
    for name in wanted:
        if not 0 < int(name) <= len(row):
            raise SourceError(
                f"{path}: there is no column {name}: the first line has {len(row)} columns, "
                f"counted from 1"
            )
    notes = []
    if set(wanted) & set(row):
        notes.append(
            f"{path}: columns {numbers} were taken as column numbers, from 1 on, and the first "
            "line as a click, although it contains such a number; if it is the header, rename "
            "its columns"
        )
    return msgspec.structs.replace(form, header=False), notes


def _counts(row: list[str]) -> bool:
    """Whether a row holds the numbers from 0 or from 1 on."""
    return any(row == [str(at + first) for at in range(len(row))] for first in (0, 1))
