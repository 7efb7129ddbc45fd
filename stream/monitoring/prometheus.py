"""Figures of a running engine for Prometheus."""

from __future__ import annotations

import itertools
import platform
import time
from collections.abc import Iterator
from importlib import metadata

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from nextclick import __version__

from ..contracts import NoRequests
from ..engine import Engine
from ..workers.sharing import sharing_of
from .list_timer import LIST_BOUNDS
from .phase_timer import BOUNDS
from .stalls import stalls
from .trials import trial_metrics
from .workers import worker_metrics

RATE_SECONDS = 1.0
"""Scrapes nearer to each other than this are given the same rate."""

LABELS = ["topic", "partition"]
"""The labels of what is counted by partition."""


class EngineCollector(Collector):
    """Reads an engine whenever it is asked, so that the engine has no work from being watched.

    Counters count from the start of this process, as Prometheus expects it: a run that goes on
    from a snapshot goes back a little, which would look like a counter reset.

    Parameters
    ----------
    engine
        The engine, with its snapshot restored.

    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._start = self._counts()
        self._rejected = dict(engine.rejected)
        self._rate = 0.0
        self._rated = time.monotonic(), engine.clicks

    def collect(self) -> Iterator[Metric]:
        """Return the current value of every metric."""
        engine = self._engine
        for (name, text), now, start in zip(COUNTERS, self._counts(), self._start, strict=True):
            yield CounterMetricFamily(f"nextclick_{name}", text, now - start)
        rejected = CounterMetricFamily(
            "nextclick_rejected", "Records that could not be used.", labels=["reason"]
        )
        for reason, count in dict(engine.rejected).items():
            rejected.add_metric([reason], count - self._rejected.get(reason, 0))
        yield rejected
        gauges = {
            "stream_clicks": (
                "Clicks of the whole stream, including those before a resume.",
                engine.clicks,
            ),
            "clicks_per_second": ("Clicks read per second since the last scrape.", self._speed()),
            "catalogue_items": ("Items known.", engine.model.n_items),
            "live_sessions": ("Sessions that have not ended.", engine.sessionizer.live),
            "pending_clicks": ("Clicks of the unfinished batch.", len(engine.pending)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"nextclick_{name}", text, value)
        yield from self._figures()
        yield from self._lag()
        yield from self._out_of_order()
        yield from self._snapshots()
        if engine.items is not None:
            yield from item_metrics(engine.items.stats())
        yield self._phases()
        yield self._lists()
        yield from self._drift()
        yield from self._waits()
        yield build_info(engine.model.name)
        yield from trial_metrics(engine.trials.stats())
        if sharing := sharing_of(engine.model):
            yield from worker_metrics(sharing.stats())

    def _counts(self) -> list[int]:
        engine = self._engine
        left_out = engine.left_out
        counts = [engine.clicks, engine.learned, engine.first, engine.late, engine.ahead]
        return [*counts, left_out.filtered, left_out.duplicate]

    def _speed(self) -> float:
        now, clicks = time.monotonic(), self._engine.clicks
        passed = now - self._rated[0]
        if passed >= RATE_SECONDS:
            self._rate = (clicks - self._rated[1]) / passed
            self._rated = now, clicks
        return self._rate

    def _figures(self) -> Iterator[Metric]:
        figures = self._engine.figures
        for name, value in figures.sliding().items():
            metric, _, k = name.partition("@")
            family = GaugeMetricFamily(
                f"nextclick_{metric}",
                f"{metric} over the last {figures.window:,} scored clicks.",
                labels=["k"],
            )
            family.add_metric([k], value)
            yield family

    def _lag(self) -> Iterator[Metric]:
        lag = getattr(self._engine.source, "lag", None)
        if lag is None:
            return
        records = GaugeMetricFamily("nextclick_lag_records", "Records not yet read.", labels=LABELS)
        seconds = GaugeMetricFamily(
            "nextclick_lag_seconds",
            "How long the oldest unread record has been in the topic.",
            labels=LABELS,
        )
        for partition in lag():
            label = [partition.topic, str(partition.partition)]
            if partition.records is not None:
                records.add_metric(label, partition.records)
            if partition.seconds is not None:
                seconds.add_metric(label, partition.seconds)
        yield records
        yield seconds

    def _out_of_order(self) -> Iterator[Metric]:
        out_of_order = getattr(self._engine.source, "out_of_order", None)
        if out_of_order is None:
            return
        family = CounterMetricFamily(
            "nextclick_out_of_order_clicks",
            "Clicks learned out of time order.",
            labels=LABELS,
        )
        for (topic, partition), count in out_of_order().items():
            family.add_metric([topic, str(partition)], count)
        yield family

    def _snapshots(self) -> Iterator[Metric]:
        snapshots = self._engine.checkpoints.snapshots
        if snapshots is None or snapshots.durable is None:
            return
        age = 0.0 if self._engine.checkpoints.saved else time.time() - snapshots.durable["saved"]
        yield GaugeMetricFamily("nextclick_snapshot_age_seconds", "Age of the last snapshot.", age)
        yield GaugeMetricFamily(
            "nextclick_snapshot_seconds",
            "Time that the last snapshot took to write.",
            snapshots.seconds,
        )

    def _phases(self) -> Metric:
        family = HistogramMetricFamily(
            "nextclick_phase_seconds", "Time of each phase of the loop.", labels=["phase"]
        )
        phases = self._engine.phases
        for phase, counts in phases.counts.items():
            family.add_metric([phase], _buckets(BOUNDS, counts), phases.seconds[phase])
        return family

    def _lists(self) -> Metric:
        engine, lists = self._engine, self._engine.phases.lists
        family = HistogramMetricFamily(
            "nextclick_click_to_list_seconds",
            "Time from a click's arrival until its list can be requested, or its record read.",
            labels=["list"],
        )
        offered = {
            "request": not isinstance(engine.requests, NoRequests),
            "record": "recommendations" in engine.sinks,
        }
        for way, counts in lists.counts.items():
            if offered[way]:
                family.add_metric([way], _buckets(LIST_BOUNDS, counts), lists.seconds[way])
        return family

    def _drift(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "nextclick_drift_alarms",
            "Alarms that the hit rate has changed, by whether it rose or fell.",
            labels=["direction"],
        )
        for direction, count in self._engine.figures.drift.raised.items():
            family.add_metric([direction], count)
        yield family

    def _waits(self) -> Iterator[Metric]:
        connected = getattr(self._engine.source, "brokers_connected", None)
        if connected is not None:
            yield GaugeMetricFamily(
                "nextclick_brokers_connected",
                "Brokers with a connection for reading; 0 while none answers.",
                connected,
            )
        family = GaugeMetricFamily(
            "nextclick_stalled_seconds",
            "For how long the engine has been held up, by reason; 0 where it is not.",
            labels=["reason"],
        )
        for reason, seconds in stalls(self._engine).items():
            family.add_metric([reason], seconds)
        yield family


COUNTERS = (
    ("clicks", "Clicks read, without rejected records."),
    ("learned", "Clicks learned."),
    ("first", "Clicks that started a session; they are not scored."),
    ("late", "Late clicks, not learned."),
    ("ahead", "Clicks too far ahead of the stream, not learned."),
    ("filtered", "Records that --where has left out."),
    ("duplicate", "Clicks whose event was read before, not learned."),
)


def _buckets(bounds: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
    """Return a histogram's buckets as Prometheus has them: each with all that are shorter."""
    totals = itertools.accumulate(list(counts))
    return list(zip([*map(str, bounds), "+Inf"], map(float, totals), strict=True))


def build_info(model: str) -> Metric:
    """Return what runs: the versions, and the model, as labels of a metric that is always 1."""
    labels = {
        "version": __version__,
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "model": model,
    }
    family = GaugeMetricFamily("nextclick_build_info", "What runs.", labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def item_metrics(stats: dict[str, int]) -> Iterator[Metric]:
    """Return the metrics of the items' data."""
    for name, text in (
        ("with_data", "Items that have data."),
        ("unavailable", "Items that are not available, and so are not recommended."),
    ):
        yield GaugeMetricFamily(f"nextclick_items_{name}", text, stats[name])
    yield CounterMetricFamily(
        "nextclick_wrong_item_records",
        "Records of items' data that could not be used.",
        stats["wrong_records"],
    )


def registry(engine: Engine) -> CollectorRegistry:
    """Return a registry of an engine's metrics and of its process'."""
    made = CollectorRegistry()
    made.register(EngineCollector(engine))
    ProcessCollector(registry=made)
    return made
