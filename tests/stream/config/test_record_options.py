"""Fields by path, conditions, units and event ids, from the command line and from Python."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from typer.testing import CliRunner

from nextclick.stream.cli.app import app
from nextclick.stream.config.model_factory import make_model
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.endpoints import open_configured_source
from nextclick.stream.learned import make_engine
from nextclick.stream.monitoring.prometheus import registry
from nextclick.stream.runner import run
from tests.stream.cli.shell import call
from tests.stream.runs import SMALL, figures

FIELDS: dict[str, Any] = {
    "session_column": "user.session",
    "item_column": "items[].sku",
    "time_column": "at",
    "where": "kind in ('view', 'cart') and not bot",
    "event_id": "id",
}
FLAGS = [
    text for name, value in FIELDS.items() for text in ("--" + name.replace("_", "-"), value)
] + ["--model", "hidden=16", "--model", "n_negatives=32"]


def records(count: int = 300, doubles: float = 0.0) -> list[dict[str, Any]]:
    """Return events of a shop, each with up to three items; some come twice."""
    chance = random.Random(3)
    found = []
    for number in range(count):
        record = {
            "id": f"e{number}",
            "kind": chance.choice(["view", "view", "cart", "purchase"]),
            "bot": chance.random() < 0.1,
            "user": {"session": number // 9},
            "at": 1_700_000_000_000 + 1000 * number,
            "items": [{"sku": chance.randrange(20)} for _ in range(chance.randrange(1, 4))],
        }
        found.append(record)
        if chance.random() < doubles:
            found.append(record)
    return found


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def flat(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the clicks that the options choose of the records, as a plain log has them."""
    return [
        {"session_id": row["user"]["session"], "item_id": item["sku"], "timestamp": row["at"] / 1e3}
        for row in rows
        if row["kind"] != "purchase" and not row["bot"]
        for item in row["items"]
    ]


def learned(result: dict[str, Any]) -> dict[str, Any]:
    left_out = ("clicks", "filtered", "duplicate")
    return {name: value for name, value in figures(result).items() if name not in left_out}


def test_nested_events_with_doubles_give_the_figures_of_the_plain_log(tmp_path: Path) -> None:
    rows = records(doubles=0.2)
    log, plain = tmp_path / "events.jsonl", tmp_path / "plain.jsonl"
    expected = run(str(write(plain, flat(records()))), RunConfig(model=SMALL))
    assert expected["usable"] == expected["learned"] > 200
    result = run(str(write(log, rows)), RunConfig(model=SMALL, **FIELDS))
    assert learned(result) == learned(expected)
    others = [row for row in rows if row["kind"] == "purchase" or row["bot"]]
    assert result["filtered"] == sum(len(row["items"]) for row in others)
    assert result["duplicate"] == len(flat(rows)) - len(flat(records())) > 20
    written = tmp_path / "figures.json"
    shown = CliRunner().invoke(app, ["run", str(log), *FLAGS, "--json", str(written)])
    assert shown.exit_code == 0, shown.output
    assert learned(json.loads(written.read_text())) == learned(expected)


def test_doubles_are_learned_without_an_event_id(tmp_path: Path) -> None:
    rows = records(doubles=0.2)
    options = {name: value for name, value in FIELDS.items() if name != "event_id"}
    result = run(str(write(tmp_path / "a.jsonl", rows)), RunConfig(model=SMALL, **options))
    assert result["usable"] == len(flat(rows))
    assert "duplicate" not in result


@pytest.mark.parametrize("stop", [1, 64, 65, 150])
@pytest.mark.parametrize("memory", [50, "10m"])
def test_a_run_that_goes_on_inside_a_record_ends_with_the_same_figures(
    tmp_path: Path, stop: int, memory: int | str
) -> None:
    log = str(write(tmp_path / "events.jsonl", records(doubles=0.2)))
    options = {**FIELDS, "model": SMALL, "event_memory": memory}
    whole = run(log, RunConfig(**options))
    kept = {**options, "snapshots": str(tmp_path / "snapshots"), "snapshot_every": "7clicks"}
    run(log, RunConfig(max_clicks=stop, **kept))
    assert figures(run(log, RunConfig(**kept))) == figures(whole)


def test_metrics_and_summary_count_what_is_left_out(tmp_path: Path) -> None:
    log = str(write(tmp_path / "events.jsonl", records(doubles=0.2)))
    config = RunConfig(model=SMALL, **FIELDS)
    engine = make_engine(open_configured_source(log, config), config, make_model(config))
    metrics = registry(engine)
    engine.run()
    text = generate_latest(metrics).decode()
    left_out = engine.left_out
    assert f"nextclick_filtered_total {left_out.filtered}.0" in text
    assert f"nextclick_duplicate_total {left_out.duplicate}.0" in text
    shown = CliRunner().invoke(app, ["run", log, *FLAGS])
    assert f"{left_out.filtered:,}" in shown.output
    assert "left out by --where" in shown.output
    assert "duplicate, not learned" in shown.output


def test_a_wrong_condition_is_a_configuration_error_with_the_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ConfigError, match=r'^--where "kind = \'view": at character 8'):
        RunConfig(where="kind = 'view")
    assert call("run", "sim:clicks=9", "--where", "kind like 'v'") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "at character 6: 'like' is not expected there" in shown


def test_a_condition_that_leaves_all_out_is_told(tmp_path: Path) -> None:
    log = str(write(tmp_path / "events.jsonl", records(20)))
    notes: list[str] = []
    run(log, RunConfig(model=SMALL, **{**FIELDS, "where": 'kind = "view"'}), notes.append)
    assert any("--where has left out" in note and "single quotes" in note for note in notes)


def test_options_of_records_are_fixed_when_a_run_goes_on(tmp_path: Path) -> None:
    log = str(write(tmp_path / "events.jsonl", records(20)))
    kept: dict[str, Any] = {"model": SMALL, "snapshots": str(tmp_path / "snapshots"), **FIELDS}
    run(log, RunConfig(max_clicks=5, **kept))
    with pytest.raises(Exception, match="--where"):
        run(log, RunConfig(**{**kept, "where": "not bot"}))


def test_a_dead_letter_names_the_path_and_the_unit_is_told_once(tmp_path: Path) -> None:
    rows = records(20)
    rows[3]["items"][0] = {"name": "hat"}
    rows[5]["at"] /= 1000
    rows[6] = {**rows[6], "user": None, "kind": "view", "bot": False}
    letters = tmp_path / "letters.jsonl"
    notes: list[str] = []
    options = {**FIELDS, "where": None, "event_id": None, "dead_letters": str(letters)}
    run(str(write(tmp_path / "a.jsonl", rows)), RunConfig(model=SMALL, **options), notes.append)
    found = [json.loads(line) for line in letters.read_text().splitlines()]
    assert [(one["reason"], one["line"]) for one in found][:2] == [
        ("no_item", 4),
        ("mixed_time_units", 6),
    ]
    assert found[0]["detail"] == "there is no 'items[0].sku'"
    assert found[-1]["detail"] == "there is no 'user.session': 'user' is null or missing"
    assert sum("--time-unit ms fixes the unit" in note for note in notes) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("0", "must be from 1 to 100,000,000, not 0"),
        ("-5", "must be from 1 to 100,000,000, not -5"),
        ("200000000", "must be from 1 to 100,000,000"),
        ("0s", "must be longer than 0"),
        ("40000d", "must be at most 36500d"),
        ("soon", 'write, for instance, "100000" or "10m"'),
        ("", "is neither a number of events nor a duration"),
    ],
)
def test_what_is_no_event_memory_is_refused_with_the_remedy(given: str, message: str) -> None:
    with pytest.raises(ConfigError, match="--event-memory") as caught:
        RunConfig(event_memory=given)
    assert message in str(caught.value)


def test_event_memory_is_a_count_or_a_duration() -> None:
    spans = [RunConfig(event_memory=given).event_span for given in (7, "7", "1_000", "2h", "7s")]
    assert [span.count for span in spans] == [7, 7, 1000, None, None]
    assert [span.seconds for span in spans] == [None, None, None, 7200.0, 7.0]
