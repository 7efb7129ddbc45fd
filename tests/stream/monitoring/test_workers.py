from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from nextclick.stream.monitoring.workers import worker_metrics
from tests.stream.monitoring.test_prometheus import WORKERS, read


class Scrape(Collector):
    """Asks for the metrics of workers."""

    def collect(self) -> Any:
        return worker_metrics(WORKERS)


def test_what_workers_do_is_seen_by_worker_and_by_phase() -> None:
    registry = CollectorRegistry()
    registry.register(Scrape())
    values = read(generate_latest(registry).decode())
    assert values["nextclick_workers", ("gloo",)] == 2
    assert values["nextclick_worker_busy_seconds_total", ("1",)] == 3.5
    assert values["nextclick_worker_busy_seconds_total", ("2",)] == 2.5
    assert values["nextclick_worker_exchange_seconds_total", ("rows",)] == 1.5
    assert values["nextclick_worker_exchange_bytes_total", ("plan",)] == 47_000
