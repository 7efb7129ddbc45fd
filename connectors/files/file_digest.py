"""The size and the sum of a file, by which one that does not grow is known again."""

from __future__ import annotations

import zlib
from pathlib import Path

from .decompression import CHUNK


def digest_of(path: Path) -> tuple[int, int]:
    """Return a file's size and CRC-32."""
    size = crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return size, crc
