"""A log as it is found when it is opened to be appended to."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ...clicks import Id
from ...submitted_clicks import EventOnly

CHUNK = 1 << 16

LONGEST_RECORD = 4 << 20
"""Bytes of an unfinished line that may be a whole object; a longer one cannot be."""

READ_BACK = 64 << 20
"""Bytes at the log's end in which event ids are looked for."""


def repair(path: Path, descriptor: int) -> str | None:
    """Mend a last line without a line break, as a crash leaves one.

    A part of a record is cut off: it was never confirmed, and must not be joined with what comes
    next. A whole record lacks only its line break, and gets one.

    Parameters
    ----------
    path
        The log, for the message.
    descriptor
        It, opened to append to.

    Returns
    -------
    str or None
        What was done, in a sentence; None where there was nothing to do.

    """
    size = os.fstat(descriptor).st_size
    start = _last_line(descriptor, size)
    if start == size:
        return None
    line = b"" if size - start > LONGEST_RECORD else os.pread(descriptor, size - start, start)
    if _is_object(line):
        os.write(descriptor, b"\n")
        note = f"{path}: the last line had no line break, and has one now"
    else:
        os.ftruncate(descriptor, start)
        note = (
            f"{path}: the last line was cut off after {size - start:,} bytes, as by a crash; it "
            "had not been confirmed, and was removed"
        )
    os.fsync(descriptor)
    return note


def recent_event_ids(descriptor: int, most: int) -> list[Id]:
    """Return the last event ids of a log, at most this many, oldest first."""
    size = os.fstat(descriptor).st_size
    at = max(0, size - READ_BACK)
    found: list[Id] = []
    rest = b""
    whole = at == 0
    while part := os.pread(descriptor, 1 << 20, at):
        at += len(part)
        *lines, rest = (rest + part).split(b"\n")
        if not whole and lines:
            # The first line began before what is read.
            lines, whole = lines[1:], True
        found += [event for line in lines if (event := _event_of(line)) is not None]
        del found[:-most]
    return found


def _event_of(line: bytes) -> Id | None:
    if b'"event_id"' not in line:
        return None
    try:
        return EventOnly.decode(line).event_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _last_line(descriptor: int, size: int) -> int:
    """Return where the bytes after the last line break begin."""
    end = size
    while end > 0:
        start = max(0, end - CHUNK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
