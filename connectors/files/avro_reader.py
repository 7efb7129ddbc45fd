"""Reading a log in Avro's object files, and resuming it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import msgspec

from ..clicks import Position
from ..decoding.blocks import Decoded, Decoding, Entry
from ..decoding.log_format import LogFormat
from ..decoding.record_lines import check_json
from ..decoding.record_reader import RecordReader, used_fields
from ..decoding.time_unit import TimeScale
from ..decoding.values import UnusableError
from ..source import SourceError
from .file_digest import digest_of
from .reader import check_unchanged
from .storage.log_file import Bytes, LogFile

RECORDS = 4096
"""Records decoded at a time at most, and about how many of their elements."""


class AvroReader:
    """Reads a log in an Avro object file, by the schema that it holds.

    A position is ``{"record": records before, "size": the file's bytes, "crc": their CRC-32}``:
    such a file does not grow, so all of it must be as it was. Of a remote file the CRC-32 is that
    of its last bytes.

    Parameters
    ----------
    path
        The file.
    form
        The format.

    Raises
    ------
    SourceError
        The file is not Avro, lacks a field, or the package that reads it is missing.

    """

    def __init__(self, path: LogFile, form: LogFormat) -> None:
        # Imported here: what it needs is installed only with an extra.
        from ..schemas.avro_file import AvroFile

        self._path = path
        self.warnings: list[str] = []
        if form.date is not None or form.only is not None or not form.header:
            raise SourceError(f"{path}: this --format is for delimited text, not for Avro")
        if path.is_pipe:
            raise SourceError(f"{path} is a pipe: Avro is read from a file")
        check_json(form, str(path))
        self.by_user = form.session is None
        self._keep_raw = form.keep_raw
        self._scale = TimeScale(form.unit)
        self._reader = RecordReader(form, self._scale)
        self._size, self._crc = digest_of(path)
        self._as_avro = AvroFile
        self._stream: Bytes | None = None
        self._record = self._records = self._part = 0
        self._file: AvroFile
        self._file_records: Iterator[Any]
        self._begin(0)
        missing = self._file.missing(used_fields(form))
        if missing is not None:
            self.close()
            raise SourceError(
                f"{path}: there is no field '{missing}'; the fields are: "
                f"{', '.join(self._file.fields)}. Name the right ones with --session-column, "
                "--item-column and --time-column"
            )

    def read(self) -> Decoded | None:
        """Return the next block; None at the end."""
        before = self._record + self._records
        decoding = Decoding(self._keep_raw)
        records = elements = 0
        for record in islice(self._file_records, RECORDS):
            records += 1
            line = before + records
            entries: list[Entry]
            if isinstance(record, UnusableError):
                entries, record = [record], {}
            else:
                entries = self._reader.read(record)
            decoding.record(entries, partial(self._origin, record, line))
            elements += len(entries)
            if elements >= RECORDS:
                break
        if self._file.damage is not None and not self.warnings:
            self.warnings.append(
                f"{self._path} ends after record {before + records:,}: its data are "
                f"damaged ({self._file.damage})"
            )
        if not records:
            # The position stays behind the block before.
            return None
        self._record, self._records = before, records
        decoded = decoding.done()
        decoded.skip(self._part)
        self._part = 0
        return decoded

    @property
    def notes(self) -> list[str]:
        """What the records have told, such as the unit of their times."""
        return self._scale.note(str(self._path))

    @property
    def share(self) -> float | None:
        """How much of the file has been read, from 0 to 1."""
        if self._stream is None or self._stream.closed:
            return 1.0
        return min(1.0, self._stream.tell() / self._size) if self._size else None

    def position(self, given: int, part: int = 0) -> Position:
        """Return the position after the first `given` records of the block read last."""
        place = {"record": self._record + given, "size": self._size, "crc": self._crc}
        return place | ({"part": part} if part else {}) | self._scale.state

    def seek(self, position: Position) -> None:
        """Go on from a position, having made sure that the file is the same."""
        check_unchanged(self._path, position, "record", (self._size, self._crc))
        self._begin(int(position["record"]))
        self._scale.restore(position.get("unit", "s") if self._record else None)
        self._part = int(position.get("part", 0))

    def rewind(self) -> None:
        """Go back to the start."""
        self._scale.restore(None)
        self._begin(0)

    def digest(self) -> int:
        """Return the CRC-32 of the whole file."""
        return self._crc

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()

    def _begin(self, record: int) -> None:
        """Go to a record."""
        self.close()
        self._record, self._records, self._part = record, 0, 0
        self.warnings.clear()
        self._stream = self._path.open()
        try:
            self._file = self._as_avro(self._stream, str(self._path))
        except SourceError:
            self.close()
            raise
        self._file_records = self._file.records(record)

    def _origin(self, record: Any, line: int) -> tuple[Position, bytes, int, None]:
        raw = msgspec.json.encode(record, enc_hook=_shown)
        return {"file": str(self._path), "line": line}, raw, len(raw), None


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
