"""Whether the other processes still live, by a beat that each writes into the store of their life.

The exchanges of a group do not show it: on a quiet topic there are none, and one that waits does
not know for whom. So every process writes a number that rises, and looks at those of the others:
the first at all of them, the others at the first's. What has stood still for too long is lost.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from ..monitoring.phase_timer import PhaseTimer
from .place import Place, worker_name
from .stores import Store

BEAT_SECONDS = 0.25
"""Seconds between two beats."""

SILENT_SECONDS = 1.0
"""One that has not been heard for so long, when an exchange fails, is what it failed for."""

HURRY_SECONDS = 3.0
"""The limit once the agent has sent a signal: it does so where one of the processes has died."""

SHARED_PHASES = ("model", "snapshot")
"""The phases of the loop in which the others take part."""

LONGEST_PHASE, LEAST_PHASE_SECONDS = 10, 600.0
"""How many times the limit such a phase may take, and at least that many seconds: the first batch
waits for loops to be compiled."""

LOST = "lost"
"""Where the first process writes why the life has ended."""


class Liveness:
    """Writes the beat of this process, and watches those of others, while a life lasts.

    Parameters
    ----------
    place
        Which process this is.
    store
        The store of its life, over a connection that nothing else uses.
    limit
        Seconds of silence after which a process is lost.
    on_loss
        Called once, from a thread, with a sentence that says what is lost: it ends the process.
    on_orphaned
        Called once, from a thread, when the agent that started this process has died.
    is_signalled
        Whether the process has been told to end. Its main thread may be in an exchange, and so in
        no position to take a signal.

    """

    def __init__(
        self,
        place: Place,
        store: Store,
        limit: float,
        on_loss: Callable[[str], None],
        on_orphaned: Callable[[], None] = lambda: None,
        is_signalled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._place, self._store = place, store
        self._given = self._limit = limit
        self._on_loss, self._on_orphaned = on_loss, on_orphaned
        self._is_signalled = is_signalled
        self._watched = list(range(1, place.size)) if place.is_first else [0]
        self._silence = dict.fromkeys(self._watched, 0.0)
        self._last: dict[int, bytes] = {}
        self._unanswered = 0.0
        self._failed = False
        self._ended = threading.Event()
        self._parent = os.getppid()
        self._others_said = ""
        self._phases: PhaseTimer | None = None
        store.set_timeout(timedelta(seconds=max(1.0, limit)))
        store.set(_process(place.rank), f"{place.node} {os.getpid()}")
        store.set(_beat(place.rank), "0")
        self._threads = [
            threading.Thread(target=work, name=f"worker {name}", daemon=True)
            for name, work in (("beat", self._beat), ("watch", self._watch))
        ]

    def start(self) -> None:
        """Begin to write and to watch."""
        for thread in self._threads:
            thread.start()

    def watch(self, phases: PhaseTimer) -> None:
        """Watch the phases of the loop, too: a process may hang though it can write its beat."""
        self._phases = phases

    def stop(self) -> None:
        """Watch no longer: the life ends."""
        self._ended.set()

    def why(self) -> str:
        """Return what is lost, where an exchange has failed; empty where nothing seems to be.

        It takes a moment: one that has just died has just been heard.
        """
        deadline = time.monotonic() + 3 * SILENT_SECONDS
        while time.monotonic() < deadline and not self._ended.is_set():
            if self._others_said:
                return self._others_said
            if self._failed and not self._place.agent:
                # The first process keeps the store.
                return self._names([0], "has died")
            if sentence := self.silent():
                return sentence
            time.sleep(BEAT_SECONDS / 2)
        return ""

    def silent(self) -> str:
        """Return which processes have died, as far as their silence tells; empty for none."""
        silent = self._silent(SILENT_SECONDS)
        # One that has ended because another is lost has said so.
        gone = [rank for rank in silent if not self._left(rank)] or silent
        return self._names(gone, "has died") if gone else ""

    def say_lost(self, sentence: str) -> None:
        """Write why the life ends for the other processes, as far as they can still be told."""
        self._write(LOST if self._place.is_first else _left(self._place.rank), sentence)

    def _write(self, key: str, value: str) -> None:
        # In a thread: the store may be what does not answer.
        def write() -> None:
            with suppress(RuntimeError):
                self._store.set(key, value)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        thread.join(1.0)

    def _left(self, rank: int) -> bool:
        with suppress(RuntimeError):
            return bool(self._store.check([_left(rank)]))
        return False

    def _names(self, ranks: list[int], what: str) -> str:
        names = [f"{worker_name(rank, self._place.size)} (rank {rank})" for rank in ranks]
        return f"{', '.join(names)} {what if len(names) == 1 else what.replace('has', 'have', 1)}"

    def _beat(self) -> None:
        """Write beats and read those of others, as fast as the store answers."""
        count = 0
        while not self._ended.wait(BEAT_SECONDS):
            count += 1
            try:
                self._store.set(_beat(self._place.rank), str(count))
                begun = [rank for rank in self._watched if self._has_begun(rank)]
                beats = self._store.multi_get([_beat(rank) for rank in begun])
                for rank, beat in zip(begun, beats, strict=True):
                    if self._last.get(rank) != beat:
                        self._last[rank], self._silence[rank] = beat, 0.0
                if not self._place.is_first and self._store.check([LOST]):
                    self._others_said = self._store.get(LOST).decode()
                self._unanswered, self._failed = 0.0, False
            except RuntimeError:
                self._failed = True

    def _has_begun(self, rank: int) -> bool:
        # To ask for a beat that is not there yet would be to wait for it.
        return rank in self._last or self._store.check([_beat(rank)])

    def _watch(self) -> None:
        """Count the seconds of silence; those in which this process was stopped do not count."""
        most, before = max(1.0, self._limit / 10), time.monotonic()
        orphaned = False
        while not self._ended.wait(BEAT_SECONDS):
            now = time.monotonic()
            passed, before = min(now - before, most), now
            if self._place.agent and not orphaned and os.getppid() != self._parent:
                orphaned = True
                self._on_orphaned()
            if orphaned:
                # The store may have gone with the agent; the first process ends in good order.
                continue
            if self._is_signalled():
                self._limit = min(self._limit, HURRY_SECONDS)
            self._unanswered += passed
            for rank in self._watched:
                self._silence[rank] += passed
            if sentence := self._loss():
                self._ended.set()
                self._on_loss(sentence)

    def _loss(self) -> str:
        """Return what is lost; empty where nothing is."""
        if self._others_said:
            return self._others_said
        hurried = self._limit < self._given
        limit = f"for {self._limit:,.3g} s{'' if hurried else ' (--worker-timeout)'}"
        if self._unanswered >= self._limit:
            what = "is gone" if self._failed else f"has not answered {limit}"
            return f"the store at {self._place.address}:{self._place.port} {what}"
        silent = self._silent(self._limit)
        for rank in silent:
            self._kill(rank)
        if silent:
            return self._names(silent, f"has not answered {limit}")
        return self._endless()

    def _endless(self) -> str:
        """Return which phase of the loop has no end; empty where each has."""
        phases, most = self._phases, max(LEAST_PHASE_SECONDS, LONGEST_PHASE * self._given)
        if phases is None or phases.phase not in SHARED_PHASES:
            return ""
        if time.monotonic() - phases.since < most:
            return ""
        return f"a worker hangs: the phase {phases.phase} has taken more than {most:,.0f} s"

    def _kill(self, rank: int) -> None:
        """Kill a process that is silent, if it is one of this machine: torchrun waits for it."""
        with suppress(RuntimeError, OSError, ValueError):
            node, process = map(int, self._store.get(_process(rank)).split())
            here = self._place.agent and node == self._place.node and process != os.getpid()
            if here and parent_of(process) == self._parent:
                os.kill(process, signal.SIGKILL)

    def _silent(self, seconds: float) -> list[int]:
        """Return the processes that are silent while the store answers."""
        if self._unanswered >= SILENT_SECONDS:
            return []
        return [rank for rank in self._watched if self._silence[rank] >= seconds]


def parent_of(process: int) -> int:
    """Return the process that has started another.

    Raises
    ------
    OSError
        There is no such process.

    """
    stat = Path(f"/proc/{process}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def _process(rank: int) -> str:
    return f"process/{rank}"


def _beat(rank: int) -> str:
    return f"beat/{rank}"


def _left(rank: int) -> str:
    return f"left/{rank}"
