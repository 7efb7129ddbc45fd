"""What decoders of lines share: a block at once where it can be, else line by line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

from ..clicks import Id, Position
from .blocks import Decoded, Decoding, Entry
from .lines import Lines
from .time_unit import TimeScale
from .values import UnusableError


class LineDecoder(ABC):
    """Decodes lines that are a record each.

    Parameters
    ----------
    name
        The file's name, for positions and messages.
    keep_raw
        Whether rejected records keep their bytes.
    scale
        The unit of the times.

    """

    by_user: bool
    plain = True
    """Whether a line is one click, as `decode_line` reads it."""

    def __init__(self, name: str, keep_raw: bool, scale: TimeScale) -> None:
        self._name = name
        self._keep_raw = keep_raw
        self.scale = scale

    def position(self, lines: Lines, given: int, part: int) -> Position:
        """Return the position after the first `given` lines of a block, and `part` entries more."""
        offset, crc = lines.after(given)
        place: Position = {"line": lines.before(given), "offset": offset, "crc": crc}
        if part:
            place["part"] = part
        place.update(self.scale.state)
        return place

    def decode(self, lines: Lines) -> Decoded:
        """Decode a block: each of its lines becomes a click or is rejected."""
        if lines.fault is None:
            decoded = self.decode_block(lines)
            if decoded is not None:
                return decoded
        return self.decode_lines(lines)

    def decode_lines(self, lines: Lines) -> Decoded:
        """Decode a block line by line."""
        decoding = Decoding(self._keep_raw)
        texts = lines.split()
        self._add_lines(decoding, lines, texts, range(len(texts)))
        return decoding.done()

    def _add_lines(
        self, decoding: Decoding, lines: Lines, texts: list[bytes], places: range
    ) -> None:
        """Decode some of a block's lines, one by one."""
        entries: Sequence[Entry]
        for index in places:
            line = texts[index]
            try:
                if lines.fault is not None:
                    raise UnusableError(*lines.fault)
                if self.plain:
                    decoding.click(*self.decode_line(line))
                    continue
                entries = self.read_line(line)
            except UnusableError as fault:
                entries = (fault,)
            decoding.record(entries, partial(self._origin, lines, index))

    def _origin(self, lines: Lines, index: int) -> tuple[Position, bytes, int, None]:
        return self._position(lines, index), *lines.raw(index), None

    def _position(self, lines: Lines, index: int) -> Position:
        return {"file": self._name, "line": lines.before(index) + 1}

    def read_line(self, line: bytes) -> Sequence[Entry]:
        """Return what one line becomes.

        Raises
        ------
        UnusableError
            The line as a whole cannot be used.

        """
        return ((*self.decode_line(line), None),)

    def count_columns(self, record: bytes) -> int:
        """Return the number of a record's columns; see `Split`. By default each line is one."""
        return 1

    @abstractmethod
    def decode_line(self, line: bytes) -> tuple[Id, Id, float]:
        """Decode one line to session, item and time.

        Raises
        ------
        UnusableError
            The line cannot be used.

        """

    @abstractmethod
    def decode_block(self, lines: Lines) -> Decoded | None:
        """Decode a whole block at once; None where anything about it is odd."""
