"""Figures of a model that several processes share, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def worker_metrics(stats: dict[str, Any]) -> Iterator[Metric]:
    """Return the metrics of the processes that share a model.

    Parameters
    ----------
    stats
        ``workers``, how many there are, ``backend``, what their exchanges go through, ``bytes`` and
        ``seconds`` of the first worker's exchanges by phase, and ``busy``, the seconds for which
        each worker has computed.

    """
    workers = GaugeMetricFamily(
        "nextclick_workers", "Processes that share the model.", labels=["backend"]
    )
    workers.add_metric([stats["backend"]], stats["workers"])
    yield workers
    busy = CounterMetricFamily(
        "nextclick_worker_busy_seconds",
        "Time for which a worker has computed; the first worker is 1.",
        labels=["worker"],
    )
    for number, seconds in enumerate(list(stats["busy"]), start=1):
        busy.add_metric([str(number)], seconds)
    yield busy
    for name, text in (
        ("seconds", "Time that the first worker has spent in exchanges with the others."),
        ("bytes", "Bytes that the first worker has exchanged with the others."),
    ):
        family = CounterMetricFamily(f"nextclick_worker_exchange_{name}", text, labels=["phase"])
        for phase, value in dict(stats[name]).items():
            family.add_metric([phase], value)
        yield family
