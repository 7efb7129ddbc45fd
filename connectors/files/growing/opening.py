"""Opening a log that is followed, and the files that it was rotated to."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from ...decoding.log_format import LogFormat
from ...source import SourceError
from ..content import BINARY, KIND_NAMES, Content, look_into
from ..storage.decompression import Decompressed
from ..storage.log_file import LocalFile
from ..text_reader import TextReader
from .growing_reader import GrowingReader


def open_growing(
    path: Path, form: LogFormat, most: Callable[[int], int | None]
) -> tuple[GrowingReader, list[str]] | None:
    """Open a log that grows.

    Parameters
    ----------
    path, form
        The log and its format.
    most
        Returns, given the file's descriptor, up to which byte it may be read; None: to its end.

    Returns
    -------
    tuple or None
        What reads it, and sentences for a person; None where it is not there, or has no whole line
        yet.

    Raises
    ------
    SourceError
        It cannot be followed; the message names the remedy.

    """
    if path.is_dir():
        raise SourceError(f"{path} is a folder: name one log file in it")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        content = _look_into(path, descriptor, form)
        if content is not None:
            reader = GrowingReader(path, descriptor, content, lambda: most(descriptor))
            return reader, content.notes
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def open_rotated(path: Path, form: LogFormat) -> TextReader:
    """Open a file that a log was rotated to, perhaps compressed.

    Raises
    ------
    SourceError
        It is no log of lines.

    """
    file = LocalFile(path)
    content = look_into(file, form)
    if content.kind in BINARY.values():
        raise SourceError(f"{path} is {KIND_NAMES[content.kind]}, and was no log that grew")
    return TextReader(file, content.form, content.delimiter if content.kind == "text" else None)


def _look_into(path: Path, descriptor: int, form: LogFormat) -> Content | None:
    """Find out how a log is read; None where it has no whole line yet."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(
            f"--follow: {path} is a pipe or a device: pipe JSON Lines into standard input "
            "instead, and name the source -"
        )
    file = LocalFile(path)
    stream = Decompressed(file)
    compression = stream.compression
    stream.close()
    if compression is not None:
        raise SourceError(
            f"--follow: {path} is compressed with {compression}: follow the plain text, or read "
            "this file without --follow"
        )
    start = os.pread(descriptor, max(map(len, BINARY)), 0)
    binary = next((kind for magic, kind in BINARY.items() if start.startswith(magic)), None)
    if binary is not None:
        raise SourceError(
            f"--follow: {path} is {KIND_NAMES[binary]}, which does not grow: follow delimited "
            "text or JSON Lines, or read it without --follow"
        )
    if not has_line(descriptor):
        return None
    if form.published is not None:
        raise SourceError(
            f"--follow: {path} is read as a published data set, which does not grow: leave out "
            "--follow, or --format"
        )
    content = look_into(file, form)
    if content.form.sort:
        raise SourceError(
            f"--follow: {path} is to be sorted by time, and a log that grows has no end: leave "
            "out --sort, or put sort = false into the configuration"
        )
    # It may have been rotated just now: then the next look finds the new one.
    return content if os.path.samestat(status, path.stat()) else None


def has_line(descriptor: int) -> bool:
    """Whether a file has a line with its line break."""
    at = 0
    while part := os.pread(descriptor, 1 << 16, at):
        if b"\n" in part:
            return True
        at += len(part)
    return False
