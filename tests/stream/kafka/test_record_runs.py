"""Runs over topics whose records hold several clicks."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from tests.brokers import Broker, make_topic, send
from tests.stream.runs import SMALL, figures
from tests.topics import read_topic

KAFKA = {"metadata.max.age.ms": "500"}


def publish(broker: Broker, topic: str) -> int:
    """Publish events with up to three items, some of them twice; return the number of clicks."""
    chance = random.Random(5)
    clicks = 0
    records = []
    for number in range(120):
        items = [chance.randrange(20) for _ in range(chance.randrange(1, 4))]
        clicks += len(items)
        value = {"e": number, "t": 1_700_000_000_000 + 1000 * number, "items": items}
        record = {
            "value": json.dumps(value).encode(),
            "headers": [("user", b"u%d" % (number // 9))],
        }
        records += [record] * (2 if chance.random() < 0.2 else 1)
    make_topic(broker.address, topic)
    send(broker.address, topic, records)
    return clicks


@pytest.mark.parametrize("stop", [1, 40, 65])
def test_a_run_that_stops_inside_a_record_learns_and_recommends_each_click_once(
    broker: Broker, topic: str, tmp_path: Path, stop: int
) -> None:
    topic = f"{topic}-{stop}"
    clicks = publish(broker, topic)
    best = f"{topic}-best"
    make_topic(broker.address, best)
    options: dict[str, Any] = {
        "session_column": "header:user",
        "item_column": "items[]",
        "time_column": "t",
        "event_id": "e",
        "until_end": True,
        "batch": 16,
        "model": SMALL,
    }
    source = f"kafka://{broker.address}/{topic}"
    whole = run(source, RunConfig(**options))
    assert whole["usable"] == whole["learned"] == clicks
    assert whole["duplicate"] > 10
    kept = {
        **options,
        "snapshots": str(tmp_path / "snapshots"),
        "snapshot_every": "10clicks",
        "recommendations": f"kafka://{broker.address}/{best}",
        "recommend": "every",
        "exactly_once": True,
    }
    run(source, RunConfig(max_clicks=stop, **kept))
    assert figures(run(source, RunConfig(**kept))) == figures(whole)
    written = [json.loads(record.value) for record in read_topic(broker.address, best)]
    assert len(written) == clicks
    places = [(one["partition"], one["offset"], one.get("part", 0)) for one in written]
    assert len(set(places)) == clicks
