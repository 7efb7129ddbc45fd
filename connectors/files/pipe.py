"""Clicks from a pipe: JSON Lines on standard input."""

from __future__ import annotations

import os
import select
import sys
import time

from ..clicks import Clicks, Position
from ..decoding.blocks import Decoded, PollBuffer
from ..decoding.lines import LineCutter
from ..decoding.log_format import LogFormat
from ..decoding.record_lines import json_decoder
from ..source import check_kind
from .time_order import TimeOrder

READ = 1 << 18
"""Bytes read from the pipe at a time, at most."""


OUT_OF_ORDER = "sort the lines by time first, or write them to a file and read that with --sort"
"""What helps where the lines are not in the order of time."""


class PipeSource:
    """JSON Lines as they come through a pipe.

    A position is ``{"kind": "pipe", "line": lines before}``, with ``unit`` where the times' unit
    was told by their size and is not the second. A pipe cannot be rewound: after `seek` it goes
    on with what comes next, and only its line numbers continue.

    Parameters
    ----------
    form
        The fields' names.
    descriptor
        The pipe's file descriptor; by default standard input.

    """

    def __init__(self, form: LogFormat | None = None, descriptor: int | None = None) -> None:
        form = form if form is not None else LogFormat()
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._decoder = json_decoder(form, "<stdin>")
        self._cutter = LineCutter()
        self._blocks: list[Decoded] = []
        self._line = 0
        self._ended = False
        self.gap = form.gap if self._decoder.by_user else None
        self._order = TimeOrder("<stdin>", OUT_OF_ORDER)

    @property
    def warnings(self) -> list[str]:
        """What a person should know: that the clicks are not in the order of time."""
        order = [] if self._order.warning is None else [self._order.warning]
        return [*self._decoder.scale.note("<stdin>"), *order]

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Return the clicks that have arrived, waiting up to `wait` seconds for the first.

        See `Source.poll`.
        """
        gathering = PollBuffer(limit)
        deadline = time.monotonic() + wait
        while True:
            while self._blocks and not gathering.full:
                block = self._blocks[0]
                before = block.place[0]
                gathering.take(block)
                self._line += block.place[0] - before
                if block.exhausted:
                    self._blocks.pop(0)
            if gathering.full or self._ended:
                break
            patience = deadline - time.monotonic() if gathering.empty else 0.0
            if not self._receive(max(patience, 0.0)):
                break
        if gathering.empty and self._ended and not self._blocks:
            return None
        unit = self._decoder.scale.state if self._line else {}
        return gathering.clicks({"kind": "pipe", "line": self._line, **unit})

    def seek(self, position: Position) -> None:
        """Continue the line numbers of an earlier run.

        Raises
        ------
        SourceError
            The position is one in another kind of source.

        """
        check_kind(position, "pipe", "standard input")
        self._line = int(position.get("line", 0))
        self._decoder.scale.restore(position.get("unit", "s") if self._line else None)
        self._cutter = LineCutter(self._line)

    def commit(self, position: Position) -> None:
        """Do nothing: nobody outside keeps a pipe's position."""

    def close(self) -> None:
        """Do nothing: standard input is not ours to close."""

    def _receive(self, wait: float) -> bool:
        """Read what the pipe holds; return whether there was anything, its end included."""
        ready, _, _ = select.select([self._descriptor], [], [], wait)
        if not ready:
            return False
        data = os.read(self._descriptor, READ)
        self._ended = not data
        for lines in self._cutter.feed(data) if data else self._cutter.finish():
            self._blocks.append(self._decoder.decode(lines))
            self._order.note(self._blocks[-1].times)
        if self._ended:
            self._order.finish()
        return True
