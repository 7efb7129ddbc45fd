from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.endpoints import transactional_id
from nextclick.stream.learned import load_model
from nextclick.stream.runner import run
from nextclick.stream.snapshots.store import SnapshotError
from tests.stream.runs import SMALL, write_log


def garbage() -> list[bytes]:
    return [
        b"",
        b"\x00\xff\xfe\x80binary\x01",
        b"only,two",
        b"one,two,3,four,five",
        b"s,i,nan",
        b"s,i,inf",
        b"s,i,1e300",
        b"s,i,noon",
        b"s,,1700000000",
        b",i,1700000000",
        b"s," + b"x" * (1 << 20) + b",1700000000",
        b's,"unbalanced,1700000000',
        "s,caf\u00e9,noon".encode("latin-1"),
        "s,caf\u00e9,1700000000".encode("utf-16"),
        b"s,caf\xe9,1700000000",
    ]


def test_a_log_with_garbage_of_every_kind_ends_with_every_line_accounted_for(
    tmp_path: Path,
) -> None:
    log = write_log(tmp_path / "clicks.csv")
    header, *lines = log.read_bytes().splitlines()
    draw = np.random.default_rng(1)
    kinds = garbage()
    for number in range(len(lines) // 100 + 1):
        lines.insert(int(draw.integers(len(lines))), kinds[number % len(kinds)])
    # An encoding with line ends inside makes more lines than one.
    text = b"\n".join([header, *lines]) + b"\n"
    packed = gzip.compress(text, mtime=0)
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) * 9 // 10])
    (tmp_path / "whole.csv").write_bytes(text)

    told: list[str] = []
    letters = tmp_path / "letters.jsonl"
    config = RunConfig(model=SMALL, dead_letters=str(letters))
    for name, counted in (("whole.csv", text.count(b"\n") - 1), ("cut.csv.gz", None)):
        result = run(str(tmp_path / name), config, told.append)
        rejected = sum(result["rejected"].values())
        parts = result["scored"] + result["first"] + result["late"] + rejected
        assert parts == result["clicks"]
        assert counted is None or parts == counted
        written = [json.loads(line) for line in letters.read_bytes().splitlines()]
        assert len(written) == rejected
        assert all(letter["line"] >= 2 and letter["detail"] for letter in written)
        assert len(result["rejected"]) >= 9
    assert "cut.csv.gz" in told[-1]
    # Lines of the cut log: those that a reader gets out of it, the last one in part.
    import zlib

    readable = zlib.decompressobj(31).decompress((tmp_path / "cut.csv.gz").read_bytes())
    assert parts == readable.count(b"\n") - 1 + (not readable.endswith(b"\n"))


def test_no_secret_gets_into_results_or_snapshots(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 100)
    config = RunConfig(
        model=SMALL, snapshots=str(tmp_path / "s"), kafka={"sasl": {"password": "s3cret"}}
    )
    assert "s3cret" not in json.dumps(run(str(log), config))
    written = [path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()]
    assert written
    assert not any(b"s3cret" in content for content in written)
    assert load_model(tmp_path / "s", print).n_items > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partitions": [0]}, "--partitions is for a topic"),
        ({"session_from": "key"}, "--session-from is for a topic"),
        ({"time_from": "record"}, "--time-from is for a topic"),
        ({"on_missing_offsets": "latest"}, "--on-missing-offsets is for a topic"),
    ],
)
def test_options_for_a_topic_are_refused_on_a_log(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    log = write_log(tmp_path / "clicks.csv", 10)
    with pytest.raises(ConfigError, match=message):
        run(str(log), RunConfig(model=SMALL, **options))


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("kafka://h:1/t", {"sort": True}, "--sort is for a log"),
        ("kafka://h:1/t", {"recommendations": "kafka://h:1/t"}, "is the source too.*topic"),
        ("sim:", {"recommendations": "kafka://h/t", "dead_letters": "kafka://h/t"}, "too"),
        ("sim:", {"json": "kafka://h:1/t"}, "--json .* is a topic: name a file"),
    ],
)
def test_topics_in_the_wrong_place_are_refused(
    spec: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(spec, RunConfig(model=SMALL, **options))


def test_it_says_that_no_usable_click_was_read(tmp_path: Path) -> None:
    log = tmp_path / "clicks.jsonl"
    for text, message in (("", "there is none in"), ("{}\n{\n", "all 2 records .* rejected")):
        log.write_text(text)
        told: list[str] = []
        run(str(log), RunConfig(model=SMALL), told.append)
        assert re.search(f"no .*click was read: {message}", told[-1])


def test_a_run_is_named_to_the_brokers_by_group_source_and_partitions() -> None:
    def name(spec: str, **options: Any) -> str | None:
        sink = {"recommendations": "kafka://h:1/best", "snapshots": "s", "exactly_once": True}
        return transactional_id(spec, RunConfig(**{**sink, **options}))

    assert name("kafka://h:1/clicks") == name("kafka://moved:2/clicks") == "nextclick-clicks-all"
    names = {
        name("kafka://h:1/clicks", partitions=[1, 0]),
        name("kafka://h:1/clicks", group="other"),
        name("kafka://h:1/other"),
        name("logs/clicks.csv"),
    }
    assert names == {
        "nextclick-clicks-0-1",
        "other-clicks-all",
        "nextclick-other-all",
        "nextclick-clicks.csv-all",
    }


def test_the_model_of_a_snapshot_knows_the_clicks_of_an_unfinished_batch(tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    log.write_text("session_id,item_id,timestamp\na,shoes,1\na,socks,2\n")
    run(str(log), RunConfig(model=SMALL, snapshots=str(tmp_path / "snapshots")))
    model = load_model(tmp_path / "snapshots", print)
    assert {item for item, _ in model.recommend(["shoes"])} == {"shoes", "socks"}
    with pytest.raises(SnapshotError, match="no snapshots in"):
        load_model(tmp_path / "elsewhere", print)


def test_users_are_cut_into_sessions_by_the_gap(tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    log.write_text("visitor,item_id,timestamp\n" + "v,x,0\nv,x,1700\nv,x,3700\nv,x,90000\n")
    for options, scored in (
        ({"user_column": "visitor"}, 1),
        ({"user_column": "visitor", "gap": "1h"}, 2),
        ({"session_column": "visitor"}, 3),
    ):
        assert run(str(log), RunConfig(model=SMALL, **options))["scored"] == scored  # type: ignore[arg-type]


def test_results_hold_what_is_promised(tmp_path: Path) -> None:
    result = run("sim:clicks=500", RunConfig(model=SMALL, window=100))
    promised = "model clicks scored learned unseen late rejected recall@20 mrr@20 ndcg@20 seen "
    promised += "windows catalogue live_sessions seconds clicks_per_second peak_memory_mb "
    promised += "compiling_seconds"
    assert set(promised.split()) <= result.keys()
    assert result["seen"].keys() == {"recall@20", "mrr@20", "ndcg@20"}
    assert {"clicks", "time", "recall@20", "mrr@20"} <= result["windows"][0].keys()
    assert json.loads(json.dumps(result)) == result
