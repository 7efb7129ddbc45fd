from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from nextclick.stream.monitoring.workers import worker_metrics
from tests.stream.monitoring.test_prometheus import WORKERS, read


class Shared:
    """A model that two processes share."""

    def worker_stats(self) -> dict[str, Any]:
        return WORKERS


class Scrape(Collector):
    """Asks for the metrics of a model."""

    def __init__(self, model: object) -> None:
        self.model = model

    def collect(self) -> Any:
        return worker_metrics(self.model)


def scraped(model: object) -> dict[tuple[str, tuple[str, ...]], float]:
    registry = CollectorRegistry()
    registry.register(Scrape(model))
    return read(generate_latest(registry).decode())


def test_what_workers_do_is_seen_by_worker_and_by_phase() -> None:
    values = scraped(Shared())
    assert values["nextclick_workers", ("gloo",)] == 2
    assert values["nextclick_worker_busy_seconds_total", ("1",)] == 3.5
    assert values["nextclick_worker_busy_seconds_total", ("2",)] == 2.5
    assert values["nextclick_worker_exchange_seconds_total", ("rows",)] == 1.5
    assert values["nextclick_worker_exchange_bytes_total", ("plan",)] == 47_000


def test_one_process_has_no_metrics_of_workers() -> None:
    assert scraped(object()) == {}
