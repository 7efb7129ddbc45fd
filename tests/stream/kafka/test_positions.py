"""Runs on a topic whose position means something else than before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors import SourceError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from nextclick.stream.snapshots.store import Snapshots
from tests.brokers import Broker
from tests.connectors.kafka.test_remade_topic import make_anew
from tests.segments import Segment
from tests.stream.kafka.test_run import SMALL, empty_topic, replay, spec
from tests.stream.runs import figures, write_log


def config(folder: Path, **options: Any) -> RunConfig:
    given = {"model": SMALL, "device": "cpu", "until_end": True, "snapshots": str(folder)}
    return RunConfig(**{**given, **options})


def clicks_in(folder: Path) -> int:
    _, about, _ = Snapshots(folder).load_newest() or ({}, {"clicks": 0}, [])
    return int(about["clicks"])


def test_a_history_is_learned_from_a_log_and_then_the_topic_is_begun_with_it(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    log = write_log(tmp_path / "history.csv", 2000)
    new = write_log(tmp_path / "new.csv", 1000, seed=7)
    empty_topic(broker, topic, 3)
    replay(broker, topic, new)
    history, live = tmp_path / "history", tmp_path / "live"
    run(str(log), config(history))
    with pytest.raises(SourceError, match=r"the log history\.csv.*--begin-from"):
        run(spec(broker, topic), config(history))
    begun = config(live, begin_from=str(history), model=RunConfig().model)
    result = run(spec(broker, topic), begun)
    assert result["usable"] == 1000
    assert result["late"] == 0
    same = run(str(new), config(tmp_path / "log", begin_from=str(history)))
    assert figures(result) == figures(same)
    # The other way round, and on another topic with fewer partitions.
    with pytest.raises(SourceError, match=rf"the topic '{topic}'.*--begin-from"):
        run(str(new), config(live))
    renamed = f"{topic}-renamed"
    empty_topic(broker, renamed, 1)
    replay(broker, renamed, new)
    with pytest.raises(SourceError, match=rf"the topic '{topic}', and not on .*--begin-from"):
        run(spec(broker, renamed), config(live))
    moved = run(spec(broker, renamed), config(tmp_path / "moved", begin_from=str(live)))
    assert moved["usable"] == 1000


def test_a_topic_made_anew_goes_on_as_asked_for_and_is_learned_from_its_beginning(
    tmp_path: Path, full_broker: Broker, topic: str
) -> None:
    columns: dict[str, Any] = {"session_column": "s", "item_column": "i", "time_column": "t"}
    empty_topic(full_broker, topic, 2)
    make_anew(full_broker.address, topic, 2, count=50)
    assert run(spec(full_broker, topic), config(tmp_path, **columns))["usable"] == 50
    make_anew(full_broker.address, topic, 1, count=300)
    with pytest.raises(SourceError, match=r"recreated.*--on-missing-offsets"):
        run(spec(full_broker, topic), config(tmp_path, **columns))
    going_on = config(tmp_path, **columns, on_missing_offsets="earliest")
    assert run(spec(full_broker, topic), going_on)["usable"] == 350


def test_what_comes_before_a_damaged_batch_is_learned_and_in_the_snapshot(
    tmp_path: Path, apache_broker: Broker, topic: str
) -> None:
    log = write_log(tmp_path / "clicks.csv", 3000)
    empty_topic(apache_broker, topic, 1)
    replay(apache_broker, topic, log)
    apache_broker.stop()
    segment = Segment(apache_broker, topic)
    assert len(segment.batches) > 2
    damaged = len(segment.batches) // 2
    segment.flip(damaged)
    apache_broker.start()
    before = segment.batches[damaged].offset
    after = segment.batches[damaged + 1].offset
    folder = tmp_path / "snapshots"
    named = rf"partition 0: the records from offset {before} to {after - 1} .*--on-missing-offsets"
    for _ in range(2):
        with pytest.raises(SourceError, match=named):
            run(spec(apache_broker, topic), config(folder))
        assert clicks_in(folder) == before
    told: list[str] = []
    going_on = config(folder, on_missing_offsets="earliest")
    result = run(spec(apache_broker, topic), going_on, told.append)
    assert result["usable"] == 3000 - (after - before)
    assert any("cannot be read" in note for note in told)
