from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextclick.connectors import SinkError, SourceError, open_source
from nextclick.models import GRU4RecConfig
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.endpoints import transactional_id
from nextclick.stream.learned import load_model
from nextclick.stream.runner import run
from nextclick.stream.snapshots.store import SnapshotError, Snapshots

SMALL = GRU4RecConfig(hidden=16, n_negatives=32)
VARIES = ("seconds", "clicks_per_second", "peak_memory_mb", "provenance", "config", "source")


def write_log(path: Path, clicks: int = 3000, seed: int = 0) -> Path:
    shop = open_source(f"sim:clicks={clicks},items=200,seed={seed}").poll(clicks)
    assert shop is not None
    lines = ["session_id,item_id,timestamp"]
    lines += [
        f"{session},{item},{time}"
        for session, item, time in zip(shop.sessions, shop.items, shop.times, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in VARIES}


def test_a_run_goes_on_from_its_snapshots_as_if_never_stopped(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv")
    whole = run(str(log), RunConfig(model=SMALL, recommendations=str(tmp_path / "whole.jsonl")))
    told: list[str] = []
    for stop in (1, 700, 701, 1500, None):
        config = RunConfig(
            model=SMALL,
            snapshots=str(tmp_path / "snapshots"),
            recommendations=str(tmp_path / "parts.jsonl"),
            max_clicks=stop,
        )
        part = run(str(log), config, told.append)
        assert part["clicks"] == stop or stop is None
    assert figures(part) == figures(whole)
    assert (tmp_path / "parts.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert len(told) == 4
    assert "resuming from the snapshot at 1,500 clicks" in told[-1]


def test_a_log_that_has_grown_is_read_on(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv")
    lines = log.read_text().splitlines(keepends=True)
    whole = run(str(log), RunConfig(model=SMALL))
    config = RunConfig(model=SMALL, snapshots=str(tmp_path / "snapshots"))
    log.write_text("".join(lines[:1000]))
    run(str(log), config)
    log.write_text("".join(lines))
    assert figures(run(str(log), config)) == figures(whole)


@pytest.mark.parametrize("kills", [4])
def test_killed_at_random_moments_it_ends_with_the_figures_of_an_unbroken_run(
    tmp_path: Path, kills: int
) -> None:
    log = write_log(tmp_path / "clicks.csv", clicks=12_000)
    common = ["--model", "hidden=16", "--model", "n_negatives=32", "--device", "cpu"]
    command = [sys.executable, "-c", "from nextclick.stream.__main__ import main; main()", "run"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def arguments(name: str, *more: str) -> list[str]:
        files = ["--json", str(tmp_path / f"{name}.json")]
        files += ["--recommendations", str(tmp_path / f"{name}.jsonl")]
        return [*command, str(log), *common, *files, *more]

    subprocess.run(arguments("whole"), check=True, **quiet)  # type: ignore[call-overload]
    broken = arguments(
        "broken", "--snapshots", str(tmp_path / "snapshots"), "--snapshot-every", "256clicks"
    )
    draw = random.Random(4)
    killed = 0
    while killed < kills:
        process = subprocess.Popen(broken, **quiet)  # type: ignore[call-overload]
        before = len(Snapshots(tmp_path / "snapshots").paths())
        while not before and process.poll() is None and not list(tmp_path.glob("snapshots/c*")):
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 2.5))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break  # It had ended: what is left to test is that it goes on to the same figures.
        killed += 1
    assert killed
    subprocess.run(broken, check=True, **quiet)  # type: ignore[call-overload]
    results = [
        figures(json.loads((tmp_path / f"{name}.json").read_bytes()))
        for name in ("whole", "broken")
    ]
    assert results[0] == results[1]
    assert (tmp_path / "whole.jsonl").read_bytes() == (tmp_path / "broken.jsonl").read_bytes()


def test_sigterm_ends_a_run_with_a_last_snapshot(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from nextclick.stream.__main__ import main; main()", "run"]
    process = subprocess.Popen(
        [
            *(*command, "sim:", "--snapshots", str(tmp_path / "s"), "--snapshot-every", "64clicks"),
            *("--json", str(tmp_path / "r.json")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # The second: the first one is written before anything is read.
    while not list((tmp_path / "s").glob("clicks-*-0002")):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    result = json.loads((tmp_path / "r.json").read_bytes())
    found = Snapshots(tmp_path / "s").load_newest()
    assert found is not None
    assert found[1]["clicks"] == result["clicks"]


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


def test_other_options_than_it_was_begun_with_are_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 300)
    folder = str(tmp_path / "snapshots")
    run(str(log), RunConfig(model=SMALL, snapshots=folder))
    with pytest.raises(ConfigError, match=r"--batch 64, not with --batch 32.*--fresh"):
        run(str(log), RunConfig(model=SMALL, snapshots=folder, batch=32))
    with pytest.raises(ConfigError, match=r"model.hidden 16, not with model.hidden 20"):
        run(str(log), RunConfig(model=GRU4RecConfig(hidden=20, n_negatives=32), snapshots=folder))
    # What no figure depends on may differ.
    run(str(log), RunConfig(model=SMALL, snapshots=folder, keep_snapshots=1, k=5))
    run(str(log), RunConfig(model=SMALL, snapshots=folder, batch=32, fresh=True))


def test_a_duration_may_be_written_otherwise_on_resume(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 300)
    folder = str(tmp_path / "snapshots")
    run(str(log), RunConfig(model=SMALL, snapshots=folder, gap="30m", lateness="1m"))
    run(str(log), RunConfig(model=SMALL, snapshots=folder, gap="1800s", lateness=60))
    kept = RunConfig(model=SMALL, snapshots=folder, gap="30m", lateness="1m", max_ahead="24h")
    with pytest.raises(ConfigError, match="--max-ahead 30d, not with --max-ahead 24h"):
        run(str(log), kept)


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


def test_another_log_is_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 300)
    other = write_log(tmp_path / "other.csv", 300, seed=1)
    config = RunConfig(model=SMALL, snapshots=str(tmp_path / "snapshots"))
    run(str(log), config)
    with pytest.raises(SourceError, match=r"other\.csv.*--fresh"):
        run(str(other), config)


def test_a_damaged_snapshot_is_skipped_and_named(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 1000)
    config = RunConfig(
        model=SMALL, snapshots=str(tmp_path / "snapshots"), snapshot_every="256clicks"
    )
    whole = run(str(log), config)
    newest = Snapshots(tmp_path / "snapshots").paths()[0]
    arrays = bytearray((newest / "arrays.safetensors").read_bytes())
    arrays[len(arrays) // 2] ^= 1
    (newest / "arrays.safetensors").write_bytes(arrays)
    told: list[str] = []
    assert figures(run(str(log), config, told.append)) == figures(whole)
    assert newest.name in told[0]
    assert "arrays.safetensors" in told[0]


def test_recommendations_cut_short_behind_its_back_are_an_error(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 500)
    config = RunConfig(
        model=SMALL,
        snapshots=str(tmp_path / "snapshots"),
        recommendations=str(tmp_path / "best.jsonl"),
    )
    run(str(log), config)
    os.truncate(tmp_path / "best.jsonl", 10)
    with pytest.raises(SinkError, match="restore the file"):
        run(str(log), config)


def test_a_file_left_out_for_a_while_is_written_on(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 900)
    best = tmp_path / "best.jsonl"
    for stop, options in (
        (320, {"recommendations": str(best)}),
        (640, {}),
        (None, {"recommendations": str(best)}),
    ):
        config = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"), max_clicks=stop, **options)  # type: ignore[arg-type]
        run(str(log), config)
    times = [json.loads(line)["time"] for line in best.read_bytes().splitlines()]
    clicks = [float(line.split(",")[2]) for line in log.read_text().splitlines()[1:]]
    assert times == sorted(set(times))
    assert min(times) < clicks[319]
    assert not any(clicks[320] < time < clicks[639] for time in times)
    assert max(times) > clicks[640]


def test_a_run_that_found_no_clicks_goes_on_when_there_are_some(tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    config = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"))
    log.write_text("session_id,item_id,timestamp\n")
    assert run(str(log), config)["clicks"] == 0
    write_log(log, 100)
    assert run(str(log), config)["clicks"] == 100


def test_a_fresh_run_killed_at_once_is_what_the_next_one_goes_on_from(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 300)
    config = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"))
    run(str(log), config)
    started = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"), fresh=True, batch=32)

    class KilledError(Exception):
        pass

    def kill(engine: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        run(str(log), started, progress=kill)
    told: list[str] = []
    again = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"), batch=32)
    assert run(str(log), again, told.append)["clicks"] == 300
    assert "at 0 clicks" in told[0]


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
    promised += "windows catalogue live_sessions seconds clicks_per_second peak_memory_mb"
    assert set(promised.split()) <= result.keys()
    assert result["seen"].keys() == {"recall@20", "mrr@20", "ndcg@20"}
    assert {"clicks", "time", "recall@20", "mrr@20"} <= result["windows"][0].keys()
    assert json.loads(json.dumps(result)) == result
