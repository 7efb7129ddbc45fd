"""A read replica: answers from the newest snapshot in a folder, and takes each new one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..config.run import RunConfig
from ..engine import Engine
from ..evaluation.prequential import Prequential
from ..learned import learned_engine
from ..monitoring.prometheus import build_info, item_metrics
from ..recommendations.item_follower import FollowedItems
from ..snapshots.store import SnapshotError, Snapshots
from .engine_answers import EngineAnswers
from .meter import CallMeter
from .request_queue import RequestQueue

LOOK_SECONDS = 1.0
"""How often to look for a new snapshot."""

LOOK_AGAIN_SECONDS = 10.0
"""How soon to look again at one that is not whole: it may be on its way here."""


class Loaded(NamedTuple):
    """A snapshot that has been loaded.

    Parameters
    ----------
    name
        Of its folder.
    engine
        Without a source; it has learned all clicks of the snapshot.
    config
        The options of its run.
    about
        Its facts.

    """

    name: str
    engine: Engine
    config: RunConfig
    about: dict[str, Any]

    @property
    def age(self) -> float:
        """How many seconds ago it was taken."""
        return max(0.0, time.time() - float(self.about["saved"]))


class Replica:
    """Serves the newest snapshot of a folder.

    A new one is loaded beside the one that is served; then requests go to it. One that cannot be
    read is reported, and the one before continues to be served.

    Parameters
    ----------
    folder
        The folder that a run writes its snapshots to, or a copy of it.
    notify
        Takes sentences for a person.

    Raises
    ------
    SnapshotError
        There is no snapshot that can be served.

    """

    def __init__(self, folder: Path, notify: Callable[[str], None]) -> None:
        self._snapshots = Snapshots(folder)
        self._folder = folder
        self._notify = notify
        self._told: set[str] = set()
        self.swaps = 0
        self.items: FollowedItems | None = None
        self.loaded = self._load_first()
        self.registry = CollectorRegistry()
        self.registry.register(_ReplicaCollector(self))
        ProcessCollector(registry=self.registry)
        self._calls = CallMeter(self.registry)
        self.queue = RequestQueue(self._answers(self.loaded), self._calls.observe)
        self._failure: str | None = None

    def show_items(self, items: FollowedItems) -> None:
        """Serve with the data of items from now on."""
        self.items = items
        self.queue.answers = self._answers(self.loaded)

    def _answers(self, loaded: Loaded) -> EngineAnswers:
        loaded.engine.items = None if self.items is None else self.items.data
        return EngineAnswers(loaded.engine, time.monotonic() - loaded.age)

    def _load_first(self) -> Loaded:
        """Load the newest snapshot that is whole."""
        found = self._snapshots.numbered()
        for path in found:
            try:
                return self._load(path)
            except SnapshotError as error:
                self._notify(f"skipped a snapshot: {error}")
        where = f"the {len(found)} snapshots" if found else "nothing"
        raise SnapshotError(
            f"{where} in {self._folder} can be served: make snapshots with nextclick run "
            "--snapshots"
        )

    def _load(self, path: Path) -> Loaded:
        parts, about = self._snapshots.load(path)
        engine, config = learned_engine(parts, about, self._folder)
        return Loaded(path.name, engine, config, about)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Take each new snapshot while the context lasts."""
        ended = threading.Event()
        thread = threading.Thread(target=self._follow, args=[ended], name="follow", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _follow(self, ended: threading.Event) -> None:
        wait = LOOK_SECONDS
        while not ended.wait(wait):
            wait = LOOK_SECONDS
            try:
                self.take_newest()
                self._failure = None
            except Exception as error:  # Whatever it is, what is served goes on being served.
                wait = LOOK_AGAIN_SECONDS
                self._failure = str(error)
                if self._failure not in self._told:
                    self._told.add(self._failure)
                    self._notify(f"a new snapshot cannot be served: {error}")

    def take_newest(self) -> bool:
        """Serve the newest snapshot, where it is another one than before; return whether it was.

        Raises
        ------
        SnapshotError
            It cannot be read.

        """
        found = self._snapshots.numbered()
        if not found or found[0].name == self.loaded.name:
            return False
        loaded = self._load(found[0])
        answers = self._answers(loaded)
        self.loaded, self.queue.answers = loaded, answers
        self.swaps += 1
        return True

    def ready(self) -> tuple[bool, str]:
        """Return whether there is something to serve, and what."""
        if self.items is not None and (away := self.items.away) is not None:
            return False, away
        loaded = self.loaded
        words = f"ok: {loaded.name}, taken {loaded.age:,.0f} seconds ago"
        return True, words if self._failure is None else f"{words}; {self._failure}"

    @property
    def figures(self) -> Prequential:
        """The figures of the stream up to the snapshot."""
        return self.loaded.engine.figures

    def stats(self) -> dict[str, Any]:
        """Return what is served, and figures of the requests."""
        loaded = self.loaded
        return {
            "model": loaded.engine.model.name,
            "source": loaded.about.get("source", ""),
            "snapshot": loaded.name,
            "snapshot_age_seconds": round(loaded.age, 3),
            "snapshots_taken": self.swaps,
            "clicks": loaded.engine.clicks,
            "learned": loaded.engine.learned,
            "catalogue": loaded.engine.model.n_items,
            "live_sessions": loaded.engine.sessionizer.live,
            **({} if self.items is None else {"items": self.items.data.stats()}),
            "rejected": dict(loaded.engine.rejected),
            "window": {"clicks": self.figures.window, **self.figures.sliding()},
            "requests": {
                "answered": self._calls.requests,
                "waiting": len(self.queue),
                "model_cpu_seconds": round(self._calls.busy, 3),
            },
        }


class _ReplicaCollector(Collector):
    """Reads what a replica serves whenever it is asked."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def collect(self) -> Iterator[Metric]:
        """Return the current value of every metric."""
        loaded = self._replica.loaded
        gauges = {
            "snapshot_age_seconds": ("Age of the served snapshot.", loaded.age),
            "stream_clicks": (
                "Clicks of the stream up to the served snapshot.",
                loaded.engine.clicks,
            ),
            "catalogue_items": ("Items known.", loaded.engine.model.n_items),
            "live_sessions": ("Sessions that have not ended.", loaded.engine.sessionizer.live),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"nextclick_{name}", text, value)
        yield CounterMetricFamily(
            "nextclick_snapshots_taken", "New snapshots served.", self._replica.swaps
        )
        yield build_info(loaded.engine.model.name)
        if self._replica.items is not None:
            yield from item_metrics(self._replica.items.data.stats())
