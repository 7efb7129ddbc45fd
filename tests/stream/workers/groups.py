"""Runs that several processes share, as torchrun starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

SMALL = ["--model", "hidden=8", "--model", "n_negatives=16", "--memory", "off", "--device", "cpu"]

PATIENCE = 600.0
"""Seconds that anything here may take: starting is slow on a machine that does other things."""


class Group:
    """torchrun with its workers; at the end of the context none of them is left.

    Parameters
    ----------
    size
        How many workers.
    arguments
        What follows ``nextclick``.
    restarts
        How often torchrun starts all of them again.
    launcher
        What torchrun is started with; by default for one machine.
    before
        A command that runs torchrun, such as one that enters a network of its own.
    output
        Where to write what all of them print.
    program
        What torchrun runs.
    environ
        Variables besides those of this process.

    """

    def __init__(
        self,
        size: int,
        arguments: Sequence[str | Path],
        *,
        output: Path,
        restarts: int = 0,
        launcher: Sequence[str] = ("--standalone",),
        before: Sequence[str] = (),
        program: Sequence[str] = ("-m", "nextclick"),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.output = output
        self._seen: set[int] = set()
        command = [
            *(*before, sys.executable, "-m", "torch.distributed.run", *launcher),
            *("--nproc-per-node", str(size), "--max-restarts", str(restarts)),
            *(*program, *map(str, arguments)),
        ]
        with output.open("wb") as file:
            self.agent = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1"} | dict(environ or {}),
            )

    def __enter__(self) -> Self:
        """Return this group."""
        return self

    def __exit__(self, *error: object) -> None:
        """Kill what is left."""
        self.workers()
        for process in (self.agent.pid, *self._seen):
            if alive(process):
                os.kill(process, signal.SIGCONT)
                os.kill(process, signal.SIGKILL)
        self.agent.wait()

    def workers(self) -> dict[int, int]:
        """Return the processes of the workers by rank."""
        found = {}
        for process in children(self.agent.pid):
            if (rank := rank_of(process)) is not None:
                found[rank] = process
                self._seen.add(process)
        return found

    def text(self) -> str:
        """Return what all of them have printed."""
        return self.output.read_text(errors="replace")

    def until(self, there: Callable[[], object], *, over: bool = False) -> None:
        """Wait until something is there; torchrun may not end before, unless `over`."""
        deadline = time.monotonic() + PATIENCE
        while not there():
            assert over or self.agent.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            self.workers()
            time.sleep(0.05)

    def kill(self, rank: int, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a worker, as soon as there is one of that rank; return its process."""
        self.until(lambda: rank in self.workers())
        process = self.workers()[rank]
        os.kill(process, number)
        return process

    def wait(self) -> int:
        """Wait until torchrun has ended; return its exit code."""
        self.until(lambda: self.agent.poll() is not None, over=True)
        return self.agent.wait()


def children(process: int) -> list[int]:
    """Return the processes that one has started."""
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [int(each) for each in text.split()]


def rank_of(process: int) -> int | None:
    """Return which worker a process is; None for another process."""
    try:
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((int(each[5:]) for each in variables if each.startswith(b"RANK=")), None)


def alive(process: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
