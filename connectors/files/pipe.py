"""Clicks from a pipe: JSON Lines or delimited text on standard input."""

from __future__ import annotations

import os
import select
import sys
import time

from ..clicks import Clicks, Position
from ..decoding.blocks import Decoded, PollBuffer
from ..decoding.csv_records import RecordCutter, header_end
from ..decoding.line_decoder import LineDecoder
from ..decoding.lines import BYTE_ORDER_MARK, LONGEST_LINE, LineCutter, Lines
from ..decoding.log_format import LogFormat
from ..decoding.record_lines import delimited_decoder, json_decoder
from ..source import check_kind
from .content import check_pipe, has_columns, look_at_columns
from .time_order import TimeOrder

READ = 1 << 18
"""Bytes read from the pipe at a time, at most."""


OUT_OF_ORDER = "sort the lines by time first, or read all of them with --sort"
"""What helps where the lines are not in the order of time."""


class PipeSource:
    """JSON Lines or delimited text as they come through a pipe.

    What they are is seen in the first line. A position is ``{"kind": "pipe", "line": lines
    before}``, with ``unit`` where the times' unit was told by their size and is not the second. A
    pipe cannot be rewound: after `seek` it goes on with what comes next, and only its line numbers
    continue; delimited text begins with its header again.

    Parameters
    ----------
    form
        The fields' names.
    descriptor
        The pipe's file descriptor; by default standard input.

    """

    def __init__(self, form: LogFormat | None = None, descriptor: int | None = None) -> None:
        self._form = form = form if form is not None else LogFormat()
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._decoder: LineDecoder | None = None
        self._unit: str | None = None
        self._cutter = LineCutter()
        self._head = b""
        self._blocks: list[tuple[Lines, Decoded]] = []
        self._line = 0
        self._ended = False
        self._notes: list[str] = []
        self._order = TimeOrder("<stdin>", OUT_OF_ORDER)
        by_user = form.session is None
        if form.user is not None and not by_user:
            # Only the header tells.
            by_user = self._wait_for_header()
        self.gap = form.gap if by_user else None

    @property
    def warnings(self) -> list[str]:
        """What a person should know, such as that the clicks are not in the order of time."""
        order = [] if self._order.warning is None else [self._order.warning]
        units = [] if self._decoder is None else self._decoder.scale.note("<stdin>")
        return [*self._notes, *units, *order]

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Return the clicks that have arrived, waiting up to `wait` seconds for the first.

        See `Source.poll`.
        """
        gathering = PollBuffer(limit)
        deadline = time.monotonic() + wait
        while True:
            while self._blocks and not gathering.full:
                lines, block = self._blocks[0]
                gathering.take(block)
                self._line = lines.before(block.place[0])
                if block.exhausted:
                    self._blocks.pop(0)
            if gathering.full or self._ended:
                break
            patience = deadline - time.monotonic() if gathering.empty else 0.0
            if not self._receive(max(patience, 0.0)):
                break
        if gathering.empty and self._ended and not self._blocks:
            return None
        unit = self._decoder.scale.state if self._decoder and self._line else {}
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
        self._unit = position.get("unit", "s") if self._line else None
        if self._decoder is not None:
            self._decoder.scale.restore(self._unit)
        self._cutter = LineCutter(self._line)

    def commit(self, position: Position) -> None:
        """Do nothing: nobody outside keeps a pipe's position."""

    def close(self) -> None:
        """Do nothing: standard input is not ours to close."""

    def _wait_for_header(self) -> bool:
        """Read until the decoder is known; return whether the sessions are users."""
        while self._decoder is None and not self._ended:
            self._receive(None)
        return self._decoder is not None and self._decoder.by_user

    def _receive(self, wait: float | None) -> bool:
        """Read what the pipe holds; return whether there was anything, its end included."""
        ready, _, _ = select.select([self._descriptor], [], [], wait)
        if not ready:
            return False
        data = os.read(self._descriptor, READ)
        self._ended = not data
        if self._decoder is None:
            self._head += data
            data = self._begin()
        blocks = self._cutter.feed(data) if data else []
        for lines in [*blocks, *(self._cutter.finish() if self._ended else [])]:
            assert self._decoder is not None
            decoded = self._decoder.decode(lines)
            self._blocks.append((lines, decoded))
            self._order.note(decoded.times)
        if self._ended:
            self._order.finish()
        return True

    def _use(self, decoder: LineDecoder) -> None:
        self._decoder = decoder
        decoder.scale.restore(self._unit)

    def _begin(self) -> bytes:
        """Choose the decoder once the first line is there; return what follows the header."""
        head, form = self._head, self._form
        text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
        of_text = form.delimiter or form.columns or form.only or form.date or not form.header
        if not text or (not of_text and text.startswith(b"{")):
            if text or self._ended or len(head) > LONGEST_LINE:
                self._use(json_decoder(form, "<stdin>"))
                return head
            return b""
        check_pipe(text)
        end = header_end(head, self._ended or len(head) > LONGEST_LINE)
        if not end:
            return b""
        line = head[:end].rstrip(b"\r\n")
        if not of_text and not has_columns(line):
            # A line that is no good, before or among those of JSON.
            self._use(json_decoder(form, "<stdin>"))
            return head
        delimiter, form, notes = look_at_columns("<stdin>", line, form)
        self._notes += notes
        header = line if form.header else None
        decoder = delimited_decoder(form, delimiter, header, "<stdin>")
        self._use(decoder)
        rest = head[end:] if form.header else head
        before = self._line + (head.count(b"\n", 0, end) if form.header else 0)
        # Past the first byte: a byte order mark stands only at the start.
        self._cutter = RecordCutter(decoder.count_columns, before, len(head) - len(rest))
        return rest
