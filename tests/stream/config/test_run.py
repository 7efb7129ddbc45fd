from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nextclick.models import GRU4RecConfig
from nextclick.stream.config.options import (
    ConfigError,
    Interval,
    build,
    check_keys,
    load_toml,
    merge,
    parse_duration,
    parse_every,
)
from nextclick.stream.config.run import RunConfig


def toml(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60.0),
        ("30m", 1800.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("500ms", 0.5),
        ("1.5 h", 5400.0),
        ("12", 12.0),
        (12, 12.0),
        (0.25, 0.25),
        ("0s", 0.0),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration(text, "--gap") == seconds


@pytest.mark.parametrize("text", ["", "s", "ten", "-5s", -5, "5 weeks", "nan", "1e400", "5s5s"])
def test_what_is_no_duration(text: str | float) -> None:
    with pytest.raises(ConfigError, match=r"--gap.*30m"):
        parse_duration(text, "--gap")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_no_duration_without_end(seconds: float) -> None:
    with pytest.raises(ConfigError, match="--gap"):
        parse_duration(seconds, "--gap")


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("60s", Interval(seconds=60.0)),
        ("5000clicks", Interval(clicks=5000)),
        ("5_000 clicks", Interval(clicks=5000)),
        ("1click", Interval(clicks=1)),
        (90, Interval(seconds=90.0)),
    ],
)
def test_how_often(text: str | float, every: Interval) -> None:
    assert parse_every(text, "--snapshot-every") == every


@pytest.mark.parametrize("text", ["", "clicks", ",clicks", "0clicks", "0s", "-1clicks", "often"])
def test_what_says_not_how_often(text: str) -> None:
    with pytest.raises(ConfigError, match="--snapshot-every"):
        parse_every(text, "--snapshot-every")


def test_flags_override_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    path = toml(
        tmp_path, 'batch = 64\ngap = "1h"\nseed = 3\n[model]\nhidden = 50\nlearning_rate = 1\n'
    )
    flags = {"batch": 1, "seed": None, "model": {"hidden": 7, "learning_rate": None}}
    config = build(RunConfig, merge(load_toml(path, RunConfig), flags))
    assert config == RunConfig(
        batch=1, gap="1h", seed=3, model=GRU4RecConfig(hidden=7, learning_rate=1.0)
    )
    assert config.window == RunConfig().window


def test_a_flag_set_to_false_or_zero_is_given() -> None:
    assert merge({"fresh": True, "seed": 1}, {"fresh": False, "seed": 0}) == {
        "fresh": False,
        "seed": 0,
    }


def test_merging_changes_neither_side() -> None:
    file: dict[str, Any] = {"model": {"hidden": 1}}
    merge(file, {"model": {"hidden": 2}})
    assert file == {"model": {"hidden": 1}}


def test_a_configuration_survives_json() -> None:
    config = RunConfig(
        gap=60.5, user_column="visitor", device="cuda", model=GRU4RecConfig(hidden=3)
    )
    given = msgspec.json.decode(msgspec.json.encode(config))
    assert build(RunConfig, given) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bach = 1", r"run\.toml.*'bach'.*'batch'"),
        ("snapshot-every = '1s'", r"run\.toml.*'snapshot-every'.*'snapshot_every'"),
        ("batch = 'many'", r"run\.toml.*'batch'.*expected int, got str"),
        ("batch = true", r"run\.toml.*'batch'.*expected int, got bool"),
        ("max_clicks = 1.5", r"run\.toml.*'max_clicks'.*expected int, got float"),
        ("gap = [1]", r"run\.toml.*'gap'.*expected"),
        ("item_column = 2020-01-01", r"run\.toml.*'item_column'.*expected str"),
        ("device = 'gpu'", r"run\.toml.*'device'.*auto, cpu, cuda.*'gpu'"),
        ("model = 3", r"run\.toml.*'model'.*expected"),
        ("batch 1", r"run\.toml is not a valid TOML.*line 1"),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_toml(toml(tmp_path, text), RunConfig)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_toml(tmp_path / "absent.toml", RunConfig)
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml is not a valid TOML"):
        load_toml(path, RunConfig)


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"batch": 0}, "--batch"),
        ({"seed": -1}, "--seed"),
        ({"window": 0}, "--window"),
        ({"k": 0}, "--k"),
        ({"max_clicks": 0}, "--max-clicks"),
        ({"max_sessions": 0}, "--max-sessions"),
        ({"keep_snapshots": 0}, "--keep-snapshots"),
        ({"gap": "0s"}, "--gap"),
        ({"gap": "soon"}, "--gap"),
        ({"lateness": -1}, "--lateness"),
        ({"snapshot_every": "never"}, "--snapshot-every"),
        ({"max_wait": "-1s"}, "--max-wait"),
        ({"idle": "soon"}, "--idle"),
        ({"group": " "}, "--group"),
        ({"partitions": []}, "--partitions"),
        ({"partitions": [0, -1]}, "--partitions"),
        ({"metrics_port": 70000}, "--metrics-port"),
        ({"exactly_once": True, "recommendations": "best.jsonl"}, "--exactly-once"),
        ({"exactly_once": True, "recommendations": "kafka://h:1/t"}, "--snapshots"),
    ],
)
def test_ranges_are_checked_under_the_flags_name(given: dict[str, Any], flag: str) -> None:
    with pytest.raises(ConfigError, match=flag):
        build(RunConfig, given)


def test_an_unknown_key_like_no_other_lists_all() -> None:
    with pytest.raises(ConfigError, match="batch, seed"):
        check_keys(["zzz"], ["seed", "batch"], "run.toml")


def test_the_table_for_kafka_takes_dotted_names(tmp_path: Path) -> None:
    path = toml(
        tmp_path, '[kafka]\nsecurity.protocol = "SSL"\nsasl.password = "env:SECRET"\nacks = 1\n'
    )
    config = build(RunConfig, load_toml(path, RunConfig))
    assert config.public()["kafka"] == {
        "security.protocol": "SSL",
        "sasl.password": "env:SECRET",
        "acks": 1,
    }


def test_what_is_shown_of_a_configuration_holds_no_secret() -> None:
    config = RunConfig(kafka={"sasl": {"username": "anna", "password": "s3cret"}})
    assert "s3cret" not in msgspec.json.encode(config.public()).decode()
    # And it can be read again, by what loads a snapshot's model.
    assert build(RunConfig, config.public()).batch == config.batch


@pytest.mark.parametrize(
    "option", ["snapshots", "json", "report", "dead_letters", "recommendations", "begin_from"]
)
@pytest.mark.parametrize("path", ["", " ", "a\0b"])
def test_a_file_or_folder_that_is_given_has_a_name(option: str, path: str) -> None:
    given: dict[str, Any] = {option: path}
    with pytest.raises(ConfigError, match=f"^--{option.replace('_', '-')} .*(empty|null)"):
        RunConfig(**given)


@pytest.mark.parametrize(
    "text",
    ["", "17", "1.5", "1e9", "-2h", "2x", "2024-13-01", "1969-12-31", "200000d", "Latest", "1e-9"],
)
def test_what_is_no_start_in_a_topic_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--from"):
        RunConfig(from_=text)


def test_a_start_may_be_typed_with_its_name_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('from = "2h"\n')
    assert load_toml(file, RunConfig) == {"from_": "2h"}
    config = RunConfig(from_="2h")
    start = config.start
    assert isinstance(start, float)
    assert abs(time.time() - 7200 - start) < 600
    assert config.public()["from"] == "2h"
    assert RunConfig(from_="latest").start == "latest"
    assert RunConfig().start is None
