"""A process as a member of a group: it joins, knows its task, notices losses, and leaves."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from .. import signals
from ..monitoring.phase_timer import PhaseTimer
from . import meeting
from .liveness import LOST, Liveness
from .meeting import Life
from .place import Place
from .saying import complain
from .stores import part_of, tcp_store

GROUP_TIME = timedelta(days=20)
"""How long an exchange may wait: a topic may be quiet for long, and `Liveness` finds losses."""

LEAVING_SECONDS = 10.0
"""How long the others wait for the first to say how it has ended."""

LOST_CODE = 1
"""The exit code of a process whose group is lost: torchrun starts all of them again."""

ENDED = "ended"
"""Where the first process writes whether it has failed, at the end."""

DONE = "done"
"""Where each of the others writes that it has done its part."""


HAS_JOINED = False
"""Whether this process has met others: it tells them then itself how it ends."""


class Member:
    """A process that has joined the others.

    Parameters
    ----------
    place
        Its place among them.
    life
        What they have in common.

    Attributes
    ----------
    place
        As given.
    task
        What the first process has told the others to do.
    backends
        What the exchanges go through, for people.
    failed
        Whether the work has failed: set by the first process before it leaves.

    """

    def __init__(self, place: Place, life: Life) -> None:
        global HAS_JOINED
        HAS_JOINED = True
        self.place, self.task = place, life.task
        self.backends = "gloo"
        self.failed = False
        self._life = life
        self._own_group = False
        self._group: dist.ProcessGroup | None = None
        self._host_group: dist.ProcessGroup | None = None
        self._signals, self._wakes = socket.socketpair()
        self._signalled = False
        self._before: int | None = None
        self._liveness = Liveness(
            place,
            life.store.clone(),
            float(life.task.get("timeout", meeting.MEETING_SECONDS)),
            self._lose,
            self._outlive,
            self._is_signalled,
        )

    @property
    def group(self) -> dist.ProcessGroup:
        """What the exchanges of a model go through."""
        assert self._group is not None
        return self._group

    @property
    def host_group(self) -> dist.ProcessGroup:
        """What other messages go through, which never lie on a GPU."""
        assert self._host_group is not None
        return self._host_group

    def connect(self) -> None:
        """Watch the others, and connect to them."""
        self._listen()
        self._liveness.start()
        if not dist.is_initialized():
            store: Any = part_of("group", self._life.store)
            dist.init_process_group(
                "gloo",
                store=store,
                rank=self.place.rank,
                world_size=self.place.size,
                timeout=GROUP_TIME,
            )
            self._own_group = True
            self._host_group = dist.group.WORLD
        else:
            self._host_group = dist.new_group(backend="gloo", timeout=GROUP_TIME)
        self._group = self._host_group
        if self.task.get("gpu"):
            torch.cuda.set_device(self.place.local_rank)
            self._group = dist.new_group(backend="nccl", timeout=GROUP_TIME)
            self.backends = "nccl"

    def watch(self, phases: PhaseTimer) -> None:
        """End where a phase of the loop that needs the others does not."""
        self._liveness.watch(phases)

    def lost(self, error: BaseException) -> str:
        """Return what is lost, after an exchange has failed."""
        return self._liveness.why() or f"an exchange with the others failed: {first_line(error)}"

    def lose(self, error: BaseException) -> None:
        """End this process: an exchange has failed."""
        # torchrun ends all processes where one has died; this one ends by itself, and says why.
        signals.pass_over()
        sentence = self.lost(error)
        self._liveness.stop()
        self._lose(sentence)

    def leave(self) -> None:
        """End the life in good order; the first process says whether its work has failed."""
        if self.place.is_first:
            with suppress(RuntimeError):
                self._life.store.set(ENDED, str(int(self.failed)))
        self._liveness.stop()
        if self._own_group:
            with suppress(RuntimeError):
                dist.destroy_process_group()
        if self._before is not None:
            signal.set_wakeup_fd(self._before)

    def part(self) -> None:
        """Wait until all have done their part; the others have been told that there is no more."""
        if not self.place.is_first:
            with suppress(RuntimeError):
                self._life.store.set(f"{DONE}/{self.place.rank}", "")
            return
        keys = [f"{DONE}/{rank}" for rank in range(1, self.place.size)]
        with suppress(RuntimeError):
            for _ in meeting.until(float(self.task["timeout"])):
                if self._life.store.check(keys):
                    return
                if sentence := self._liveness.silent():
                    self._liveness.stop()
                    self._lose(sentence)

    def first_failed(self) -> bool:
        """Wait until the first process has ended; whether its work has failed."""
        with suppress(RuntimeError):
            for _ in meeting.until(LEAVING_SECONDS):
                if self._life.store.check([ENDED]):
                    return bool(self._life.store.get(ENDED) == b"1")
                if self._life.store.check([LOST]):
                    return True
        return False

    def _lose(self, sentence: str) -> None:
        """Print that another is lost, and end: nothing can be done with the group any more."""
        self._liveness.say_lost(sentence)
        complain(f"{self.place.name}: {sentence}{self.task.get('remedy', '')}")
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")  # A live line hides the cursor.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(LOST_CODE)

    def _outlive(self) -> None:
        """End in good order: the agent has died, and nobody else would end this process."""
        if self.place.is_first:
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.place.node:
            self._lose("torchrun has died on this machine")

    def _listen(self) -> None:
        """Learn of signals though the main thread waits in an exchange."""
        self._signals.setblocking(False)
        self._wakes.setblocking(False)
        with suppress(ValueError):  # Not in the main thread: nobody sends signals there.
            self._before = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)

    def _is_signalled(self) -> bool:
        with suppress(OSError):
            self._signalled |= bool(set(self._signals.recv(64)) & {signal.SIGTERM, signal.SIGINT})
        return self._signalled


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def join_as_first(place: Place, task: dict[str, Any]) -> Member:
    """Begin a life as its first process.

    Raises
    ------
    MeetingError
        The others do not come, or the store does not answer.

    """
    try:
        store = meeting.connect(place)
        return Member(place, meeting.call_together(place, store, task))
    except RuntimeError as error:
        raise meeting.MeetingError(first_line(error)) from error


def join_as_other(place: Place) -> Member:
    """Join the life that the first process begins."""
    return Member(place, meeting.answer(place))


def take_group(task: dict[str, Any] | None) -> Member:
    """Become a member of the group that this process has joined already.

    Parameters
    ----------
    task
        What the others are to know, at the first process.

    """
    rank, size = dist.get_rank(), dist.get_world_size()
    host = os.environ.get("MASTER_ADDR") or socket.gethostname()
    numbers = dist.new_group(backend="gloo")
    where = torch.zeros(512, dtype=torch.uint8)
    if rank == 0:
        server = tcp_store(host, 0, keep=True)
        text = f"{host} {server.port}".encode()
        where[: len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    dist.broadcast(where, 0, group=numbers)
    address, port = bytes(where.tolist()).rstrip(b"\0").decode().split()
    place = Place(rank, size, int(os.environ.get("LOCAL_RANK", "0")), 1, address, int(port))
    if rank == 0:
        assert task is not None
        life = meeting.call_together(place, server, task)
    else:
        life = meeting.answer(place)
    return Member(place, life)
