"""Where the time of a running engine goes, by wrapping the functions that do the work.

The functions are named below. One that is renamed or gone is missed by name, never counted as no
time; `tests/benchmarks/speed/test_stopwatch.py` fails then, so that the list follows the code.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

PLACES: dict[str, tuple[str, ...]] = {
    "read": (
        "nextclick.connectors.files.storage.decompression:Decompressed.chunks",
        "nextclick.connectors.decoding.lines:LineCutter.feed",
        "nextclick.connectors.kafka.topic_reader:TopicReader._read",
    ),
    "decode": (
        "nextclick.connectors.decoding.delimited:DelimitedDecoder.decode",
        "nextclick.connectors.kafka.record_decoder:RecordDecoder.decode",
    ),
    "poll": (
        "nextclick.connectors:LogSource.poll",
        "nextclick.connectors:KafkaSource.poll",
    ),
    "sessions": ("nextclick.stream:Sessionizer.assign",),
    "forward": (
        "nextclick.models:OnlineGRU4Rec._move_starts",
        "nextclick.models:OnlineGRU4Rec._forward",
    ),
    "rank": (
        "nextclick.models.ranking:CatalogueRanker.rank",
        "nextclick.models.gru4rec.online:mix",
    ),
    "recall": ("nextclick.models.memory.memory:Memory.lookup",),
    "loss": ("nextclick.models.gru4rec.trainer:Trainer.gradients",),
    "backward": ("torch.autograd:grad",),
    "update": ("nextclick.models.gru4rec.trainer:Trainer.update",),
    "model, rest": (
        "nextclick.models:OnlineGRU4Rec.test_then_learn",
        "nextclick.models:OnlineGRU4Rec.forget",
    ),
    "metrics": ("nextclick.stream:Prequential.update",),
    "snapshot": (
        "nextclick.stream:Engine.state",
        "nextclick.stream:Snapshots.save_soon",
    ),
}
"""The phases, and the functions that make up each: ``module:name`` or ``module:class.name``.

What a function spends in another one of the list counts there only: ``loss`` is `gradients` without
the backward pass that it calls.
"""


class Stopwatch:
    """Measures the phases while it is entered.

    Parameters
    ----------
    places
        The phases and their functions.
    clock
        By default the thread's time on a processor, so that neither waiting nor other programs
        count; not for functions that torch spreads over threads of its own, or over a GPU.

    Attributes
    ----------
    seconds
        The time of each phase, in whatever thread.
    aside
        The part of it that passed in other threads than the one that entered.
    missing
        The places that are not there, by phase.

    Examples
    --------
    >>> with Stopwatch({"wait": ("time:sleep",), "gone": ("time:rest",)}, time.monotonic) as watch:
    ...     time.sleep(0.01)
    >>> watch.seconds["wait"] > 0.005, watch.told("gone"), watch.missing
    (True, None, {'gone': ['time:rest']})

    """

    def __init__(
        self,
        places: Mapping[str, Sequence[str]] = PLACES,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._places = places
        self._clock = clock
        self._local = threading.local()
        self._undo: list[Callable[[], None]] = []
        self._thread = 0
        self.seconds: dict[str, float] = {}
        self.aside: dict[str, float] = {}
        self.missing = missing(places)
        self.reset()

    def reset(self) -> None:
        """Begin at zero."""
        self.seconds = dict.fromkeys(self._places, 0.0)
        self.aside = dict.fromkeys(self._places, 0.0)

    def told(self, phase: str) -> float | None:
        """Return a phase's seconds; None where some of its functions are missing."""
        return None if phase in self.missing else self.seconds[phase]

    def __enter__(self) -> Stopwatch:
        """Wrap the functions."""
        self._thread = threading.get_ident()
        for phase, places in self._places.items():
            for place in places:
                if place not in self.missing.get(phase, []):
                    self._wrap(phase, place)
        return self

    def __exit__(self, *error: object) -> None:
        """Put them back."""
        while self._undo:
            self._undo.pop()()

    def _wrap(self, phase: str, place: str) -> None:
        owner, name = find(place)
        plain = getattr(owner, name)
        before = vars(owner).get(name)

        if isgeneratorfunction(plain):

            @wraps(plain)
            def timed(*arguments: Any, **named: Any) -> Any:
                return self._timed_steps(phase, plain(*arguments, **named))

        else:

            @wraps(plain)
            def timed(*arguments: Any, **named: Any) -> Any:
                self._enter()
                try:
                    return plain(*arguments, **named)
                finally:
                    self._leave(phase)

        setattr(owner, name, timed)
        restore = (lambda: delattr(owner, name)) if before is None else None
        self._undo.append(restore or (lambda: setattr(owner, name, before)))

    def _timed_steps(self, phase: str, steps: Iterator[Any]) -> Iterator[Any]:
        while True:
            self._enter()
            try:
                step = next(steps, None)
            finally:
                self._leave(phase)
            if step is None:
                return
            yield step

    def _enter(self) -> None:
        stack = self._local.__dict__.setdefault("stack", [])
        # When it began, and how much of it other phases took.
        stack.append([self._clock(), 0.0])

    def _leave(self, phase: str) -> None:
        stack = self._local.stack
        began, others = stack.pop()
        took = self._clock() - began
        self.seconds[phase] += took - others
        if threading.get_ident() != self._thread:
            self.aside[phase] += took - others
        if stack:
            stack[-1][1] += took


def find(place: str) -> tuple[Any, str]:
    """Return what holds a function, and its name there.

    Raises
    ------
    AttributeError, ImportError
        It is not there.

    """
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    getattr(owner, name)
    return owner, name


def missing(places: Mapping[str, Sequence[str]] = PLACES) -> dict[str, list[str]]:
    """Return the places that are not there, by phase."""
    gone: dict[str, list[str]] = {}
    for phase, names in places.items():
        for place in names:
            try:
                find(place)
            except (AttributeError, ImportError):
                gone.setdefault(phase, []).append(place)
    return gone
