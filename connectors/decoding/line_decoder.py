"""What decoders of lines share: a block at once where it can be, else line by line."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..clicks import Id, Position
from .blocks import Decoded, Decoding
from .lines import Lines
from .values import UnusableError


class LineDecoder(ABC):
    """Decodes lines that are a record each.

    Parameters
    ----------
    name
        The file's name, for positions and messages.
    keep_raw
        Whether rejected records keep their bytes.

    """

    def __init__(self, name: str, keep_raw: bool) -> None:
        self._name = name
        self._keep_raw = keep_raw

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
        for index, line in enumerate(lines.split()):
            try:
                if lines.fault is not None:
                    raise UnusableError(*lines.fault)
                decoding.click(*self.decode_line(line))
            except UnusableError as fault:
                decoding.reject(fault, self._position(lines, index), *lines.raw(index))
        return decoding.done()

    def _position(self, lines: Lines, index: int) -> Position:
        return {"file": self._name, "line": lines.before(index) + 1}

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
