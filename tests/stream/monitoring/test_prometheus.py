from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nextclick import __version__
from nextclick.stream.config.options import Interval
from nextclick.stream.engine import Engine
from nextclick.stream.evaluation.drift import HitRateDrift
from nextclick.stream.monitoring.phase_timer import BOUNDS, PHASES
from nextclick.stream.monitoring.prometheus import registry
from nextclick.stream.monitoring.trials import trial_metrics
from nextclick.stream.serving.engine_answers import EngineAnswers
from nextclick.stream.serving.meter import Meter
from nextclick.stream.serving.request_queue import RequestQueue
from nextclick.stream.snapshots.store import Snapshots
from nextclick.stream.workers.sharing import Sharing
from tests.stream.engines import Given, Kept, clicks, engine

DASHBOARD = Path(__file__).parents[3] / "operate" / "dashboard.json"

WORKERS = {
    "workers": 2,
    "backend": "gloo",
    "bytes": {"plan": 47_000, "rows": 9},
    "seconds": {"plan": 0.25, "rows": 1.5},
    "busy": [3.5, 2.5],
}
"""What a model tells that two processes share."""

Values = dict[tuple[str, tuple[str, ...]], float]


class Lag(NamedTuple):
    partition: int
    records: int | None
    seconds: float | None
    topic: str = "clicks"


class Lagging(Given):
    """A source that reports its lag, as a topic does."""

    def lag(self) -> list[Lag]:
        return [Lag(0, 12, 3.5), Lag(2, 0, None)]

    def out_of_order(self) -> dict[tuple[str, int], int]:
        return {("clicks", 0): 3, ("clicks", 2): 0}

    brokers_connected = 3

    def stalls(self) -> dict[str, float]:
        return {"brokers": 4.5}


def read(text: str) -> Values:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(engine: Engine) -> Values:
    return read(generate_latest(registry(engine)).decode())


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Engine, Values]]:
    """An engine with a value for every metric, and its metrics after its run."""
    source = Lagging(clicks(300, late=0.1), rejects=1)
    snapshots = Snapshots(tmp_path)
    made = engine(source, snapshots=snapshots, every=Interval(clicks=100), recommendations=Kept())
    vars(made.model)["sharing"] = Sharing(lambda: WORKERS, lambda phases: None)
    page = registry(made)
    made.run()
    yield made, read(generate_latest(page).decode())
    snapshots.close()


def test_the_page_tells_what_the_engine_did(watched: tuple[Engine, Values]) -> None:
    made, values = watched
    result = made.results()
    for name, expected in {
        "clicks_total": 300,
        "stream_clicks": 300,
        "learned_total": result["learned"],
        "first_total": result["first"],
        "late_total": result["late"],
        "ahead_total": result["ahead"],
        "catalogue_items": result["catalogue"],
        "live_sessions": result["live_sessions"],
        "pending_clicks": 0,
    }.items():
        assert values[f"nextclick_{name}", ()] == expected
    assert result["late"] > 0
    assert values["nextclick_rejected_total", ("bad_json",)] == result["rejected"]["bad_json"] > 0
    for name in ("recall", "mrr", "ndcg"):
        assert values[f"nextclick_{name}", ("20",)] == result["sliding"][f"{name}@20"]
    assert values["nextclick_lag_records", ("0", "clicks")] == 12
    assert values["nextclick_lag_seconds", ("0", "clicks")] == 3.5
    assert values["nextclick_lag_records", ("2", "clicks")] == 0
    assert values["nextclick_out_of_order_clicks_total", ("0", "clicks")] == 3
    assert ("nextclick_lag_seconds", ("2", "clicks")) not in values
    assert values["nextclick_snapshot_age_seconds", ()] >= 0
    assert values["nextclick_snapshot_seconds", ()] > 0
    assert values["nextclick_clicks_per_second", ()] >= 0
    assert values["nextclick_brokers_connected", ()] == 3
    assert values["nextclick_stalled_seconds", ("brokers",)] == 4.5
    assert values["nextclick_stalled_seconds", ("model",)] == 0
    assert values["nextclick_click_to_list_seconds_count", ("record",)] > 100
    assert values["nextclick_click_to_list_seconds_bucket", ("+Inf", "record")] > 100
    assert values["process_resident_memory_bytes", ()] > 1e6


def test_every_phase_has_a_histogram(watched: tuple[Engine, Values]) -> None:
    _, values = watched
    for phase in PHASES:
        counts = [
            values["nextclick_phase_seconds_bucket", (bound, phase)]
            for bound in (*map(str, BOUNDS), "+Inf")
        ]
        assert counts == sorted(counts)
        assert counts[-1] == values["nextclick_phase_seconds_count", (phase,)]
        assert values["nextclick_phase_seconds_sum", (phase,)] >= 0
    steps = -(-300 // 16)
    assert values["nextclick_phase_seconds_count", ("model",)] == steps
    assert values["nextclick_phase_seconds_count", ("figures",)] == steps
    assert values["nextclick_phase_seconds_count", ("snapshot",)] >= 2


def test_counters_count_from_the_start_of_the_process() -> None:
    stream = clicks(300)
    before = engine(Given(stream, rejects=1))
    before.run(max_clicks=200)
    state = before.state()
    resumed = engine(Given(stream, rejects=1))
    resumed.restore(state)
    page = registry(resumed)
    resumed.run()
    values = read(generate_latest(page).decode())
    assert values["nextclick_clicks_total", ()] == 100
    assert values["nextclick_stream_clicks", ()] == 300
    rejected = resumed.rejected["bad_json"] - before.rejected["bad_json"]
    assert values["nextclick_rejected_total", ("bad_json",)] == rejected


def test_an_engine_that_has_done_nothing_can_be_watched() -> None:
    values = scrape(engine(Given(clicks(1))))
    assert values["nextclick_clicks_total", ()] == 0
    assert not any(name.startswith("nextclick_lag") for name, _ in values)


def test_drift_alarms_are_counted_by_direction_from_the_start_of_the_process() -> None:
    made = engine(Given(clicks(1)))
    before = HitRateDrift()
    for drift in (before, made.figures.drift):
        hits = np.repeat([True, False, True], 20_000)
        drift.update(hits, np.arange(1, 60_001), np.arange(60_000.0))
    made.figures.drift.restore(before.state())
    values = scrape(made)
    rose = [alarm["after"] > alarm["before"] for alarm in before.alarms]
    assert values["nextclick_drift_alarms_total", ("down",)] == rose.count(False) > 0
    assert values["nextclick_drift_alarms_total", ("up",)] == rose.count(True) > 0


def test_a_scrape_says_what_runs() -> None:
    ((_, labels),) = [key for key in scrape(engine(Given(clicks(1)))) if "build_info" in key[0]]
    assert __version__ in labels
    assert "gru4rec" in labels


def test_lists_by_request_are_timed_where_requests_are_answered() -> None:
    made = engine(Given(clicks(100)))
    made.run()
    assert not any("click_to_list" in name for name, _ in scrape(made))
    made.requests = RequestQueue(EngineAnswers(made))
    assert scrape(made)["nextclick_click_to_list_seconds_count", ("request",)] > 50


def all_metrics(values: Values) -> set[str]:
    """Return the names of all metrics: those of an engine, of its shadows and of requests."""
    served = CollectorRegistry()
    Meter(served).observe("/v1/recommend", 200, 0.1)
    shadow = {"model": "vstan", "seconds_per_click": 0.1, "dropped": None, "figures": {}}
    of_shadows = {family.name for family in trial_metrics({"shadows": [shadow]})}
    return {name for name, _ in values | read(generate_latest(served).decode())} | of_shadows


def test_every_metric_of_the_dashboard_exists(watched: tuple[Engine, Values]) -> None:
    _, values = watched
    known = all_metrics(values)
    dashboard = json.loads(DASHBOARD.read_bytes())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts += [
        variable["query"]["query"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    by_text = [re.findall(r"\b(?:nextclick|process)_\w+", text) for text in texts]
    assert all(
        found or text.startswith("ALERTS") for found, text in zip(by_text, texts, strict=True)
    )
    asked = [name for found in by_text for name in found]
    assert set(asked) <= known
    # And all that the engine tells of itself can be seen there.
    names = {name for name, _ in values if "nextclick_" in name}
    own = {re.sub("_(bucket|sum|count)$", "", name) for name in names}
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    hidden = {name for name in own - shown if not name.endswith("_created")}
    assert hidden == {"nextclick_clicks_per_second", "nextclick_first_total"}
