from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nextclick.models.rivals import RIVALS
from nextclick.stream.cli.compare import choose
from nextclick.stream.config.options import ConfigError
from tests.small_models import Recent
from tests.stream.cli.shell import call

MODELS = ["--models", "recent,gru4rec", "--model", "gru4rec.hidden=8", "--device", "cpu"]


@pytest.fixture(autouse=True)
def recent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RIVALS, "recent", Recent)


def test_it_writes_what_it_is_asked_for(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("c.json", "c.html", "dead.jsonl")}
    arguments: list[str | Path] = ["compare", log, *MODELS, "--k", "1,3", "--snapshots"]
    arguments += [tmp_path / "s", "--json", files["c.json"], "--report", files["c.html"]]
    assert call(*arguments, "--dead-letters", files["dead.jsonl"]) == 0
    shown = capsys.readouterr()
    result = json.loads(files["c.json"].read_bytes())
    assert set(result["models"]) == {"recent", "gru4rec"}
    assert result["config"]["models"]["gru4rec"] == {"hidden": 8}
    # Best first, one row a model in each of the two tables, and what the star means.
    rows = [line.split()[0] for line in shown.out.splitlines() if line.split()]
    assert [row for row in rows if row in RIVALS or row == "gru4rec"] == 2 * list(result["models"])
    best = next(iter(result["models"].values()))
    assert f"{best['recall@3']:.4f}" in shown.out
    assert "Recall@3" in shown.out
    assert "excludes 0" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80 or str(tmp_path) in shown.out
    assert "<svg" in files["c.html"].read_text()
    assert files["dead.jsonl"].read_bytes() == b""

    assert call("inspect", tmp_path / "s") == 0
    inspected = capsys.readouterr().out
    assert "whole clicks-000000000800" in inspected
    assert "models    recent, gru4rec" in inspected
    assert call("recommend", "--snapshots", tmp_path / "s", "--session", "i1") == 2
    assert "are of nextclick compare" in capsys.readouterr().err.replace("\n", " ")


def test_a_real_difference_has_a_star(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    json_file = tmp_path / "c.json"
    arguments = ["--models", "recent,gru4rec-network", "--device", "cpu", "--k", "1,20"]
    assert call("compare", log, *arguments, "--json", json_file) == 0
    shown = capsys.readouterr().out
    for each in json.loads(json_file.read_bytes())["differences"]:
        if each["figure"] in ("recall@20", "mrr@20", "ndcg@20"):
            sign = "−" if each["difference"] > 0 else "+"
            text = f"{sign}{abs(each['difference']):.4f}"
            assert text in shown
            assert (f"{text}*" in shown) == each["real"]


def test_the_file_gives_models_and_flags_choose_among_them(tmp_path: Path, log: Path) -> None:
    config, json_file = tmp_path / "compare.toml", tmp_path / "c.json"
    config.write_text(
        'batch = 16\nk = [5]\ndevice = "cpu"\n'
        "[models.gru4rec]\nhidden = 9\n[models.recent]\nworse = 2\n"
    )
    assert call("compare", log, "--config", config, "--json", json_file) == 0
    asked = json.loads(json_file.read_bytes())["config"]
    assert asked["models"] == {"gru4rec": {"hidden": 9}, "recent": {"worse": 2}}
    assert (asked["batch"], asked["k"]) == (16, [5])
    more = ["--models", "recent", "--model", "recent.worse=1", "--k", "2,1", "--batch", "8"]
    assert call("compare", log, "--config", config, *more, "--json", json_file) == 0
    asked = json.loads(json_file.read_bytes())["config"]
    assert (asked["models"], asked["k"]) == ({"recent": {"worse": 1}}, [1, 2])
    assert asked["batch"] == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--models names no model to compare"),
        (["--models", ","], "--models names no model to compare"),
        (["--models", "gru4rek"], "there is no model 'gru4rek'; is it 'gru4rec'? There are gru"),
        (["--models", "recent,zzz"], "there is no model 'zzz'. There are gru4rec, gru4rec-network"),
        (["--models", "recent,recent"], "--models names recent twice"),
        (["--models", "recent", "--model", "gru4rec.hidden=8"], "gru4rec is not in the comparison"),
        (["--models", "recent", "--model", "recnet.worse=8"], "'recnet'; is it 'recent'?"),
        (["--models", "recent", "--model", "worse=1"], "--model worse: write model.option=value"),
        (["--models", "recent", "--model", "recent.worse"], "write name=value"),
        (["--models", "recent", "--model", "recent.wrose=1"], "model recent: there is no option"),
        (
            ["--models", "recent", "--model", "recent.worse=a"],
            "model recent: worse: Expected `int`",
        ),
        (["--models", "recent", "--model", "recent.worse=-1"], "worse must not be negative"),
        (["--models", "gru4rec", "--model", "gru4rec.hiden=1"], "is it 'hidden'?"),
        (["--models", "gru4rec", "--model", "gru4rec.hidden=0"], "hidden must be at least 1"),
        (["--models", "recent", "--k", "1,many"], "--k '1,many': write numbers with commas"),
        (["--models", "recent", "--k", "0"], "--k must be at least 1, not 0"),
        (["--models", "recent", "--k", "5000"], "--k must be at most 1,000, not 5,000"),
        (["--models", "recent", "--batch", "0"], "--batch must be at least 1"),
        (["--models", "recent", "--config", "nowhere.toml"], "nowhere.toml"),
        (["--models", "recent", "--report", "LOG"], "is the source too"),
        (["--models", "recent", "--json", "LOG/under/a/file"], "cannot be written"),
        (["--models", "recent", "--item-column", "thing"], "thing"),
    ],
)
def test_a_mistake_gets_one_clear_line(
    log: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = log.read_bytes()
    capsys.readouterr()
    filled = [argument.replace("LOG", str(log)) for argument in arguments]
    assert call("compare", log, *filled) == 2
    error = capsys.readouterr().err
    assert log.read_bytes() == before
    assert "Traceback" not in error
    assert message in error.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nhidden = 8\n", "there is no option 'model'; is it 'models'?"),
        ("[models]\ngru4rec = 3\n", "'models'"),
        ("[models.gru4rek]\n", "'gru4rek'; is it 'gru4rec'?"),
        ("k = 20\n[models.recent]\n", "'k'"),
        ("k = []\n[models.recent]\n", "--k must give at least one number"),
    ],
)
def test_a_mistake_in_the_file_gets_one_clear_line(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    config = tmp_path / "compare.toml"
    config.write_text(text)
    assert call("compare", log, "--config", config) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert message in error.replace("\n", "")


def test_a_model_that_diverges_is_named_at_the_terminal(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Diverged(Recent):
        def test_then_learn(self, *arguments: Any) -> Any:
            raise FloatingPointError("a score is not a number")

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RIVALS, "wild", Diverged)
        assert call("compare", log, "--models", "recent,wild") == 2
    assert "wild: a score is not a number" in capsys.readouterr().err


def test_help_lists_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "--help") == 0
    shown = capsys.readouterr().out
    assert "gru4rec-network" in shown
    assert "1,5,10,20" in shown


def test_options_of_a_model_that_is_left_out_are_left_out() -> None:
    assert choose({"recent": {"worse": 1}}, ["gru4rec"], {}) == {"gru4rec": {}}
    with pytest.raises(ConfigError, match="is not in the comparison"):
        choose({"recent": {}}, ["gru4rec"], {"recent.worse": 1})


def test_one_model_takes_part_with_several_settings(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, file = tmp_path / "compare.toml", tmp_path / "c.json"
    config.write_text(
        'device = "cpu"\n[models.slow]\nkind = "recent"\nworse = 3\n[models.recent]\nworse = 1\n'
    )
    models = "slow,slow:worse=9,recent,recent:worse=2,tests.small_models:Recent"
    arguments: list[str | Path] = ["compare", log, "--config", config, "--models", models]
    arguments += ["--model", "slow.worse=5", "--json", file, "--report", tmp_path / "c.html"]
    assert call(*arguments, "--snapshots", tmp_path / "s", "--max-clicks", "300") == 0
    assert call(*arguments, "--snapshots", tmp_path / "s") == 0
    result = json.loads(file.read_bytes())
    assert result["config"]["models"] == {
        "slow": {"kind": "recent", "worse": 5},
        "slow:worse=9": {"kind": "recent", "worse": 9},
        "recent": {"worse": 1},
        "recent:worse=2": {"kind": "recent", "worse": 2},
        "tests.small_models:Recent": {"kind": "tests.small_models:Recent"},
    }
    # The fewer items are put before the right one, the better.
    found = [name for name in result["models"] if name != "recent:worse=2"]
    assert found == ["tests.small_models:Recent", "recent", "slow", "slow:worse=9"]
    capsys.readouterr()
    assert call("inspect", tmp_path / "s") == 0
    assert "slow:worse=9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("recent:wrose=2", "there is no option 'wrose'; is it 'worse'"),
        ("recent:worse", "no model 'recent:worse'|cannot be used"),
        ("recent:worse=", "write name=value"),
        ("recent,recent", "names recent twice"),
        ("recnet:worse=2", "there is no model 'recnet'; is it 'recent'"),
        ("no_such_module:Model", "cannot be used: ModuleNotFoundError"),
    ],
)
def test_a_mistake_in_a_setting_is_told_in_a_line(
    log: Path, models: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", log, "--models", models) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(message, said), said


def test_a_table_is_all_that_standard_output_has(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files: list[str | Path] = ["--json", tmp_path / "c.json", "--k", "20"]
    assert call("compare", log, *MODELS, *files, "--table", "csv") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    result = json.loads((tmp_path / "c.json").read_bytes())
    assert head.startswith("model,recall@20,recall@20_spread,")
    assert [row.partition(",")[0] for row in rows] == list(result["models"])
    assert call("compare", log, *MODELS, "--table", "latex") == 0
    shown = capsys.readouterr().out
    assert "\\toprule" in shown
    assert shown.rstrip().endswith("\\end{table}")
    assert call("compare", log, *MODELS, "--table", "html") == 2
    assert "expected one of markdown, latex, csv" in capsys.readouterr().err.replace("\n", " ")
