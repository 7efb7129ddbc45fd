"""A log that a process both appends submitted clicks to, durably, and reads."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import msgspec

from ...decoding.log_format import LogFormat
from ...recorder import Recorded
from ...source import SourceError
from ...submitted_clicks import ClickForm, SubmittedClick
from ..content import KINDS, name_ending
from ..storage.decompression import COMPRESSIONS
from ..storage.log_file import LocalFile
from .durable_log import DurableLog
from .followed_log import FollowedLog

CLOSED_SECONDS = 0.1
"""How long a wait for clicks takes at most."""


class RecordedLog(FollowedLog):
    """JSON Lines that clicks are appended to with `record`, and that are read as they grow.

    A click is read once it is on the disk. See `DurableLog` for what holds when a process is
    killed or a disk is full.

    Parameters
    ----------
    path
        The log; created where it is not there.
    form
        The fields' names.

    Attributes
    ----------
    form
        The form of a submitted click.
    place
        The log, for a person.

    Raises
    ------
    SourceError
        It cannot be written, holds something else, or another process appends to it.

    Examples
    --------
    >>> import tempfile
    >>> log = RecordedLog(Path(tempfile.mkdtemp()) / "clicks.jsonl")
    >>> log.record(log.form.read(b'{"session_id": "anna", "item_id": "hat"}', now=1.5)).result()
    Recorded(written=1, known=0)
    >>> log.poll(64).items
    ['hat']
    >>> log.close()

    """

    def __init__(self, path: str | os.PathLike[str], form: LogFormat | None = None) -> None:
        path = Path(path)
        form = form if form is not None else LogFormat()
        # Fixed: no submitted click decides the unit of the others.
        form = msgspec.structs.replace(form, unit=form.unit or "s")
        _check_name(path)
        if form.sort:
            raise SourceError(f"http:{path}: --sort is for a log that has an end: leave it out")
        self.form = ClickForm(form)
        self.place = str(path)
        _check_content(path)
        self._more = threading.Event()
        self._log = DurableLog(path, self._more.set)
        try:
            super().__init__(path, form)
        except BaseException:
            self._log.close()
            raise

    @property
    def warnings(self) -> list[str]:
        """What a person should know, such as that a crash had left half a line."""
        return [*self._log.notes, *super().warnings]

    def record(self, clicks: Sequence[SubmittedClick]) -> Future[Recorded]:
        """Append clicks; see `Recorder.record`."""
        return self._log.append([click.line for click in clicks], [click.event for click in clicks])

    def wait_for_more(self, seconds: float) -> None:
        """Wait until more is on the disk, at most this long."""
        self._more.wait(min(seconds, CLOSED_SECONDS))
        self._more.clear()

    def most(self, descriptor: int) -> int | None:
        """Return how many bytes of the log are on the disk."""
        return self._log.durable(descriptor)

    def close(self) -> None:
        """Write what waits, and close the log."""
        self._log.close()
        super().close()


def _check_name(path: Path) -> None:
    named = str(path)
    if not named.strip() or named == ".":
        raise SourceError("http: names no log: write http:clicks.jsonl")
    if path.is_dir():
        inside = path / "clicks.jsonl"
        raise SourceError(f"http:{path} is a folder: name a log in it, http:{inside}")
    packed = path.suffix.lower() in COMPRESSIONS
    if packed or KINDS.get(name_ending(LocalFile(path)), "json") != "json":
        raise SourceError(f"http:{path}: the log holds plain JSON Lines: name it {path.stem}.jsonl")


def _check_content(path: Path) -> None:
    """Refuse a file that holds something else, before anything in it is changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    try:
        start = os.pread(descriptor, 1 << 16, 0).removeprefix(b"\xef\xbb\xbf").lstrip()
        if start and not start.startswith(b"{"):
            raise SourceError(
                f"http:{path}: the file holds something else than JSON Lines, one object a line: "
                "name another log"
            )
    except OSError as error:
        raise SourceError(f"{path} is no file that can be appended to") from error
    finally:
        os.close(descriptor)
