"""The files of one snapshot, and how it is known to be whole.

A snapshot is a folder of four files:

- ``arrays.safetensors``: every part's arrays, named ``part/array``;
- ``values.json``: every part's other values;
- ``about.json``: what the snapshot is of: clicks, position, configuration, versions;
- ``manifest``: a line with the format; for each of the other files a line with its SHA-256, its
  size in bytes and its name; last, the SHA-256 of all the lines before.

The manifest is written last and vouches for itself as well, so any byte that changes anywhere and
any file that is cut or gone shows. JSON is written with Python's ``NaN`` and ``Infinity``, and ids
of any length or alphabet, so that values come back as they went in.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from nextclick.models.recommender import State

from .upgrade import first_line, format_of, unreadable, upgraded

FILES = ("about.json", "arrays.safetensors", "values.json")

PIECE = 1000
"""Elements of a list that are encoded at once."""

BREATH, PAUSE = 1 << 14, 0.0005
"""Characters of JSON after which the writing thread sleeps, and for how many seconds."""


def write_files(folder: Path, parts: dict[str, State], about: dict[str, Any]) -> None:
    """Write a snapshot's files into an empty folder, and make them durable.

    Parameters
    ----------
    folder
        An existing, empty folder.
    parts
        States by the name of the part, which holds no slash.
    about
        Facts about the snapshot, in JSON's types.

    Raises
    ------
    OSError, safetensors.SafetensorError
        The files cannot be written.

    """
    arrays = {
        # safetensors writes arrays as they lie in RAM, so rows must lie one after the other.
        f"{part}/{name}": np.asarray(array, order="C")
        for part, state in parts.items()
        for name, array in state.arrays.items()
    }
    save_file(arrays, folder / "arrays.safetensors")
    _write_json(folder / "values.json", {part: state.values for part, state in parts.items()})
    _write_json(folder / "about.json", about)
    lines = [first_line()]
    for name in FILES:
        sync(folder / name)
        lines.append(f"{_digest(folder / name)} {(folder / name).stat().st_size} {name}")
    text = "\n".join(lines) + "\n"
    text += hashlib.sha256(text.encode()).hexdigest() + "\n"
    (folder / "manifest").write_text(text, encoding="utf-8")
    sync(folder / "manifest")
    sync(folder)


def read_files(folder: Path) -> tuple[dict[str, State], dict[str, Any]]:
    """Read what `write_files` wrote, of whatever format; ask `problems` whether it is whole."""
    line = (folder / "manifest").read_text(encoding="utf-8").partition("\n")[0]
    values = json.loads((folder / "values.json").read_bytes())
    about = json.loads((folder / "about.json").read_bytes())
    parts = {part: State({}, own) for part, own in values.items()}
    for name, array in load_file(folder / "arrays.safetensors").items():
        part, _, own_name = name.partition("/")
        parts[part].arrays[own_name] = array
    return upgraded(format_of(line), (parts, about))


def problems(folder: Path) -> list[str]:
    """Return what is wrong with a snapshot: a line for each file that is not as it was written.

    Examples
    --------
    >>> problems(Path("no such folder"))
    ['file manifest: missing']

    """
    try:
        text = (folder / "manifest").read_bytes()
    except FileNotFoundError:
        return ["file manifest: missing"]
    except OSError as error:
        return [f"file manifest: cannot be read ({error.strerror})"]
    # A digest has 64 characters; with its end of line that makes the last line.
    lines, last = text[:-65], text[-65:]
    if last != hashlib.sha256(lines).hexdigest().encode() + b"\n":
        return ["file manifest: changed or cut, it does not match its own checksum"]
    first, *entries = lines.decode().splitlines()
    if reason := unreadable(format_of(first)):
        return [reason]
    found = []
    for entry in entries:
        digest, size, name = entry.split(" ")
        problem = _problem(folder / name, int(size), digest)
        if problem:
            found.append(f"file {name}: {problem}")
    return found


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _problem(path: Path, size: int, digest: str) -> str | None:
    """Return what is wrong with one file, or None where nothing is."""
    try:
        there = path.stat().st_size
        if there < size:
            return f"{size - there:,} bytes cut"
        if there > size:
            return f"{there - size:,} bytes too many"
        if _digest(path) != digest:
            return "bytes changed, it does not match its checksum"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def _digest(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: object) -> None:
    """Write JSON piece by piece, so that a thread doing so never holds up the others for long.

    Python lets one thread run at a time, and one that computes on is asked to yield only after
    5 ms. The stream's thread needs its turn after every operation of torch, so this one sleeps a
    little between pieces, each written by the quick encoder in well under a millisecond.
    """
    with path.open("w", encoding="utf-8") as file:
        since = 0
        for piece in pieces(value):
            since += file.write(piece)
            if since >= BREATH:
                since = 0
                time.sleep(PAUSE)


def pieces(value: object) -> Iterator[str]:
    """Yield a value's JSON in pieces, none of more than `PIECE` elements of a list.

    Examples
    --------
    >>> list(pieces({"clicks": 7, "ids": ["a", "b"]}))
    ['{', '"clicks": ', '7', ', "ids": ', '["a", "b"]', '}']

    """
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        yield "{"
        for place, (key, own) in enumerate(value.items()):
            yield f"{', ' if place else ''}{json.dumps(key)}: "
            yield from pieces(own)
        yield "}"
    elif isinstance(value, list) and len(value) > PIECE:
        for start in range(0, len(value), PIECE):
            yield ", " if start else "["
            yield json.dumps(value[start : start + PIECE])[1:-1]
        yield "]"
    else:
        yield json.dumps(value)
