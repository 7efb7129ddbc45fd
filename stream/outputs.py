"""The files that a command leaves at its end: each is there whole, or as it was before."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from .options import ConfigError


def write_file(option: str, path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file in one step: whoever reads it finds the old content or the new, never a part.

    Parameters
    ----------
    option
        The option that names the file, for the message.
    path
        The file; its folder is made where it is missing.
    data
        What it is to hold.

    Raises
    ------
    ConfigError
        It cannot be written, as on a full disk.

    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():
            # A device or a pipe cannot be replaced.
            target.write_bytes(data)
            return
        handle, beside = tempfile.mkstemp(prefix=".nextclick-", dir=target.resolve().parent)
        try:
            with open(handle, "wb") as file:
                file.write(data)
            os.chmod(beside, target.stat().st_mode if target.exists() else 0o644)
            os.replace(beside, target.resolve())
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be written: {error.strerror}") from error


def write_all(files: Iterable[tuple[str, str | None, Callable[[], bytes]]]) -> None:
    """Write several files with `write_file`, all that can be written.

    Parameters
    ----------
    files
        For each its option, its path (None: it is not asked for) and what makes its content.

    Raises
    ------
    ConfigError
        Some cannot be written; the message names each, and the others are there.

    """
    failures = []
    for option, path, content in files:
        if path is not None:
            try:
                write_file(option, path, content())
            except ConfigError as error:
                failures.append(str(error))
    if failures:
        raise ConfigError("; ".join(failures))


def check_writable(option: str, path: str | None) -> None:
    """Make sure that a file can be written, before a long run and not after it.

    Raises
    ------
    ConfigError
        It cannot.

    """
    if path is None:
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("ab"):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be written: {error.strerror}") from error
