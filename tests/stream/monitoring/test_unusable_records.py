from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import Clicks, KafkaAddress, Rejected, make_topic
from nextclick.stream.monitoring import unusable_records as unusable
from nextclick.stream.monitoring.unusable_records import Unusable
from tests.brokers import Broker, send
from tests.stream.cli.shell import SMALL, call

IN_A_TOPIC = {"topic": "clicks", "partition": 0, "offset": 7}


def polled(usable: int = 0, **rejected: int) -> Clicks:
    records = [
        Rejected(reason, f"it is {reason}", IN_A_TOPIC, b"")
        for reason, count in rejected.items()
        for _ in range(count)
    ]
    return Clicks(["s"] * usable, ["i"] * usable, np.zeros(usable), rejected=records)


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unusable, "PATIENCE", 0.0)


def test_the_commonest_reason_an_example_and_the_option_are_named(no_patience: None) -> None:
    watched = Unusable()
    watched.take(polled(no_item=2, no_session=1))
    (note,) = watched.notes()
    assert "none of the 3 records" in note
    assert "2 of them: no_item" in note
    assert "partition 0, offset 7: it is no_item" in note
    assert "--item-column" in note


def test_it_is_told_once(no_patience: None) -> None:
    watched = Unusable()
    watched.take(polled(no_item=2))
    first = watched.notes()
    watched.take(polled(bad_json=200))
    assert watched.notes() == first


def test_many_are_told_at_once_and_few_after_a_while() -> None:
    watched = Unusable()
    watched.take(polled(no_item=2))
    assert watched.notes() == []
    watched.take(polled(no_item=unusable.AT_ONCE))
    assert len(watched.notes()) == 1


def test_a_stream_of_which_most_is_unusable_is_told(no_patience: None) -> None:
    watched = Unusable()
    watched.take(polled(usable=30, no_item=40))
    (note,) = watched.notes()
    assert note.startswith("40 of the 70 records")


def test_some_unusable_records_are_no_news(no_patience: None) -> None:
    watched = Unusable()
    watched.take(polled(usable=1, no_item=2))
    watched.take(polled(usable=2000, no_item=1500))
    assert watched.notes() == []


@given(
    unit=st.sampled_from(["ms", "us", "ns"]),
    time=st.floats(1.1e9, 2.5e9),
)
def test_the_unit_that_times_are_in_is_found(unit: str, time: float) -> None:
    number = time * unusable.UNITS[unit]
    detail = f"the time {number:g} lies beyond the year 9999: is it in seconds?"
    watched = Unusable()
    record = Rejected("time_out_of_range", detail, {"line": 1}, b"")
    watched.take(Clicks([], [], np.zeros(0), rejected=[record]))
    assert f"give --time-unit {unit}" in watched.why()


def write(path: Path, **fields: Any) -> Path:
    path.write_text("".join(json.dumps(fields) + "\n" for _ in range(50)))
    return path


@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_log_without_a_usable_click_has_an_exit_code_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    log = write(tmp_path / "a.jsonl", session_id=1, item_id=2, timestamp=1_700_000_000_000)
    options: list[str] = SMALL if command == "run" else ["--models", "popularity,markov"]
    unit = "--time-unit"
    assert call(command, log, *options, unit, "s", "--json", tmp_path / "r.json") == 3
    shown = " ".join(capsys.readouterr().err.split())
    assert "--time-unit ms" in shown
    assert "time_out_of_range" in shown
    assert json.loads((tmp_path / "r.json").read_bytes())["rejected"] == {"time_out_of_range": 50}
    assert call(command, log, *options, unit, "ms") == call(command, log, *options) == 0


def test_a_pipe_of_unusable_records_is_told_while_it_is_read() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "nextclick.stream", "run", "-", *SMALL],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stderr is not None
    try:
        child.stdin.write(b'{"session_id": 1, "product": 2, "timestamp": 3}\n' * 3)
        child.stdin.flush()
        note = next(line.decode() for line in child.stderr if b"loading" not in line)
        assert "none of the 3 records" in note
        assert "there is no 'item_id'" in note
        assert "--item-column" in note
        child.stdin.close()
        assert child.wait(120) == 3
    finally:
        child.kill()
        child.wait()
        child.stderr.close()


def test_topics_without_a_usable_click_have_the_exit_code_too(
    tmp_path: Path, broker: Broker, topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_topic(KafkaAddress([broker.address], topic), {}, 1)
    spec = f"kafka://{broker.address}/{topic}"
    assert call("run", spec, *SMALL, "--until-end") == 3
    assert "no click was read" in " ".join(capsys.readouterr().err.split())
    log = write(tmp_path / "a.jsonl", session=1, item_id=2, timestamp=3)
    assert call("replay", log, "--to", spec) == 3
    assert "--session-column" in capsys.readouterr().err
    send(broker.address, topic, [{"value": b'{"item_id": 2, "timestamp": 3}', "key": b"a"}])
    assert call("run", spec, *SMALL, "--until-end") == 3
    assert "--session-from key" in " ".join(capsys.readouterr().err.split())
    assert call("run", spec, *SMALL, "--until-end", "--session-from", "key") == 0


def test_a_single_record_is_not_counted_among_others() -> None:
    unusable = Unusable()
    bad = Rejected("no_item", "there is no 'item_id'", {"line": 1}, b"")
    unusable.take(Clicks([], [], np.zeros(0), rejected=[bad]))
    assert unusable.why().startswith("no_item, as in line 1: ")


def test_the_first_time_in_another_unit_is_told_with_its_place() -> None:
    unusable = Unusable()
    position = {"file": "a.csv", "line": 3}
    mixed = Rejected("mixed_time_units", "the time 17e11 looks like milliseconds", position, b"")
    unusable.take(Clicks(["s"] * 100, ["i"] * 100, np.zeros(100), rejected=[mixed]))
    (note,) = unusable.notes()
    assert note.startswith("file a.csv, line 3: the time 17e11 looks like milliseconds; ")
    assert "--time-unit" in note
