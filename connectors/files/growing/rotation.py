"""The files that a log was rotated to: renamed, perhaps compressed, with a new one begun."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import NamedTuple

from ...source import SourceError
from ..storage.decompression import Decompressed

MARK = re.compile(r"[.-]\d[\dTZ._-]*")
"""What rotation adds to a name: ``.1``, ``-20261130``, ``.2026-11-30``."""

TRIES = 25
"""Looks at the folder while files in it are renamed, 20 ms apart."""

START_BYTES = 4096
"""Bytes by which two files are told apart: a log and its copy begin with the same."""


class Rotated(NamedTuple):
    """A file that a log was rotated to.

    Parameters
    ----------
    path
        The file.
    written
        When it was written last, in nanoseconds; compressing keeps that.
    start
        Its first bytes, which tell it from others when it is renamed again.

    """

    path: Path
    written: int
    start: bytes


def rotated_files(path: Path) -> list[Rotated]:
    """Return the files that a log was rotated to, by the time of their last write, oldest first.

    They lie beside it and have its name with a number or date, before or after its ending, and
    perhaps ``.gz`` or ``.zst``. Of one that was compressed and is still there, one is returned.

    Examples
    --------
    >>> rotated_files(Path("no/such/log.jsonl"))
    []

    """
    for _ in range(TRIES):
        try:
            return _look(path)
        except OSError:  # One was renamed between two looks: rotation is under way.
            time.sleep(0.02)
    return []


def _look(path: Path) -> list[Rotated]:
    found: dict[bytes, Rotated] = {}
    beside = [file for file in path.parent.iterdir() if _is_rotated(file.name, path)]
    for written, file in sorted((file.stat().st_mtime_ns, file) for file in beside):
        start = first_bytes(file)
        if start:
            found.setdefault(start, Rotated(file, written, start))
    return list(found.values())


def find_again(rotated: Rotated, path: Path) -> Path:
    """Return where a file that a log was rotated to is now.

    Raises
    ------
    SourceError
        It is gone.

    """
    for each in rotated_files(path):
        if each.start == rotated.start:
            return each.path
    raise SourceError(
        f"{rotated.path}, which {path} was rotated to, is gone, and was not read to its end: put "
        "it back, or start over with --fresh; keep more of the rotated files"
    )


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file's text; none where it cannot be read."""
    try:
        stream = Decompressed(path)
    except SourceError:
        return b""
    try:
        return stream.head(START_BYTES)
    finally:
        stream.close()


def begins_alike(one: bytes, other: bytes) -> bool:
    r"""Whether two files begin with the same two lines, the first of which may be a header.

    Examples
    --------
    >>> begins_alike(b"a,1\nb,2\nc", b"a,1\nb,2\n"), begins_alike(b"a,1\nb,2\n", b"a,1\n")
    (True, False)

    """
    if one == other:
        return True
    lines = one.split(b"\n", 2)[:-1], other.split(b"\n", 2)[:-1]
    return len(lines[0]) == 2 and lines[0] == lines[1]


def _is_rotated(name: str, path: Path) -> bool:
    for ending in (".gz", ".zst"):
        name = name.removesuffix(ending)
    if name.startswith(path.name):
        return MARK.fullmatch(name[len(path.name) :]) is not None
    if not (path.suffix and name.startswith(path.stem) and name.endswith(path.suffix)):
        return False
    return MARK.fullmatch(name[len(path.stem) : -len(path.suffix)]) is not None
