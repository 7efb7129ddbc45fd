"""A topic's records as they lie on a broker's disk, to be damaged there."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from tests.brokers import Broker

LENGTHS = struct.Struct(">qi")
"""How a batch begins: the offset of its first record, and how many bytes follow."""


class Batch(NamedTuple):
    """The place of a batch of records in its file."""

    offset: int
    begin: int
    end: int


class Segment:
    """The first file of a partition's records; the broker must not run while it is changed."""

    def __init__(self, broker: Broker, topic: str, partition: int = 0) -> None:
        self.path = Path(broker.folder / "data" / f"{topic}-{partition}" / f"{0:020d}.log")
        self.batches: list[Batch] = []
        data, at = self.path.read_bytes(), 0
        while at + LENGTHS.size <= len(data):
            offset, size = LENGTHS.unpack_from(data, at)
            if size <= 0:
                break
            self.batches.append(Batch(offset, at, at + LENGTHS.size + size))
            at += LENGTHS.size + size

    def flip(self, batch: int, place: int = -1) -> None:
        """Change one byte of a batch, by default its last."""
        chosen = self.batches[batch]
        at = (chosen.end if place < 0 else chosen.begin) + place
        data = bytearray(self.path.read_bytes())
        data[at] ^= 0xFF
        with self.path.open("r+b") as file:
            file.write(data)

    def cut(self, batch: int) -> None:
        """Cut the file off in the middle of a batch."""
        chosen = self.batches[batch]
        self.path.write_bytes(self.path.read_bytes()[: (chosen.begin + chosen.end) // 2])
