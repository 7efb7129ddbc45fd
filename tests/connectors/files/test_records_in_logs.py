"""Fields by path, lists and conditions in logs of every kind, and resuming inside a record."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import LogFormat, SourceError, log_format
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.files.pipe import PipeSource
from tests.connectors.files.logs import read, reasons, told

EVENTS = [
    {"session": 1, "events": [{"aid": 7, "ts": 1500000000000}, {"aid": 8, "ts": 1500000001000}]},
    {"session": 2, "events": [{"aid": 9, "ts": 1500000002000}]},
    {"session": 3, "events": []},
]


def lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    """Write records as the kind of log that the name's ending stands for, nested in any."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=2)
        return path
    if path.suffix == ".jsonl":
        return lines(path, records)
    names = list(records[0])
    rows = [
        "\t".join(
            json.dumps(record[name]) if isinstance(record[name], list | dict) else str(record[name])
            for name in names
        )
        for record in records
    ]
    path.write_text("\n".join(["\t".join(names), *rows]) + "\n")
    return path


OTTO = log_format(session_column="session", item_column="events[].aid", time_column="events[].ts")


@pytest.mark.parametrize("kind", ["jsonl", "tsv", "parquet"])
def test_lists_of_events_become_clicks_in_order(tmp_path: Path, kind: str) -> None:
    source = LogSource(write(tmp_path / f"events.{kind}", EVENTS), OTTO)
    polls = read(source)
    sessions = [1, 1, 2] if kind != "tsv" else ["1", "1", "2"]
    assert told(polls)[:3] == (sessions, [7, 8, 9], [1.5e9, 1.5e9 + 1, 1.5e9 + 2])
    assert reasons(polls) == {"no_item": 1}
    assert "milliseconds" in source.warnings[0]


@pytest.mark.parametrize("kind", ["jsonl", "tsv", "parquet"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_log_is_resumed_inside_a_record(tmp_path: Path, kind: str, limit: int) -> None:
    path = write(tmp_path / f"events.{kind}", EVENTS * 5)
    polls = read(LogSource(path, OTTO), limit)
    for number, clicks in enumerate(polls):
        resumed = LogSource(path, OTTO)
        resumed.seek(json.loads(json.dumps(clicks.position)))
        assert told(read(resumed, limit)) == told(polls[number + 1 :])


ITEMS = st.lists(st.none() | st.integers(0, 9) | st.just("x"), max_size=4)
RECORDS = st.lists(
    st.fixed_dictionaries({"s": st.integers(0, 3), "t": st.integers(0, 9), "i": ITEMS}),
    min_size=1,
    max_size=8,
)


@given(RECORDS, st.integers(1, 5), st.integers(1, 5))
def test_the_clicks_are_the_same_wherever_reading_stops(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[dict[str, Any]],
    limit: int,
    other: int,
) -> None:
    path = lines(tmp_path_factory.mktemp("lists") / "a.jsonl", records)
    form = LogFormat(session="s", item="i[]", time="t", where="t != 4")
    whole = told(read(LogSource(path, form)))
    source = LogSource(path, form)
    polls = []
    while (clicks := source.poll(limit)) is not None:
        polls.append(clicks)
        source.close()
        source = LogSource(path, form)
        source.seek(clicks.position)
    assert told(polls) == whole
    assert told(read(LogSource(path, form), other)) == whole


def test_a_sorted_log_may_have_lists(tmp_path: Path) -> None:
    form = log_format(
        session_column="session",
        item_column="events[].aid",
        time_column="events[].ts",
        event_id="events[].aid",
        sort=True,
    )
    path = write(tmp_path / "events.jsonl", EVENTS[::-1])
    polls = read(LogSource(path, form), 2)
    assert told(polls)[1] == [7, 8, 9]
    assert [event for clicks in polls for event in clicks.events or []] == [7, 8, 9]
    resumed = LogSource(path, form)
    resumed.seek(polls[0].position)
    assert told(read(resumed, 2)) == told(polls[1:])


def test_cells_of_mind_are_lists_of_words(tmp_path: Path) -> None:
    path = tmp_path / "behaviors.tsv"
    path.write_text("1\tU1\t2019-11-13T08:36:57\tN1 N2\n2\tU2\t2019-11-13T08:36:58\t\n")
    form = log_format(session_column=2, item_column="history[]", time_column=3)
    with pytest.raises(SourceError, match="no column 'history'"):
        LogSource(path, form)
    path.write_text("id\tuser\ttime\thistory\n" + path.read_text())
    form = log_format(session_column="user", item_column="history[]", time_column=3)
    polls = read(LogSource(path, form))
    assert told(polls)[:2] == (["U1", "U1"], ["N1", "N2"])
    assert reasons(polls) == {"no_item": 1}


def test_a_column_of_json_is_entered_and_a_column_of_that_name_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    header = "session_id,timestamp,props"
    path.write_text(header + '\nanna,1,"{""id"": 7}"\nbert,2,nonsense\n')
    form = log_format(item_column="props.id")
    polls = read(LogSource(path, form))
    assert told(polls)[:2] == (["anna"], [7])
    assert polls[0].rejected[0].detail == "there is no 'props.id'"
    path.write_text(header + ',props.id\nanna,1,"{""id"": 7}",hat\n')
    assert told(read(LogSource(path, form)))[1] == ["hat"]


def test_a_condition_on_delimited_text_and_the_events_of_retailrocket(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    rows = ["1,v1,view,7,", "2,v1,cart,7,", "3,v2,view,8,x", "4,v2,view,9,", "5,,view,9,"]
    path.write_text("\n".join(["timestamp,visitorid,event,itemid,note", *rows]) + "\n")
    where = "itemid > 7 and note is null"
    polls = read(LogSource(path, log_format("retailrocket", where=where)))
    assert told(polls)[:3] == (["v2"], ["9"], [0.004])
    assert reasons(polls) == {"filtered": 2, "not_a_click": 1, "no_session": 1}
    unknown = log_format("retailrocket", where="kind = 'x'")
    with pytest.raises(SourceError, match=r"no column 'kind'.*--where"):
        LogSource(path, unknown)


def test_the_days_of_diginetica_are_added_with_a_condition_too(tmp_path: Path) -> None:
    path = tmp_path / "views.csv"
    header = "sessionId;userId;itemId;timeframe;eventdate"
    path.write_text(f"{header}\n1;NA;81766;526309;2016-05-09\n1;NA;31331;1031018;2016-05-09\n")
    plain = told(read(LogSource(path, log_format("diginetica"))))
    chosen = read(LogSource(path, log_format("diginetica", where="itemId != '31331'")))
    assert told(chosen)[2] == plain[2][:1]  # type: ignore[index]


def test_parquet_of_spark_has_structs_moments_decimals_and_floats(tmp_path: Path) -> None:
    moment = datetime.datetime(2025, 6, 15, 15, 6, 40, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "user": pa.array([{"id": 7.0, "tags": ["a"]}, {"id": None, "tags": []}, None]),
            "when": pa.array([{"at": moment}] * 3, pa.struct([("at", pa.timestamp("ns", "UTC"))])),
            "sku": pa.array(["1", "2", "3"]).cast(pa.decimal128(20, 2)),
            "extra": pa.array([[("k", "v")], [], None], pa.map_(pa.string(), pa.string())),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    form = log_format(session_column="user.id", item_column="sku", time_column="when.at")
    polls = read(LogSource(path, form))
    assert told(polls)[:3] == ([7], [1], [1750000000.0])
    assert reasons(polls) == {"no_session": 2}
    chosen = log_format(
        session_column="user.tags[0]", item_column="extra.k", time_column="when.at", where="sku = 1"
    )
    polls = read(LogSource(path, chosen))
    assert told(polls)[:2] == (["a"], ["v"])
    assert reasons(polls) == {"filtered": 2}


def test_floats_of_pandas_are_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = {
        "session_id": [1.0, 2.0, 3.5, float("nan"), None],
        "item_id": [7, 7, 7, 7, 7],
        "timestamp": [1, 2, 3, 4, 5],
    }
    pq.write_table(pa.table(columns), path)
    polls = read(LogSource(path))
    assert told(polls)[0] == [1, 2]
    assert reasons(polls) == {"wrong_type": 1, "no_session": 2}


def test_a_pipe_has_records_of_any_form(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as end:
        source = PipeSource(OTTO, end.fileno())
        os.write(writing, "".join(json.dumps(event) + "\n" for event in EVENTS).encode())
        os.close(writing)
        first = source.poll(1)
        rest = list(iter(lambda: source.poll(8), None))
    assert first is not None
    assert first.position == {"kind": "pipe", "line": 0}
    assert told([first, *rest])[1] == [7, 8, 9]
    assert rest[-1].position == {"kind": "pipe", "line": 3, "unit": "ms"}


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_unit_that_the_first_time_told_holds_after_a_resume(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    times = [0, 1700000000000, 1700000001000, 1700000002, 0, 1700000003000]
    rows = [{"session_id": "s", "item_id": n, "timestamp": time} for n, time in enumerate(times)]
    if kind == "csv":
        text = "".join(f"s,{n},{time}\n" for n, time in enumerate(times))
        path.write_text("session_id,item_id,timestamp\n" + text)
    else:
        write(path, rows)
    polls = read(LogSource(path), 1)
    (rejected,) = (record for clicks in polls for record in clicks.rejected)
    assert (rejected.reason, rejected.position["line"]) == (
        "mixed_time_units",
        5 if kind == "csv" else 4,
    )
    assert told(polls)[2] == [0.0, 1.7e9, 1.7e9 + 1, 0.0, 1.7e9 + 3]
    for number, clicks in enumerate(polls):
        resumed = LogSource(path)
        resumed.seek(clicks.position)
        assert told(read(resumed, 1)) == told(polls[number + 1 :])
    fixed = read(LogSource(path, log_format(time_unit="s")))
    assert reasons(fixed) == {"time_out_of_range": 3}
