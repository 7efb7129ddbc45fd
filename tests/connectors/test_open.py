from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.files.pipe import PipeSource
from nextclick.connectors.open import open_source
from nextclick.connectors.simulator import SimulatedShop
from nextclick.connectors.source import SourceError
from tests.brokers import free_port


def test_a_path_is_a_log_in_the_format_given(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("session_id,sku,timestamp\na,b,1\n")
    source = open_source(str(path), LogFormat(item="sku"))
    assert isinstance(source, LogSource)
    clicks = source.poll(1)
    source.close()
    assert clicks is not None
    assert clicks.items == ["b"]


def test_sim_is_the_simulated_shop() -> None:
    assert isinstance(open_source("sim:clicks=5"), SimulatedShop)


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        os.write(writing, b'{"session_id":1,"item_id":2,"timestamp":3}\n')
        os.close(writing)
        source = open_source("-")
        assert isinstance(source, PipeSource)
        clicks = source.poll(5, wait=5.0)
    assert clicks is not None
    assert (clicks.sessions, clicks.items) == ([1], [2])


def test_kafka_is_a_topic() -> None:
    with pytest.raises(SourceError, match="looks like kafka://host:port/topic"):
        open_source("kafka:/localhost/clicks")
    with pytest.raises(SourceError, match="nothing listens there"):
        open_source(
            f"kafka://127.0.0.1:{free_port()}/clicks", settings={"bootstrap_timeout_ms": 500}
        )


@pytest.mark.parametrize("spec", [None, 3, b"clicks.csv", {"clicks.csv"}])
def test_what_names_no_source_is_called_what_it_is(spec: Any) -> None:
    with pytest.raises(SourceError, match=r"as a str or a Path, .*not as"):
        open_source(spec)
