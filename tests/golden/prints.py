"""Fingerprints of what a command wrote: figures, records, and the arrays of its newest snapshot."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Prints = dict[str, Any]
"""Figures as numbers, all else as the first digits of its SHA-256; by name."""

DIGITS = 16
"""Hexadecimal digits of a SHA-256 that are kept."""

UNSTEADY = {
    *(
        "seconds",
        "clicks_per_second",
        "compiling_seconds",
        "peak_memory_mb",
        "score_ms",
        "learn_ms",
        "memory_mb",
    ),
    *("phases", "timed", "to", "saved", "versions", "provenance"),
}
"""Names of times, sizes in RAM, paths and versions, wherever they occur."""

SETTINGS = {"config", "source"}
"""What was asked for: the names of options may change while no figure does."""


def digest(data: bytes) -> str:
    """Return the first digits of a SHA-256."""
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def of_figures(path: Path) -> Prints:
    """Return the figures that a command wrote with ``--json``."""
    result = json.loads(path.read_bytes())
    return {
        f"figure {name}": value
        for key, found in result.items()
        if key not in SETTINGS | UNSTEADY
        for name, value in _leaves(key, found)
    }


def of_records(path: Path) -> Prints:
    """Return the fingerprint of a file of JSON Lines, and how many lines it has."""
    data = path.read_bytes()
    return {"records": data.count(b"\n"), "records sha256": digest(data)}


def of_snapshot(folder: Path) -> Prints:
    """Return fingerprints of the newest snapshot's arrays, values and facts."""
    newest = max(folder.glob("clicks-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    prints = {f"array {name}": value for name, value in _arrays(newest / "arrays.safetensors")}
    values = json.loads((newest / "values.json").read_bytes())
    prints |= {f"value {name}": value for name, value in _leaves("", values, hashed=False)}
    about = json.loads((newest / "about.json").read_bytes())
    for name in ("clicks", "time", "position", "gap"):
        prints |= {f"about {key}": value for key, value in _leaves(name, about.get(name))}
    return prints


def _arrays(path: Path) -> Iterator[tuple[str, str]]:
    """Read the file's own format, so that an array is hashed with its type and shape."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    for name, entry in sorted(json.loads(data[8 : 8 + length]).items()):
        if name == "__metadata__" or UNSTEADY & set(name.replace(".", "/").split("/")):
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        kind = f"{entry['dtype']} {entry['shape']}".encode()
        yield name, digest(kind + data[begin:end])


def _leaves(name: str, value: Any, hashed: bool = True) -> Iterator[tuple[str, Any]]:
    """Walk into objects; a list becomes its SHA-256, a table of a model's too where `hashed`."""
    if isinstance(value, dict):
        deep = hashed and name.startswith("models.") and name.count(".") >= 2
        if not deep:
            for key, own in value.items():
                if key not in UNSTEADY:
                    yield from _leaves(f"{name}.{key}" if name else key, own, hashed)
            return
        value = _steady(value)
    if isinstance(value, (dict, list)):
        value = digest(json.dumps(_steady(value), sort_keys=True).encode())
    yield name, value


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _steady(own) for key, own in value.items() if key not in UNSTEADY}
    if isinstance(value, list):
        return [_steady(own) for own in value]
    return value
