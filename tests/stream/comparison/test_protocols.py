from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from nextclick.stream import CompareConfig, RunConfig, compare, run, write_comparison, write_report
from nextclick.stream.cli.app import app
from nextclick.stream.config.options import ConfigError
from tests.stream.runs import write_log

SPEC = "sim:clicks=2000,items=100"
RULES: dict[str, Any] = {
    "test_from": "60%",
    "frozen": True,
    "leave_out": ["repeats", "unseen"],
    "min_session": 3,
}
FIGURES = ("recall@20", "mrr@20", "ndcg@20")


def comparison(**options: Any) -> CompareConfig:
    models: dict[str, Any] = {"vstan": {}, "markov": {}}
    return CompareConfig(**{"models": models, "batch": 32, **options})


@pytest.mark.parametrize("asked", [RULES, {**RULES, "frozen": False}, {"min_session": 5}])
def test_a_comparison_and_a_run_by_one_protocol_find_the_same(asked: dict[str, Any]) -> None:
    both = compare(SPEC, comparison(**asked))
    for name, found in both["models"].items():
        alone = run(SPEC, RunConfig(learner=name, batch=32, **asked))
        assert {figure: found[figure] for figure in FIGURES} == {
            figure: alone[figure] for figure in FIGURES
        }
        assert alone["protocol"] == both["protocol"]
        for count in ("scored", "learned", "first", "clicks"):
            assert alone[count] == both[count]
    assert 0 < both["scored"] < 2000
    json.dumps(both, allow_nan=False)


def test_all_lists_and_kinds_of_click_are_of_those_that_count() -> None:
    result = compare(SPEC, comparison(test_from=1000, leave_out=["unseen", "repeats"]))
    kinds = result["slices"]
    for line in kinds.values():
        assert sum(line.values()) == result["scored"]
    assert kinds["target"]["new"] == kinds["repeat"]["last"] == kinds["repeat"]["earlier"] == 0
    assert all(found["unseen"] == 0 for found in result["models"].values())


def test_a_comparison_that_is_stopped_goes_on_by_its_protocol(tmp_path: Path) -> None:
    whole = compare(SPEC, comparison(**RULES))
    log = write_log(tmp_path / "clicks.csv", clicks=600)
    of_log = compare(str(log), comparison(**RULES))
    for stop in (40, 1250, None):
        folder = str(tmp_path / "snapshots")
        part = compare(SPEC, comparison(snapshots=folder, max_clicks=stop, **RULES))
        # The share is of the clicks that the first part was to read.
        assert part["protocol"]["start"]["clicks"] == 24
    assert of_log["protocol"]["start"]["clicks"] == 360
    assert whole["protocol"]["start"]["clicks"] == 1200


def test_it_goes_on_with_the_same_protocol_only(tmp_path: Path) -> None:
    folder = str(tmp_path / "snapshots")
    compare(SPEC, comparison(snapshots=folder, min_session=3, max_clicks=500))
    with pytest.raises(ConfigError, match="--min-session 3, not with --min-session 4"):
        compare(SPEC, comparison(snapshots=folder, min_session=4))


def test_a_resumed_protocol_finds_what_an_unbroken_one_finds(tmp_path: Path) -> None:
    asked = {**RULES, "test_from": 1000}
    whole = compare(SPEC, comparison(**asked))
    for stop in (40, 1250, None):
        folder = str(tmp_path / "snapshots")
        part = compare(SPEC, comparison(snapshots=folder, max_clicks=stop, **asked))
    for name, found in part["models"].items():
        assert {figure: found[figure] for figure in FIGURES} == {
            figure: whole["models"][name][figure] for figure in FIGURES
        }
    assert part["protocol"] == whole["protocol"]


def test_the_protocol_is_stated_wherever_figures_are(tmp_path: Path) -> None:
    words = ("The test begins after 1,200 clicks (60 % of the stream)", "nothing is learned")
    rules = ["--test-from", "60%", "--frozen", "--leave-out", "unseen,repeats"]
    page = str(tmp_path / "page.html")
    for command in (["run", "--learner", "markov"], ["compare", "--models", "markov,vstan"]):
        shown = CliRunner().invoke(app, [*command, SPEC, *rules, "--report", page])
        assert shown.exit_code == 0, shown.output
        text = " ".join(shown.output.split())
        for said in (*words, "Clicks on items never seen before are left out"):
            assert said in text
            assert said in Path(page).read_text(encoding="utf-8")
    plain = CliRunner().invoke(app, ["run", SPEC, "--learner", "markov"])
    assert "begins" not in plain.output


def test_a_table_for_a_paper_states_the_protocol() -> None:
    for text in ("to_markdown", "to_latex"):
        said = " ".join(getattr(compare(SPEC, comparison(**RULES)), text)().split())
        assert "The test begins after 1,200 clicks" in said
        assert "each before it is learned" not in said
    plain = compare(SPEC, comparison()).to_markdown()
    assert "each before it is learned" in plain
    assert "begins" not in plain


def test_the_file_of_clicks_says_which_count_and_at_which_ranks(tmp_path: Path) -> None:
    file = str(tmp_path / "clicks.parquet")
    asked: dict[str, Any] = {**RULES, "min_session": 2, "clicks": file, "clicks_k": 3}
    result = compare(SPEC, comparison(**asked))
    clicks = pq.read_table(file)
    assert len(clicks) == result["usable"]
    counted = clicks.filter(clicks["counts"])
    assert len(counted) == result["scored"]
    for name, found in result["models"].items():
        ranks = np.array(counted[f"rank_{name}"])
        assert ((ranks > 0) & (ranks <= 20)).mean() == pytest.approx(found["recall@20"])
        assert {len(best) for best in counted[f"items_{name}"].to_pylist()} == {3}
    run(SPEC, RunConfig(learner="markov", batch=32, **asked))
    alone = pq.read_table(file)
    assert alone["counts"] == clicks["counts"]
    assert alone["rank_markov"] == clicks["rank_markov"]
    compare(SPEC, comparison(clicks=file))
    assert "counts" not in pq.read_table(file).column_names


def test_a_share_of_clicks_in_memory_is_of_those_that_can_be_read_twice() -> None:
    rows = [{"session_id": at // 4, "item_id": at % 7, "timestamp": at} for at in range(200)]
    table = pa.Table.from_pylist(rows)
    result = compare(table, comparison(test_from="50%"))
    assert result["protocol"]["begun"]["clicks"] == 100
    with pytest.raises(ConfigError, match="can be read only once"):
        compare(iter(rows), comparison(test_from="50%"))


def test_pages_of_results_without_a_protocol_say_nothing_of_it(tmp_path: Path) -> None:
    result = compare(SPEC, comparison())
    assert "protocol" not in result
    write_comparison(tmp_path / "page.html", result)
    assert "over all scored clicks" in (tmp_path / "page.html").read_text(encoding="utf-8")
    write_report(tmp_path / "run.html", run(SPEC, RunConfig(learner="markov")))
    assert "before it was learned" in (tmp_path / "run.html").read_text(encoding="utf-8")


def test_a_test_that_never_begins_says_so() -> None:
    result = run(SPEC, RunConfig(learner="markov", test_from="2100-01-01"))
    assert result["scored"] == 0
    assert result["protocol"]["begun"] is None
    shown = CliRunner().invoke(app, ["run", SPEC, "--learner=markov", "--test-from=2100-01-01"])
    assert "The test has not begun" in shown.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test_from": "many"}, "--test-from 'many': write a number of clicks"),
        ({"test_from": "0"}, "--test-from must be 1 to"),
        ({"test_from": "100%"}, "--test-from must be more than 0% and less than 100%"),
        ({"frozen": True}, "say where with --test-from"),
        ({"leave_out": ["new"]}, "'leave_out'"),
        ({"min_session": 1}, "--min-session must be at least 2"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    for make in (comparison, RunConfig):
        with pytest.raises(ConfigError, match=said):
            make(**options)


@pytest.mark.parametrize("option", ["serve", "shadow", "interleave"])
def test_a_model_in_service_is_not_frozen(option: str) -> None:
    value: Any = {"serve": "8080", "shadow": {"vstan": {}}, "interleave": "vstan"}[option]
    with pytest.raises(ConfigError, match="--frozen"):
        RunConfig(**{option: value, "test_from": 100, "frozen": True, "serve": "8080"})


def test_a_share_of_a_stream_without_an_end_is_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", clicks=100)
    with pytest.raises(ConfigError, match="has no end"):
        run(str(log), RunConfig(learner="markov", test_from="90%", follow=True))
