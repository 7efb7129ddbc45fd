"""Snapshots: a folder of the latest states of a run, each whole or named as damaged."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from nextclick.models.argument_checks import at_least
from nextclick.models.recommender import State

from .files import problems, read_files, sync, write_files

_NUMBERED = re.compile(r"clicks-\d{12,}-(\d+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ASIDE = ".tmp-"


class SnapshotError(Exception):
    """A snapshot cannot be written or read; the message names the place and the remedy."""


def check_one_model(about: dict[str, Any], folder: str | os.PathLike[str]) -> None:
    """Check that a snapshot is of a run, and so has one model.

    Raises
    ------
    SnapshotError
        It is of a comparison.

    """
    if "models" in about["config"]:
        raise SnapshotError(
            f"the snapshots in {folder} are of nextclick compare: give those of a nextclick run"
        )


class Snapshots:
    """The snapshots of one run, in one folder.

    A snapshot is written under another name, made durable, and then renamed, so that its own name
    never stands for half of one. The name contains the clicks it holds and its number in the order
    of writing: ``clicks-000000012345-0007``. The newest is the one written last, which after a run
    that starts from nothing in an old folder need not be the one with most clicks.

    Snapshots saved under a name, as ``named-NAME``, are bookmarks: never pruned, never picked by
    `load_newest`, read with `load`.

    Only one process at a time writes into a folder: the first save takes a lock, which the
    operating system releases when the process ends, however it ends. Reading needs no lock.

    Parameters
    ----------
    folder
        Where the snapshots are; made with the lock where it is missing.
    keep
        After each save, this many of the newest whole snapshots stay, at least 1.

    Attributes
    ----------
    durable : dict or None
        The facts given with the last snapshot of this process that is safely on the disk.
    seconds : float or None
        How long it took to write.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> snapshots = Snapshots(Path(tempfile.mkdtemp()))
    >>> state = State({"weights": np.zeros(3)}, {"seen": 7})
    >>> snapshots.save({"model": state}, {"clicks": 7}).name
    'clicks-000000000007-0001'
    >>> parts, about, skipped = snapshots.load_newest()
    >>> parts["model"].values, about["clicks"], skipped
    ({'seen': 7}, 7, [])
    >>> snapshots.close()

    """

    def __init__(self, folder: str | os.PathLike[str], keep: int = 3) -> None:
        self.folder = Path(folder)
        self.keep = at_least(keep, "keep", 1)
        self.durable: dict[str, Any] | None = None
        self.seconds: float | None = None
        self._lock: int | None = None
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._known_whole: set[str] = set()

    def lock(self) -> None:
        """Make this process the only one that writes here, until `close`.

        Raises
        ------
        SnapshotError
            Another process writes here, or the folder cannot be written to.

        """
        if self._lock is not None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._cannot_write(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.write(lock, b"%d\n" % os.getpid())
        except OSError as error:
            holder = os.read(lock, 32).decode(errors="replace").strip()
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise self._cannot_write(error) from error
            raise SnapshotError(
                f"process {holder or 'unknown'} already writes snapshots into {self.folder}: "
                "stop it first, or give this run another folder with --snapshots"
            ) from None
        self._lock = lock

    def save(self, parts: dict[str, State], about: dict[str, Any], name: str | None = None) -> Path:
        """Write a snapshot, and return when it is durable.

        Parameters
        ----------
        parts
            States by the name of the part, which holds no slash.
        about
            Facts about the snapshot, in JSON's types; ``clicks`` is needed. The time of writing
            and the versions of the libraries are added.
        name
            Letters, digits, ``.``, ``_`` and ``-``: keep this one for good, under this name.

        Raises
        ------
        SnapshotError
            It cannot be written, or an earlier one could not be; what was there is untouched.

        """
        self.wait()
        return self._write(parts, about, name)

    def save_soon(self, parts: dict[str, State], about: dict[str, Any]) -> None:
        """Write a snapshot on a thread of its own.

        The states must be copies that nobody changes any more. Where the snapshot before is still
        being written, this waits for it: ask `busy` first.

        Raises
        ------
        SnapshotError
            The snapshot before could not be written. This one is not begun.

        """
        self.wait()
        facts = json.loads(json.dumps(about))  # A copy; what is no JSON shows here.

        def write() -> None:
            try:
                self._write(parts, facts, None)
            except Exception as error:
                self._failure = error

        # Not a daemon: a process that ends in good order finishes its last snapshot.
        self._thread = threading.Thread(target=write, name="snapshot")
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a snapshot is being written."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> dict[str, Any] | None:
        """Wait for the snapshot that is being written, if any.

        Returns
        -------
        dict or None
            `durable`: the facts of the last snapshot that is safely on the disk.

        Raises
        ------
        SnapshotError
            It could not be written.

        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return self.durable

    def close(self) -> None:
        """Wait for the snapshot that is being written, and release the lock."""
        try:
            self.wait()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def paths(self) -> list[Path]:
        """Return the numbered snapshots, newest first, then the named ones by name."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SnapshotError(
                f"cannot read snapshots in {self.folder}: {error.strerror}"
            ) from error
        numbered = sorted((name for name in names if _NUMBERED.fullmatch(name)), key=_number)
        named = sorted(name for name in names if name.startswith("named-"))
        return [self.folder / name for name in (*reversed(numbered), *named)]

    def verify(self, path: str | os.PathLike[str]) -> list[str]:
        """Return what is wrong with a snapshot, a line for each file; empty where it is whole."""
        return problems(Path(path))

    def load(self, path: str | os.PathLike[str]) -> tuple[dict[str, State], dict[str, Any]]:
        """Read one snapshot.

        Raises
        ------
        SnapshotError
            It is not whole; the message says what is wrong.

        """
        path = Path(path)
        wrong = problems(path)
        if wrong:
            raise SnapshotError(f"the snapshot {path} is damaged: {'; '.join(wrong)}")
        return read_files(path)

    def newest(
        self, notify: Callable[[str], None]
    ) -> tuple[dict[str, State], dict[str, Any]] | None:
        """Read the newest whole snapshot, as `load_newest`; tell of those that cannot be read."""
        found = self.load_newest()
        if found is None:
            return None
        parts, about, skipped = found
        for damage in skipped:
            notify(f"skipped a snapshot that cannot be read, {damage}")
        return parts, about

    def load_newest(self) -> tuple[dict[str, State], dict[str, Any], list[str]] | None:
        """Read the newest whole snapshot.

        Returns
        -------
        tuple or None
            The parts, the facts, and a line for each newer snapshot that is damaged, with what
            is wrong; None where there is no snapshot at all.

        Raises
        ------
        SnapshotError
            There are snapshots, and none of them is whole.

        """
        while True:
            skipped: list[str] = []
            vanished = False
            for path in self.numbered():
                wrong = problems(path)
                if not wrong:
                    try:
                        return *read_files(path), skipped
                    except FileNotFoundError:
                        vanished = True
                elif path.exists():
                    skipped.append(f"{path.name}: {'; '.join(wrong)}")
                else:
                    vanished = True
            if not vanished:
                break  # Else a running engine pruned it while it was being read: look again.
        if not skipped:
            return None
        listing = "\n  ".join(skipped)
        raise SnapshotError(
            f"none of the {len(skipped)} snapshots in {self.folder} can be read:\n  "
            f"{listing}\nrestore a copy of one, or start over with --fresh"
        )

    def _write(self, parts: dict[str, State], about: dict[str, Any], name: str | None) -> Path:
        began = time.monotonic()
        self.lock()
        about = {**json.loads(json.dumps(about)), "saved": time.time(), "versions": _versions()}
        if name is None:
            number = max((_number(path.name) for path in self.numbered()), default=0) + 1
            path = self.folder / f"clicks-{about['clicks']:012d}-{number:04d}"
        else:
            if not _NAME.fullmatch(name):
                raise SnapshotError(
                    f"{name!r} cannot name a snapshot: use letters, digits, '.', '_' and '-'"
                )
            path = self.folder / f"named-{name}"
            if path.exists():
                raise SnapshotError(f"{path} exists already: choose another name, or remove it")
        aside = self.folder / f"{_ASIDE}{path.name}"
        try:
            self._remove_leftovers()
            aside.mkdir()
            write_files(aside, parts, about)
            aside.rename(path)
            sync(self.folder)
            self._known_whole.add(path.name)
            self.seconds = time.monotonic() - began
            self.durable = about
            self._prune()
        except (OSError, SafetensorError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise self._cannot_write(error) from error
        return path

    def _prune(self) -> None:
        """Remove what is older than the newest `keep` whole ones, damaged ones among it."""
        whole = 0
        for path in self.numbered():
            if whole < self.keep:
                if path.name in self._known_whole or not problems(path):
                    self._known_whole.add(path.name)
                    whole += 1
                continue
            # Renamed first: a removal that is killed halfway must not look like damage.
            path.rename(self.folder / f"{_ASIDE}{path.name}")
            self._known_whole.discard(path.name)
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        for path in self.folder.glob(f"{_ASIDE}*"):
            shutil.rmtree(path)

    def numbered(self) -> list[Path]:
        """Return the numbered snapshots, newest first."""
        return [path for path in self.paths() if _NUMBERED.fullmatch(path.name)]

    def _cannot_write(self, error: Exception) -> SnapshotError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return SnapshotError(
            f"cannot write snapshots into {self.folder}: {reason}; free some space or fix the "
            "cause, or give another folder with --snapshots"
        )


def _number(name: str) -> int:
    """Return a numbered snapshot's place in the order of writing."""
    return int(name.rpartition("-")[2])


def _versions() -> dict[str, str]:
    """Return the versions of the libraries that a state depends on."""
    versions = {}
    for library in ("nextclick", "numpy", "river", "safetensors", "torch"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    return versions
