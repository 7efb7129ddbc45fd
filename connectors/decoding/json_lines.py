"""Lines of JSON to clicks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..clicks import Id
from ..source import SourceError
from .blocks import Decoded
from .line_decoder import LineDecoder
from .lines import Lines
from .log_format import LogFormat
from .time_unit import TimeScale
from .values import (
    LONGEST_ID,
    UnusableError,
    as_id,
    check_time,
    too_long,
    usable_times,
)

MISSING = msgspec.Raw(b"null")
"""The value for a field that an object does not have."""

ELSEWHERE: dict[str, Any] = {"session": "-", "time": 0.0}
"""The value for a part of a click that is not in the object."""


class JsonLinesDecoder(LineDecoder):
    """Decodes lines that hold one JSON object each; fields without use are ignored.

    Parameters
    ----------
    form
        The format.
    name
        The file's name, for positions and messages.
    without
        Of ``session`` and ``time``, those that are elsewhere than in the object. In their place
        a session is ``"-"`` and a time 0.

    Raises
    ------
    SourceError
        The format is one for delimited text only.

    """

    def __init__(self, form: LogFormat, name: str, without: Collection[str] = ()) -> None:
        key = form.session if form.session is not None else form.user
        names = {"session": str(key), "item": form.item, "time": form.time}
        if form.date is not None or form.only is not None or not form.header:
            raise SourceError(f"{name}: this --format is for delimited text, not for JSON Lines")
        if len(set(names.values())) < len(names):
            raise SourceError(f"{name}: session, item and time must be three different fields")
        super().__init__(name, form.keep_raw, TimeScale(form.unit))
        self._names = names = {part: names[part] for part in names if part not in without}
        kinds = {"session": str | int, "item": str | int, "time": float | str}
        line = msgspec.defstruct(
            "Line",
            [(part, kinds[part]) for part in names],
            namespace={part: value for part, value in ELSEWHERE.items() if part in without},
            rename=names,
            gc=False,
        )
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(line)
        kinds |= {part: kinds[part] | float for part in ("session", "item")}
        loose = msgspec.defstruct(
            "LooseLine",
            [(part, kinds[part]) for part in names],
            namespace={part: value for part, value in ELSEWHERE.items() if part in without},
            rename=names,
            gc=False,
        )
        # Some producers write whole numbers as 17.0.
        self._loose: msgspec.json.Decoder[Any] = msgspec.json.Decoder(loose)
        # Only which fields are there: nothing is made of what else an object may hold.
        fields = [(part, msgspec.Raw, msgspec.field(default=MISSING)) for part in names]
        there = msgspec.defstruct("Fields", fields, rename=names, gc=False)
        self._fields: msgspec.json.Decoder[Any] = msgspec.json.Decoder(there)
        self.by_user = form.session is None

    def decode_line(self, line: bytes) -> tuple[Id, Id, float]:
        """Decode one line to session, item and time.

        Raises
        ------
        UnusableError
            The line cannot be used.

        """
        if not line.strip():
            raise UnusableError("blank", "the line is blank")
        try:
            record = self._decoder.decode(line)
        except msgspec.ValidationError as error:
            record = self._decode_loosely(line, error)
        except UnicodeDecodeError as error:
            raise UnusableError("not_utf8", f"the line is not UTF-8: {error.reason}") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnusableError("bad_json", str(error)) from error
        session = as_id(record.session, self._names.get("session", ""), "no_session")
        item = as_id(record.item, self._names["item"], "no_item")
        time = record.time
        if isinstance(time, str):
            if not time.strip(" \t"):
                raise UnusableError("no_time", f"'{self._names['time']}' is empty")
            return session, item, check_time(self.scale.read(time))
        return session, item, check_time(self.scale.seconds(time))

    def decode_block(self, lines: Lines) -> Decoded | None:
        """Decode a whole block at once; None where anything about it is odd."""
        return self.decode_values(lines.split(), int(np.diff(lines.ends, prepend=0).max()))

    def decode_values(self, values: list[bytes], longest: int) -> Decoded | None:
        """Decode lines at once if none exceeds the bound in bytes; None where anything is odd."""
        try:
            # One by one: a decoder of the whole block takes two objects on one line for two lines.
            records = list(map(self._decoder.decode, values))
            sessions: list[Id] = [record.session for record in records]
            items: list[Id] = [record.item for record in records]
        except msgspec.ValidationError:
            try:
                records = list(map(self._loose.decode, values))
                sessions = [as_id(record.session, "", "") for record in records]
                items = [as_id(record.item, "", "") for record in records]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, UnusableError):
                return None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if "" in sessions or "" in items:
            return None
        # An id is never longer than its line.
        if longest > LONGEST_ID and _too_long(sessions + items):
            return None
        times = self._times([record.time for record in records])
        if times is None or not usable_times(times):
            return None
        return Decoded(sessions, items, times)

    def _times(self, column: list[float | str]) -> NDArray[np.float64] | None:
        try:
            if isinstance(column[0], str):
                return self.scale.texts(pa.array(column, pa.string()))
            numbers: NDArray[np.float64] = pa.array(column, pa.float64()).to_numpy()
        except pa.ArrowException:
            return None
        return self.scale.column(numbers)

    def _decode_loosely(self, line: bytes, error: msgspec.ValidationError) -> Any:
        """Decode a line whose ids may be whole floats; the error is that of the strict way."""
        try:
            return self._loose.decode(line)
        except msgspec.ValidationError:
            raise self._misfit(line, str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as other:
            raise UnusableError("bad_json", str(other)) from error

    def _misfit(self, line: bytes, message: str) -> UnusableError:
        """Return which field of a line of valid JSON does not fit, and how."""
        try:
            fields = self._fields.decode(line)
        except msgspec.ValidationError:
            return UnusableError("wrong_type", "the line is not a JSON object")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return UnusableError("bad_json", message)
        for part, name in self._names.items():
            if bytes(getattr(fields, part)) == b"null":
                return UnusableError(f"no_{part}", f"there is no '{name}'")
        return UnusableError("wrong_type", message)


def _too_long(ids: list[Id]) -> bool:
    return any(map(too_long, ids))
