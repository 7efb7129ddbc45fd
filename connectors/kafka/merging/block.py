"""Merged records on their way into polls."""

from __future__ import annotations

import numpy as np

from ...clicks import Position
from ...decoding.blocks import Decoded, PollBuffer
from .merge import Merged
from .numbering import Numbering


class Block:
    """Merged records, to be given piece by piece.

    Parameters
    ----------
    merged
        The records.
    numbering
        Of several topics, so that the clicks' positions name theirs.

    Attributes
    ----------
    came
        When the first of the records came.

    """

    def __init__(self, merged: Merged, numbering: Numbering | None) -> None:
        self.came = merged.came
        self._decoded: Decoded = merged.decoded
        self._partitions: list[int] = merged.partitions.tolist()
        self._offsets: list[int] = merged.offsets.tolist()
        numbers = [] if numbering is None else np.unique(merged.partitions).tolist()
        self._places = {number: numbering.place(number) for number in numbers if numbering}
        clicks = np.flatnonzero(merged.is_click)
        self._click_partitions: list[int] = merged.partitions[clicks].tolist()
        self._click_offsets: list[int] = merged.offsets[clicks].tolist()
        # Most records are one click: then there are no parts.
        self._parts: list[int] = merged.parts.tolist() if merged.parts.any() else []
        self._clicks: list[int] = clicks.tolist() if self._parts else []

    @property
    def exhausted(self) -> bool:
        """Whether all of it was given."""
        return self._decoded.exhausted

    def give(
        self,
        gathering: PollBuffer,
        following: dict[int, int],
        parts: dict[int, tuple[int, int]],
    ) -> list[Position]:
        """Fill the poll; advance the next offsets and the parts, return the clicks' positions."""
        decoded = self._decoded
        first, first_click = decoded.given, decoded.clicks_given
        gathering.take(decoded)
        last, last_click = decoded.given, decoded.clicks_given
        for number, offset in zip(
            self._partitions[first:last], self._offsets[first:last], strict=True
        ):
            following[number] = offset + 1
        places = self._positions(first_click, last_click)
        if self._parts:
            for entry in range(first, last):
                number, part = self._partitions[entry], self._parts[entry]
                offset = self._offsets[entry]
                following[number] = offset if part > 0 else offset + 1
                parts[number] = offset, max(part, 0)
            for place, entry in zip(places, self._clicks[first_click:last_click], strict=True):
                part = self._parts[entry]
                if part not in (0, 1):
                    place["part"] = part - 1 if part > 0 else -part
        return places

    def _positions(self, first: int, last: int) -> list[Position]:
        """Return the positions of the clicks between these."""
        clicks = zip(
            self._click_partitions[first:last], self._click_offsets[first:last], strict=True
        )
        if not self._places:
            return [{"partition": number, "offset": offset} for number, offset in clicks]
        places = [(*self._places[number], offset) for number, offset in clicks]
        return [{"topic": topic, "partition": n, "offset": offset} for topic, n, offset in places]
