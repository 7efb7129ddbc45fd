"""The files that a command leaves at its end: each is complete, or as it was before."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from .config.options import ConfigError


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file in one step: whoever reads it finds the old content or the new, never a part.

    The data go into a file beside it, which then takes its name. What cannot be replaced in this
    way, such as a device, a pipe or a file in a folder that takes no new ones, is written directly.

    Parameters
    ----------
    path
        The file; its folder is made where it is missing. A link is followed.
    data
        What it is to hold.

    Raises
    ------
    OSError
        It cannot be written, as on a full disk; a file that was there before is untouched.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/figures/run.json", b"{}")
    ...     Path(folder, "figures", "run.json").read_bytes()
    b'{}'

    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that takes its name when the context ends well; see `write_whole`.

    Raises
    ------
    OSError
        It cannot be written; a file that was there before is untouched.

    """
    path = Path(path)
    opened = _beside(Path(os.path.realpath(path))) if _replaceable(path) else path.open("wb")
    with opened as file:
        yield file


def write_file(option: str, path: str | os.PathLike[str], data: bytes) -> None:
    """Write the file that an option names with `write_whole`.

    Raises
    ------
    ConfigError
        It cannot be written; the message names the option.

    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise cannot_write(option, path, error) from error


def write_all(files: Iterable[tuple[str, str | None, Callable[[], bytes]]]) -> None:
    """Write several files with `write_file`, all that can be written.

    Parameters
    ----------
    files
        For each its option, its path (None: it is not asked for) and what makes its content.

    Raises
    ------
    ConfigError
        Some cannot be written; the message names each, and the others are written.

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


def figures_json(result: Mapping[str, Any]) -> bytes:
    """Return the figures of a run or a comparison as ``--json`` writes them."""
    return msgspec.json.format(msgspec.json.encode(result)) + b"\n"


def check_writable(option: str, path: str | os.PathLike[str] | None) -> None:
    """Make sure that a file can be written, before a long run and not after it.

    Raises
    ------
    ConfigError
        It cannot.

    """
    if path is None:
        return
    try:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not (target.is_file() or target.is_dir()):
            # A pipe or a device: to open it could wait for its reader, or end it.
            if not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        there = target.exists()
        with target.open("ab"):
            pass
        if not there:
            # An empty file would look like a result.
            os.unlink(os.path.realpath(target))
    except OSError as error:
        raise cannot_write(option, path, error) from error


def cannot_write(option: str, path: str | os.PathLike[str], error: OSError) -> ConfigError:
    """Return the error for an option's file that cannot be written, with the reason."""
    return ConfigError(f"{option} {os.fspath(path)} cannot be written: {error.strerror or error}")


def _replaceable(path: Path) -> bool:
    """Whether a file can be replaced by another: it is a plain one, or is not there yet."""
    if str(path).startswith(("/dev/", "/proc/")):
        return False
    if not path.exists():
        return True
    folder = os.path.dirname(os.path.realpath(path))
    return path.is_file() and os.access(path, os.W_OK) and os.access(folder, os.W_OK)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    """Write beside the file, then rename: a rename within a folder happens in one step."""
    handle, beside = tempfile.mkstemp(prefix=".nextclick-", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            # A full disk may show only here.
            os.fsync(file.fileno())
        os.chmod(beside, _mode(path))
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _mode(path: Path) -> int:
    """Return the permissions of an existing file, else those that a new file gets."""
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
