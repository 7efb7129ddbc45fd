"""A log as a source that does not end: it is read on as it grows."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from ...clicks import Clicks, Position
from ...decoding.blocks import Decoded, PollBuffer
from ...decoding.log_format import LogFormat
from ...source import SourceError, check_kind
from ..reader import changed
from ..text_reader import TextReader
from ..time_order import TimeOrder
from .growing_reader import GrowingReader, TruncatedError
from .opening import open_growing, open_rotated
from .rotation import Rotated, begins_alike, find_again, first_bytes, rotated_files

GROWN_SECONDS = 0.01
"""How often to look whether the log has grown."""

OUT_OF_ORDER = "let its writer append clicks as they happen"
"""What helps where a log is not in the order of time."""

REPLACED_SECONDS = 0.1
"""How often to look whether another file has taken its place."""

START: Position = {"line": 0, "offset": 0, "crc": 0}

MOST_NOTES = 50

LATE_SECONDS = 60.0
"""How long a file that was rotated away is watched for lines that come too late."""


class FollowedLog:
    r"""A plain text log that is read on as it grows, until the run is stopped.

    A line counts once its line break is there. A log that is rotated is read to its end, then the
    new one from its start. A position is that of a `LogSource`, so a run may go on from a snapshot
    with or without following, and also where the log was rotated since.

    Parameters
    ----------
    path
        Delimited text or JSON Lines, neither compressed nor to be sorted.
    form
        As for `LogSource`.

    Attributes
    ----------
    path
        The log.
    gap
        Seconds without a click that end a session, where the clicks' sessions are users; else
        None.
    warnings
        Sentences on what a person should know, such as that the log was rotated.

    Raises
    ------
    SourceError
        It cannot be followed; the message names the remedy.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "clicks.csv"
    >>> _ = path.write_text("session_id,item_id,timestamp\nanna,shoes,1.5\nanna,so")
    >>> source = FollowedLog(path)
    >>> source.poll(128).items, source.poll(128).items
    (['shoes'], [])
    >>> with path.open("a") as log:
    ...     _ = log.write("cks,2.5\n")
    >>> source.poll(128).items
    ['socks']

    """

    def __init__(self, path: str | os.PathLike[str], form: LogFormat | None = None) -> None:
        self.path = Path(path)
        self._form = form if form is not None else LogFormat()
        self._notes: list[str] = []
        self._order = TimeOrder(str(path), OUT_OF_ORDER)
        self._block = Decoded([], [], np.zeros(0))
        self._position: Position = self._named(START, self.path)
        # Rotated files that are to be read before the log itself, and who reads the first of them.
        self._earlier: list[Rotated] = []
        self._rotated: TextReader | None = None
        # The log itself, and the one that has taken its place.
        self._live: GrowingReader | None = None
        self._next: GrowingReader | None = None
        # The one before, in case that it still grows.
        self._left: tuple[GrowingReader, float] | None = None
        self._look_at = 0.0
        if not self.path.exists() and not rotated_files(self.path):
            raise SourceError(f"{self.path}: there is no such file: create it, perhaps empty")
        self._live = self._open()

    @property
    def gap(self) -> float | None:
        """Seconds that end a user's session, None where sessions have ids."""
        by_user = self._live.by_user if self._live is not None else self._form.session is None
        return self._form.gap if by_user else None

    @property
    def warnings(self) -> list[str]:
        """What a person should know, such as that the log was rotated."""
        told = self._live.notes if self._live is not None else []
        return [*self._notes, *told, *([self._order.warning] if self._order.warning else [])]

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Return the clicks that have come, waiting up to `wait` seconds for the first.

        See `Source.poll`.

        Raises
        ------
        SourceError
            The log cannot be read on.

        """
        gathering = PollBuffer(limit)
        deadline = time.monotonic() + wait
        while not gathering.full:
            if self._block.exhausted:
                block = self._next_block()
                if block is None:
                    patience = deadline - time.monotonic()
                    if not gathering.empty or patience <= 0:
                        break
                    self.wait_for_more(patience)
                    continue
                self._order.note(block.times)
                self._block = block
            gathering.take(self._block)
            self._position = self._position_now()
        return gathering.clicks(self._position)

    def wait_for_more(self, seconds: float) -> None:
        """Wait until the log may have grown, at most this long."""
        time.sleep(min(seconds, GROWN_SECONDS))

    def most(self, descriptor: int) -> int | None:
        """Return up to which byte a file may be read; None: to its end."""
        return None

    def seek(self, position: Position) -> None:
        """Go on from a position that a log gave, also if the log was rotated since.

        Raises
        ------
        SourceError
            It is one in another source, or neither the log nor a file that it was rotated to
            begins with what was read before.

        """
        check_kind(position, "log", f"the log {self.path}")
        if position.get("offset") == 0 and "part" not in position:
            return
        self._block = Decoded([], [], np.zeros(0))
        try:
            if self._live is None:
                raise changed(self.path, "it has no whole line")
            self._live.seek(position)
        except SourceError as error:
            self._seek_rotated(position, error)
        self._position = position

    def commit(self, position: Position) -> None:
        """Do nothing: nobody outside keeps a log's position."""

    def close(self) -> None:
        """Close the files."""
        for reader in (self._live, self._next, self._rotated, self._left and self._left[0]):
            if reader is not None:
                reader.close()

    def _note(self, *sentences: str) -> None:
        self._notes += [each for each in sentences if each not in self._notes]
        # Each is passed on soon: of a log that is rotated for years, only the last are kept.
        del self._notes[:-MOST_NOTES]

    def _named(self, place: Position, path: Path) -> Position:
        return {"kind": "log", "name": path.name, **place}

    def _position_now(self) -> Position:
        if self._rotated is not None:
            return self._named(self._rotated.position(*self._block.place), self._earlier[0].path)
        assert self._live is not None
        return self._named(self._live.position(*self._block.place), self.path)

    def _next_block(self) -> Decoded | None:
        """Return the next block of whole lines; None where there is none yet."""
        while self._earlier:
            if (block := self._read_rotated()) is not None:
                return block
        if self._live is None:
            self._live = self._open()
            if self._live is None:
                return None
        try:
            block = self._live.read()
        except TruncatedError:
            self._begin_anew()
            return self._next_block()
        if block is not None:
            return block
        if self._next is None:
            if not self._look_for_another():
                return None
            # Whoever writes to the new one has ended writing to this one: read what came last.
            return self._next_block()
        block = self._live.finish()
        if block is None:
            self._leave()
            return self._next_block()
        return block

    def _read_rotated(self) -> Decoded | None:
        """Return the next block of the first rotated file; None once it is at its end."""
        if self._rotated is None:
            again = find_again(self._earlier[0], self.path)
            self._rotated = open_rotated(again, self._form)
        block = self._rotated.read()
        if block is None:
            self._note(*self._rotated.warnings)
            self._rotated.close()
            self._rotated = None
            self._earlier.pop(0)
        return block

    def _open(self) -> GrowingReader | None:
        """Open the log; None where it is not there, or has no whole line yet."""
        opened = open_growing(self.path, self._form, self.most)
        if opened is None:
            return None
        reader, notes = opened
        self._note(*notes)
        return reader

    def _look_for_another(self) -> bool:
        """Return whether another file has taken the log's place, and has a line."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + REPLACED_SECONDS
        self._watch_left(now)
        assert self._live is not None
        try:
            if os.path.samestat(self.path.stat(), self._live.status):
                return False
        except OSError:  # It was renamed, and no other was begun yet.
            return False
        self._next = self._open()
        return self._next is not None

    def _leave(self) -> None:
        """Go on to the file that has taken the log's place, or to those between."""
        left, self._live, self._next = self._live, self._next, None
        assert left is not None
        assert self._live is not None
        if self._left is not None:
            self._left[0].close()
        self._left = left, time.monotonic() + LATE_SECONDS
        # Several rotations may have passed by while the old one was read.
        first, last = left.status, self._live.status
        starts = left.start, self._live.start
        self._earlier = [
            file
            for file in rotated_files(self.path)
            if first.st_mtime_ns < file.written <= last.st_mtime_ns
            and not any(begins_alike(file.start, start) for start in starts)
        ]
        between = "".join(f" {file.path.name}, then in" for file in self._earlier)
        self._note(
            f"{self.path} was rotated at {left.place}: read to its end; reading on in{between} "
            "the new one"
        )

    def _watch_left(self, now: float) -> None:
        """Add a note on lines that were written to a rotated file after it had been left."""
        if self._left is None:
            return
        reader, until = self._left
        if reader.unread > 0:
            self._note(
                f"{self.path}: {reader.unread:,} bytes or more were written to the file that it "
                f"was rotated to after {reader.place}, when the new one had been begun; they are "
                "not read: let each writer open the new file before any writes to it"
            )
        elif now < until:
            return
        reader.close()
        self._left = None

    def _begin_anew(self) -> None:
        """Read from its start a log that was cut or written anew, and its copy to the end."""
        assert self._live is not None
        place = self._live.place
        if self._continues(self._live):
            return
        for reader in (self._live, self._next):
            if reader is not None:
                reader.close()
        self._live = self._next = None
        position = self._position
        copies = self._find(position) if position["offset"] else None
        if copies:
            self._read_on(copies, position)
            self._note(
                f"{self.path} was cut at {place}: read on in its copy {copies[0].path.name}, then "
                "from its start"
            )
            return
        self._position = self._named(START, self.path)
        self._note(
            f"{self.path} was cut or written anew when it had been read to {place}: read on from "
            "its start. Lines that were written and not read before are lost; rotate the log by "
            "renaming it, and none can be"
        )

    def _continues(self, live: GrowingReader) -> bool:
        """Return whether only a line was taken back that was not whole, and if so, go on."""
        if self._position["name"] != self.path.name or not self._position["offset"]:
            return False
        try:
            live.seek(self._position)
        except SourceError:
            return False
        return True

    def _seek_rotated(self, position: Position, error: SourceError) -> None:
        files = self._find(position)
        if not files:
            raise SourceError(
                f"{error}. No file beside it that it may have been rotated to (such as "
                f"{self.path.name}.1) begins with the lines that were read before"
            ) from error
        self._read_on(files, position)
        if self._live is not None:
            self._live.close()
            self._live = None
        names = ", then in ".join(file.name for file in [*(each.path for each in files), self.path])
        self._note(
            f"{self.path} was rotated since the snapshot: reading on after line "
            f"{int(position['line']):,} in {names}"
        )

    def _find(self, position: Position) -> list[Rotated]:
        """Return the rotated file that a position is in, and those after it."""
        files = rotated_files(self.path)
        for at, file in enumerate(files):
            try:
                reader = open_rotated(file.path, self._form)
                try:
                    reader.seek(position)
                finally:
                    reader.close()
            except SourceError:
                continue
            here = first_bytes(self.path) if self.path.exists() else b""
            return [each for each in files[at:] if not begins_alike(each.start, here)]
        return []

    def _read_on(self, files: list[Rotated], position: Position) -> None:
        self._earlier = list(files)
        self._rotated = open_rotated(find_again(files[0], self.path), self._form)
        self._rotated.seek(position)
