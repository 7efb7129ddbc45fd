from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.interchange
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import Click, Clicks, LogFormat, SourceError, log_format, open_source

SESSIONS = ["anna", "bert", "anna", "cleo", "bert", "anna"]
ITEMS = [3, 1, 4, 1, 5, 9]
TIMES = [1.6e9 + 10 * at for at in range(6)]
COLUMNS = {"session_id": SESSIONS, "item_id": ITEMS, "timestamp": TIMES}
ROWS = list(zip(SESSIONS, ITEMS, TIMES, strict=True))


class Interchanged:
    """A table of a library that has only the older protocol."""

    def __init__(self) -> None:
        self._table = pa.table(COLUMNS)

    def __dataframe__(self, **options: Any) -> Any:
        return self._table.__dataframe__(**options)


class Batch:
    def __init__(self) -> None:
        self._batch = pa.RecordBatch.from_pydict(COLUMNS)

    def __arrow_c_array__(self, schema: Any = None) -> Any:
        return self._batch.__arrow_c_array__(schema)


def everything(source: Any, limit: int = 4) -> Clicks:
    parts = []
    while (polled := source.poll(limit)) is not None:
        parts.append(polled)
    return Clicks(
        [each for part in parts for each in part.sessions],
        [each for part in parts for each in part.items],
        np.concatenate([np.zeros(0), *(part.times for part in parts)]),
        parts[-1].position if parts else {},
        [each for part in parts for each in part.rejected],
    )


FORMS: dict[str, Any] = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "pandas with text of objects": lambda: pd.DataFrame(COLUMNS).astype({"session_id": object}),
    "pandas with categories": lambda: pd.DataFrame(COLUMNS).astype({"session_id": "category"}),
    "pandas with dates": lambda: pd.DataFrame(COLUMNS).assign(
        timestamp=pd.to_datetime(np.array(TIMES), unit="s")
    ),
    "pandas with dates of a zone": lambda: pd.DataFrame(COLUMNS).assign(
        timestamp=pd.to_datetime(np.array(TIMES), unit="s", utc=True).tz_convert("Asia/Tokyo")
    ),
    "pandas with an index": lambda: pd.DataFrame(COLUMNS).set_index("session_id"),
    "pandas with nullable integers": lambda: pd.DataFrame(COLUMNS).astype({"item_id": "Int64"}),
    "pandas with items that are floats": lambda: pd.DataFrame(COLUMNS).astype({"item_id": float}),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars with categories": lambda: pl.DataFrame(COLUMNS).cast({"session_id": pl.Categorical}),
    "polars with dates": lambda: pl.DataFrame(COLUMNS).with_columns(
        pl.from_epoch(pl.col("timestamp").cast(pl.Int64))
    ),
    "polars with milliseconds": lambda: pl.DataFrame(COLUMNS).with_columns(
        (pl.col("timestamp") * 1000).cast(pl.Int64)
    ),
    "Arrow": lambda: pa.table(COLUMNS),
    "Arrow in chunks": lambda: pa.concat_tables([pa.table(COLUMNS)[:2], pa.table(COLUMNS)[2:]]),
    "a reader of Arrow": lambda: pa.table(COLUMNS).to_reader(2),
    "a batch of Arrow": Batch,
    "a table of the interchange protocol": Interchanged,
    "a dict of columns": lambda: dict(COLUMNS),
    "a dict of arrays": lambda: {name: np.array(column) for name, column in COLUMNS.items()},
    "tuples": lambda: ROWS,
    "lists": lambda: [list(row) for row in ROWS],
    "a generator": lambda: (row for row in ROWS),
    "clicks": lambda: [Click(*row) for row in ROWS],
    "dicts": lambda: [dict(zip(COLUMNS, row, strict=True)) for row in ROWS],
    "rows of pandas": lambda: pd.DataFrame(COLUMNS).itertuples(index=False),
    "rows of polars": lambda: pl.DataFrame(COLUMNS).iter_rows(named=True),
    "rows of numpy": lambda: [(np.str_(s), np.int32(i), np.float64(t)) for s, i, t in ROWS],
    "rows with dates": lambda: [
        (s, i, datetime.datetime.fromtimestamp(t, datetime.UTC)) for s, i, t in ROWS
    ],
    "rows with dates of numpy": lambda: [
        (s, i, np.datetime64(int(t * 1e9), "ns")) for s, i, t in ROWS
    ],
    "rows with texts": lambda: [(s, i, f"{t:.0f}") for s, i, t in ROWS],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("limit", [1, 4, 100])
def test_every_form_gives_the_same_clicks(form: str, limit: int) -> None:
    source = open_source(FORMS[form]())
    clicks = everything(source, limit)
    assert clicks.sessions == SESSIONS
    assert clicks.items == ITEMS
    assert set(map(type, clicks.items)) == {int}
    assert clicks.times.tolist() == TIMES
    assert clicks.rejected == []
    assert source.gap is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_source_goes_on_from_a_position(form: str, stop: int) -> None:
    source = open_source(FORMS[form]())
    polled = source.poll(stop)
    assert polled is not None
    again = open_source(FORMS[form]())
    again.seek(polled.position)
    assert everything(again).items == ITEMS[stop:]


@pytest.mark.parametrize("form", ["pandas", "polars", "Arrow", "tuples", "a generator", "dicts"])
def test_other_clicks_than_those_of_the_position_are_refused(form: str) -> None:
    source = open_source(FORMS[form]())
    polled = source.poll(4)
    assert polled is not None
    other = [("dora", 1, 1.6e9), *ROWS[1:]]
    changed: Any = {**COLUMNS, "session_id": [session for session, _, _ in other]}
    with pytest.raises(SourceError, match=r"has changed since|not begin with the same content"):
        open_source(changed if form in ("pandas", "polars", "Arrow") else other).seek(
            polled.position
        )


def test_an_iterable_that_is_shorter_than_the_position_is_refused() -> None:
    polled = open_source(ROWS).poll(5)
    assert polled is not None
    with pytest.raises(SourceError, match="it had 5 clicks, and gives 2"):
        open_source(ROWS[:2]).seek(polled.position)


def test_the_chunks_of_a_table_are_no_part_of_its_position() -> None:
    polled = open_source(FORMS["Arrow"]()).poll(3)
    assert polled is not None
    open_source(FORMS["Arrow in chunks"]()).seek(polled.position)


@pytest.mark.parametrize("form", ["pandas", "polars", "Arrow", "a dict of columns"])
def test_a_column_that_is_named_wrongly_is_told_as_of_a_log(form: str) -> None:
    with pytest.raises(SourceError) as told:
        open_source(FORMS[form](), log_format(item_column="item"))
    assert "there is no column 'item' (did you mean 'item_id'?)" in str(told.value)
    assert "the columns are: session_id, item_id, timestamp" in str(told.value)
    with pytest.raises(SourceError, match=r"holds list.*an id is a string or an integer"):
        open_source({**COLUMNS, "item_id": [[1]] * 6})
    with pytest.raises(SourceError, match="holds bool; a time is a timestamp"):
        open_source({**COLUMNS, "timestamp": [True] * 6})


def test_columns_are_named_or_numbered() -> None:
    other = pd.DataFrame({"at": TIMES, "who": SESSIONS, "what": ITEMS})
    form = log_format(user_column="who", item_column=3, time_column="at", gap=1800.0)
    source = open_source(other, form)
    assert everything(source).items == ITEMS
    assert source.gap == 1800.0
    rows = other.to_dict("records")
    form = log_format(user_column="who", item_column="what", time_column="at", gap=60.0)
    source = open_source(rows, form)
    assert (everything(source).sessions, source.gap) == (SESSIONS, 60.0)


def test_a_column_of_several_types_is_told_before_anything_is_read() -> None:
    mixed = pd.DataFrame({**COLUMNS, "item_id": [1, "hat", 2, 3, 4, 5]}, dtype=object)
    with pytest.raises(SourceError, match=r"^pandas\.DataFrame cannot be read as a table: .*item"):
        open_source(mixed)
    with pytest.raises(SourceError, match=r"^dict cannot be read as a table"):
        open_source({**COLUMNS, "item_id": [1]})


def missing(form: str) -> Any:
    """Clicks of which the second has no item, the third no session, the fourth no time."""
    items: list[Any] = [3, None, 4, 1]
    sessions, times = ["a", "b", None, "c"], [1.6e9, 1.6e9, 1.6e9, None]
    columns: dict[str, Any] = {"session_id": sessions, "item_id": items, "timestamp": times}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    made: dict[str, Any] = {
        "pandas": lambda: pd.DataFrame(columns),
        "pandas of nullable types": lambda: pd.DataFrame(columns).convert_dtypes(),
        "polars": lambda: pl.DataFrame(columns),
        "Arrow": lambda: pa.table(columns),
        "dicts": lambda: rows,
        "dicts without the keys": lambda: [
            {key: value for key, value in row.items() if value is not None} for row in rows
        ],
        "rows of pandas": lambda: pd.DataFrame(columns).convert_dtypes().itertuples(index=False),
        "tuples with NaN": lambda: [
            tuple(float("nan") if value is None else value for value in row.values())
            for row in rows
        ],
    }
    return made[form]()


@pytest.mark.parametrize(
    "form",
    [
        "pandas",
        "pandas of nullable types",
        "polars",
        "Arrow",
        "dicts",
        "dicts without the keys",
        "rows of pandas",
        "tuples with NaN",
    ],
)
def test_clicks_that_lack_something_are_rejected_by_reason(form: str) -> None:
    clicks = everything(open_source(missing(form)))
    assert clicks.items == [3]
    reasons = [each.reason for each in clicks.rejected]
    assert reasons[:2] == ["no_item", "no_session"]
    assert reasons[2] in ("no_time", "time_not_finite")
    assert [each.position["line"] for each in clicks.rejected] == [2, 3, 4]


def test_what_is_no_click_is_rejected_with_what_it_should_be() -> None:
    odd: list[Any] = [ROWS[0], 7, ("anna", 1), None, {"item_id": 3}, ROWS[1]]
    clicks = everything(open_source(odd))
    assert clicks.items == ITEMS[:2]
    assert [each.reason for each in clicks.rejected] == [*["wrong_type"] * 3, "no_session"]
    assert "7 is no click: give a Click, a dict, or session, item" in clicks.rejected[0].detail
    assert clicks.rejected[0].raw is not None


@pytest.mark.parametrize("form", ["pandas", "polars", "tuples", "a generator", "dicts"])
def test_an_order_that_is_not_that_of_time_is_told_and_can_be_sorted(form: str) -> None:
    grouped = sorted((f"s{at % 50}", at, 1.6e9 + 1000 * at) for at in range(2000))
    columns = dict(zip(COLUMNS, map(list, zip(*grouped, strict=True)), strict=True))
    made: dict[str, Any] = {
        "pandas": lambda: pd.DataFrame(columns),
        "polars": lambda: pl.DataFrame(columns),
        "tuples": lambda: grouped,
        "a generator": lambda: iter(grouped),
        "dicts": lambda: [dict(zip(COLUMNS, row, strict=True)) for row in grouped],
    }
    source = open_source(made[form]())
    everything(source, 64)
    assert "its clicks are not in time order" in source.warnings[0]
    assert "--sort (sort=True)" in source.warnings[0]
    sorted_ = open_source(made[form](), LogFormat(sort=True))
    clicks = everything(sorted_, 64)
    assert clicks.items == list(range(2000))
    assert sorted_.warnings == []
    polled = open_source(made[form](), LogFormat(sort=True)).poll(700)
    assert polled is not None
    again = open_source(made[form](), LogFormat(sort=True))
    again.seek(polled.position)
    assert everything(again).items == list(range(700, 2000))


def test_fields_within_records_and_conditions_are_read_as_in_a_log() -> None:
    records = [
        {"user": {"id": s}, "kind": "view" if i < 5 else "cart", "skus": [{"sku": i}], "at": t}
        for s, i, t in ROWS
    ]
    form = log_format(
        session_column="user.id", item_column="skus[].sku", time_column="at", where="kind = 'view'"
    )
    for given_ in (records, pl.DataFrame(records), pa.Table.from_pylist(records)):
        clicks = everything(open_source(given_, form))
        assert clicks.items == [3, 1, 4, 1]
        assert [each.reason for each in clicks.rejected] == ["filtered", "filtered"]


def test_a_generator_is_read_no_further_than_asked_for() -> None:
    taken: list[int] = []

    def live() -> Iterator[Any]:
        for at in range(100):
            taken.append(at)
            yield "anna", at, 1.6e9 + at

    source = open_source(live())
    polled = source.poll(3)
    assert polled is not None
    assert (polled.items, taken) == ([0, 1, 2], [0, 1, 2])


def test_an_error_of_the_generator_is_the_callers() -> None:
    def broken() -> Iterator[Any]:
        yield ROWS[0]
        raise LookupError("the shop is closed")

    source = open_source(broken())
    source.poll(1)
    with pytest.raises(LookupError, match="the shop is closed"):
        source.poll(1)


@pytest.mark.parametrize(
    "nothing", [17, None, object(), {1, 2}, pl.DataFrame(COLUMNS).lazy(), Click]
)
def test_what_is_no_source_is_told(nothing: Any) -> None:
    with pytest.raises(
        SourceError, match="a source is given as a str or a Path, as a table, as an"
    ):
        open_source(nothing)
    with pytest.raises(SourceError, match="a log is given as a str or a Path, not as 1"):
        open_source(["clicks.csv", 1])
    with pytest.raises(SourceError, match="--follow is for a log that grows"):
        open_source(ROWS, follow=True)


@pytest.mark.parametrize("form", ["pandas", "Arrow", "a reader of Arrow", "tuples"])
def test_nothing_gives_no_clicks(form: str) -> None:
    empty: dict[str, Any] = {
        "pandas": pd.DataFrame(COLUMNS)[:0],
        "Arrow": pa.table(COLUMNS)[:0],
        "a reader of Arrow": pa.table(COLUMNS)[:0].to_reader(),
        "tuples": [],
    }
    assert open_source(empty[form]).poll(10) is None


IDS = st.one_of(st.integers(0, 2**60), st.text(min_size=1, max_size=8))


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(IDS, IDS, st.floats(0, 4e9)), max_size=200),
    limit=st.integers(1, 90),
    stop=st.integers(0, 200),
)
def test_whatever_the_ids_an_iterable_gives_them_back(
    rows: list[Any], limit: int, stop: int
) -> None:
    source = open_source(rows, LogFormat(unit="s"))
    clicks = everything(source, limit)
    assert list(zip(clicks.sessions, clicks.items, clicks.times, strict=True)) == rows
    polled = open_source(rows, LogFormat(unit="s")).poll(max(1, stop))
    if polled is not None:
        again = open_source(iter(rows), LogFormat(unit="s"))
        again.seek(polled.position)
        assert everything(again, limit).items == clicks.items[len(polled.items) :]
