"""Published logs whose lines hold several clicks, translated to one click a line."""

from __future__ import annotations

import datetime
import errno
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, cast

import msgspec

from ..decoding.lines import LineCutter
from .storage.decompression import Decompressed
from .storage.log_file import Bytes, LogFile

Rows = list[tuple[Any, ...]]


class _Track(msgspec.Struct, gc=False):
    id: int | str
    type: str = "track"
    playstart: int | None = None


class _Links(msgspec.Struct):
    objects: list[_Track]


_LINKS = msgspec.json.Decoder(_Links)


def from_mind(line: bytes) -> Rows:
    r"""Return the news that were clicked of those shown: user, item, time, kind.

    Examples
    --------
    >>> from_mind(b"1\tU1\t11/11/2019 9:05:58 AM\tN9\tN1-0 N2-1")
    [('U1', 'N2', '2019-11-11T09:05:58', 'click')]

    """
    _, user, time, _, shown = line.decode().split("\t")
    moment = datetime.datetime.strptime(time, "%m/%d/%Y %I:%M:%S %p").isoformat()
    clicked = [each[:-2] for each in shown.split() if each.endswith("-1")]
    return [(user, item, moment, "click") for item in clicked]


def from_30music(line: bytes) -> Rows:
    """Return the tracks of a session: session, item, seconds, kind."""
    kind, session, time, _, links = line.decode().split("\t")
    start = int(time)
    tracks = _LINKS.decode(links).objects
    return [(session, each.id, start + (each.playstart or 0), kind) for each in tracks]


TRANSLATIONS: dict[str, Callable[[bytes], Rows]] = {
    "mind": from_mind,
    "30music": from_30music,
}
"""What makes the clicks of a line, by the name of the format."""


class Translated(LogFile):
    """A published log as delimited text: session, item, time and kind, parted by tabs.

    A line without a click becomes a row without an item, and one that is not of the published
    form goes on as it is, to be rejected: every line is accounted for.

    Parameters
    ----------
    file
        The file.
    form
        One of `TRANSLATIONS`.

    """

    def __init__(self, file: LogFile, form: str) -> None:
        super().__init__(str(file), file.name)
        self._file = file
        self._translate = TRANSLATIONS[form]
        self.is_pipe = file.is_pipe
        self.rereads_cheaply = file.rereads_cheaply

    @property
    def suffixes(self) -> list[str]:
        """Those of what it is translated to."""
        return [".tsv"]

    suffix = ".tsv"

    def open(self) -> Bytes:
        """Open it to be read from its start."""
        return cast("Bytes", io.BufferedReader(_Translation(self._file, self._translate), 1 << 20))

    def size(self) -> int | None:
        """Return None: only what it is translated from has a known size."""
        return None


class _Translation(io.RawIOBase):
    """The translated text of a file."""

    def __init__(self, file: LogFile, translate: Callable[[bytes], Rows]) -> None:
        super().__init__()
        self._bytes = Decompressed(file)
        self._translate = translate
        self._texts = self._translated()
        self._left = b""

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            text = next(self._texts, None)
            if text is None:
                if self._bytes.damage is not None:
                    raise OSError(errno.EIO, self._bytes.damage)
                return 0
            self._left = text
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._bytes.close()
        super().close()

    def _translated(self) -> Iterator[bytes]:
        cutter = LineCutter()
        for chunk in self._bytes.chunks():
            for lines in cutter.feed(chunk):
                yield b"".join(map(self._line, lines.split()))
        for lines in cutter.finish(self._bytes.damage):
            if lines.fault is None:
                yield b"".join(map(self._line, lines.split()))

    def _line(self, line: bytes) -> bytes:
        if not line.strip():
            return b"\n"
        try:
            rows = self._translate(line)
        except (ValueError, msgspec.MsgspecError, RecursionError, OverflowError):
            # One column, which is too few.
            return line.replace(b"\t", b" ").replace(b'"', b"'") + b"\n"
        texts = ["\t".join(map(_plain, row)) for row in rows] or ["-\t\t0\t"]
        return "\n".join([*texts, ""]).encode("utf-8", "replace")


def _plain(value: Any) -> str:
    """Return a value as a field that needs no quotes."""
    text = str(value)
    return text if text.isalnum() else " ".join(text.replace('"', "'").split())


def translated(file: LogFile, form: str | None) -> LogFile:
    """Return a file as it is to be read: translated where its format is one of `TRANSLATIONS`."""
    if form is None or isinstance(file, Translated):
        return file
    with closing(Decompressed(file)):
        return Translated(file, form)
