"""Which files a source of logs consists of: files, folders, patterns, archives, addresses."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ..source import SourceError
from .content import KINDS, name_ending
from .storage.log_file import LocalFile, LogFile
from .storage.remote import is_remote, remote_files
from .storage.zip_archive import zip_members

Spec = str | os.PathLike[str]

PATTERN = re.compile(r"[*?]|\[[^\]]+\]")
"""What makes a path a pattern."""

SHOWN = 5
"""Names that a message lists at most."""


def list_files(specs: Sequence[Spec], wanted: Sequence[str] = ()) -> tuple[list[LogFile], bool]:
    """Return the files that a source consists of, each once, and whether it may have several.

    Parameters
    ----------
    specs
        Paths of files and folders, patterns such as ``logs/*.csv.gz``, and addresses such as
        ``s3://bucket/logs/``.
    wanted
        Patterns of the names that are read of a folder or an archive, if it has such files.

    Raises
    ------
    SourceError
        One names nothing.

    """
    found: list[LogFile] = []
    several = len(specs) > 1
    for spec in [os.fspath(each) for each in specs]:
        if is_remote(spec):
            files, many = remote_files(spec)
            files = choose(files, spec, wanted) if many else files
        elif Path(spec).is_dir():
            below = [path for path in Path(spec).rglob("*") if path.is_file()]
            files = choose(map(LocalFile, _visible(below, Path(spec))), spec, wanted)
            many = True
        elif is_pattern(spec):
            paths = glob.glob(spec, recursive=True)
            files, many = [LocalFile(path) for path in paths if Path(path).is_file()], True
            if not files:
                raise SourceError(f"no file matches {spec}")
        else:
            files, many = [LocalFile(spec)], False
        found += _by_name(files) if many else files
        several = several or many
    once = list({_place(file): file for file in found}.values())
    archives = [(file, zip_members(file)) for file in once]
    unpacked = [choose(held, str(file), wanted) if held else [file] for file, held in archives]
    several = several or any(len(files) > 1 for files in unpacked)
    listed = [file for files in unpacked for file in files]
    # Programs that write in parts leave empty ones.
    filled = [file for file in listed if not (isinstance(file, LocalFile) and file.size() == 0)]
    return filled or listed, several


def is_pattern(spec: str) -> bool:
    """Whether a path is a pattern, and no file of such a name is there."""
    return PATTERN.search(spec) is not None and not Path(spec).exists()


def would_read(spec: Spec, path: Path) -> bool:
    """Whether a source would read a file at a path, were it there.

    Examples
    --------
    >>> would_read("logs/*.jsonl", Path("logs/dead.jsonl")), would_read("a.csv", Path("b.csv"))
    (True, False)

    """
    spec = os.fspath(spec)
    if is_remote(spec):
        return False
    if Path(spec).is_dir():
        inside = path.resolve().is_relative_to(Path(spec).resolve())
        return inside and name_ending(LocalFile(path)) in KINDS
    place = Path(spec).resolve()
    if PATTERN.search(spec) and not place.exists():
        return fnmatch.fnmatchcase(str(path.resolve()), str(place).replace("**/", "*"))
    return place == path.resolve()


def choose(files: Iterable[LogFile], where: str, wanted: Sequence[str] = ()) -> list[LogFile]:
    """Return the logs among the files of a folder or archive.

    They are those with a wanted name, if there are any, else those with a log's ending, else all.

    Raises
    ------
    SourceError
        There are no files.

    """
    listed = list(files)
    known = [file for file in listed if name_ending(file) in KINDS or file.suffix == ".zip"]
    if not listed:
        raise SourceError(f"{where} is a folder without files: name a log, or a folder with logs")
    named = [file for file in listed if any(fnmatch.fnmatch(file.name, one) for one in wanted)]
    return named or known or listed


def _visible(paths: list[Path], folder: Path) -> list[Path]:
    """Leave out what tools keep beside the data, such as ``_SUCCESS``."""
    return [
        path
        for path in paths
        if not any(part[0] in "._" for part in path.relative_to(folder).parts)
    ]


def _by_name(files: list[LogFile]) -> list[LogFile]:
    """Sort files by name, numbers in it by their size."""
    return sorted(files, key=lambda file: natural(str(file)))


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers in names by their size.

    Examples
    --------
    >>> sorted(["day10.csv", "day9.csv"], key=natural)
    ['day9.csv', 'day10.csv']

    """
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _place(file: LogFile) -> str:
    return str(file.path.resolve()) if isinstance(file, LocalFile) else str(file)


def base_name(shown: str) -> str:
    """Return the last part of a file's path or address."""
    return PurePosixPath(shown).name
