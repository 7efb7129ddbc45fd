from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nextclick.connectors import (
    KafkaAddress,
    KafkaSource,
    LogFormat,
    SimulatedShop,
    SourceError,
    log_format,
    open_source,
)
from nextclick.connectors.simulator import Shop

ADDRESS = KafkaAddress(["localhost:1"], "clicks")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogFormat(item=3), "LogFormat: item: expected str, got int"),  # type: ignore[arg-type]
        (lambda: LogFormat(unit="min"), "LogFormat: unit: expected one of s, ms, us, ns"),  # type: ignore[arg-type]
        (lambda: LogFormat(sort="yes"), "LogFormat: sort: expected bool"),  # type: ignore[arg-type]
        (lambda: LogFormat(gap=-1), "LogFormat: gap must be at least 0"),
        (lambda: LogFormat(gap=float("nan")), "LogFormat: gap must be at least 0"),
        (lambda: LogFormat(delimiter=";\n"), "one ASCII character or several"),
        (lambda: LogFormat(session=None), "a session column or a user column"),
        (lambda: log_format("yoochose"), "did you mean 'yoochoose'"),
        (lambda: log_format(item_column=b"x"), "--item-column b'x': a column is a name or"),  # type: ignore[arg-type]
        (lambda: log_format(gap="1h"), "LogFormat: gap: expected float"),  # type: ignore[arg-type]
        (lambda: KafkaAddress("localhost:9092", "x"), "KafkaAddress: servers: expected array"),  # type: ignore[arg-type]
        (lambda: KafkaAddress(["localhost"], "clicks"), "kafka://host:port/topic"),
        (lambda: KafkaAddress(["localhost:1"], "a topic"), "'a topic' is no name of a topic"),
        (lambda: KafkaSource("kafka://localhost:1/x"), "KafkaSource: address.*KafkaAddress"),  # type: ignore[arg-type]
        (lambda: KafkaSource(ADDRESS, idle=-1), "KafkaSource: idle must be at least 0"),
        (lambda: KafkaSource(ADDRESS, idle="1s"), "KafkaSource: idle: expected float"),  # type: ignore[arg-type]
        (lambda: KafkaSource(ADDRESS, partitions=["0"]), "KafkaSource: partitions"),  # type: ignore[list-item]
        (lambda: KafkaSource(ADDRESS, time_from="key"), "expected one of field, record"),  # type: ignore[arg-type]
        (lambda: KafkaSource(ADDRESS, start="now"), "expected one of earliest, latest"),  # type: ignore[arg-type]
        (lambda: Shop(items=0), "'items=0' must be a whole number from 1"),
        (lambda: Shop(items=2.5), "Shop: items: expected int"),  # type: ignore[arg-type]
        (lambda: Shop(length=float("nan")), "'length=nan' must be a number from 1"),
        (lambda: SimulatedShop("sim:clicks=3"), "SimulatedShop: shop"),  # type: ignore[arg-type]
    ],
)
def test_what_is_made_from_python_is_checked(make: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        make()


def test_numbers_of_numpy_will_do() -> None:
    shop = Shop(clicks=np.int64(3), length=np.float64(2.5))  # type: ignore[arg-type]
    assert (type(shop.clicks), type(shop.length)) == (int, float)
    assert len(SimulatedShop(shop).poll(10) or []) == 3


def test_a_log_may_be_named_by_a_path(tmp_path: Any) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("session_id,item_id,timestamp\na,x,1\n")
    assert open_source(path).poll(10) is not None
