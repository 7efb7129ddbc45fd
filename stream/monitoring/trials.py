"""Figures of shadows and of interleaved lists for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric


def trial_metrics(stats: Mapping[str, Any]) -> Iterator[Metric]:
    """Return the metrics of the other models of a run.

    Parameters
    ----------
    stats
        What `Trials.stats` returned.

    """
    if shadows := stats.get("shadows"):
        yield from _shadows(shadows)
    if merged := stats.get("interleaved"):
        yield from _interleaved(merged)


def _shadows(shadows: list[dict[str, Any]]) -> Iterator[Metric]:
    figures = GaugeMetricFamily(
        "nextclick_shadow_figure",
        "A shadow's figure over the clicks that both models have scored.",
        labels=["model", "figure"],
    )
    differences = GaugeMetricFamily(
        "nextclick_shadow_difference",
        "The figure of the model in service minus that of the shadow, and the ends of its 95 % "
        "interval.",
        labels=["model", "figure", "bound"],
    )
    seconds = GaugeMetricFamily(
        "nextclick_shadow_seconds_per_click",
        "Time that a shadow takes to score and learn a click.",
        labels=["model"],
    )
    dropped = GaugeMetricFamily(
        "nextclick_shadow_dropped", "1 once a shadow has failed, else 0.", labels=["model"]
    )
    for shadow in shadows:
        name = shadow["model"]
        seconds.add_metric([name], shadow["seconds_per_click"])
        dropped.add_metric([name], float(shadow["dropped"] is not None))
        for figure, value in shadow["figures"].items():
            figures.add_metric([name, figure], value)
            apart = shadow["differences"][figure]
            for bound, key in (("value", "difference"), ("low", "low"), ("high", "high")):
                if apart[key] is not None:
                    differences.add_metric([name, figure, bound], apart[key])
    yield from (figures, differences, seconds, dropped)


def _interleaved(merged: dict[str, Any]) -> Iterator[Metric]:
    lists = GaugeMetricFamily(
        "nextclick_interleaved_lists",
        "Interleaved lists won by the model in service (win), by the other (loss), or by neither "
        "(tie).",
        labels=["model", "result"],
    )
    for result, key in (("win", "wins"), ("loss", "losses"), ("tie", "ties")):
        lists.add_metric([merged["model"], result], merged[key])
    preference = GaugeMetricFamily(
        "nextclick_interleaved_preference",
        "Share of the decided lists that the model in service has won, and the ends of its 95 % "
        "interval.",
        labels=["model", "bound"],
    )
    for bound, key in (("value", "preference"), ("low", "low"), ("high", "high")):
        if merged[key] is not None:
            preference.add_metric([merged["model"], bound], merged[key])
    yield from (lists, preference)
