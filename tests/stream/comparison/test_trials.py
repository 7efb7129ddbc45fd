"""Runs with shadows and interleaved lists, from their options to their files."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from nextclick.models.rivals import RIVALS
from nextclick.stream import RunConfig, run
from nextclick.stream.cli.progress import summary
from nextclick.stream.config.options import ConfigError
from nextclick.stream.learned import load_model
from nextclick.stream.report.run_page import report_page
from nextclick.stream.serving.replica import Replica
from tests.small_models import Recent
from tests.stream.cli.shell import call
from tests.stream.runs import SMALL, figures, write_log

SHADOWS: dict[str, dict[str, Any]] = {"vstan": {"neighbours": 50}, "markov": {}}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_log(tmp_path_factory.mktemp("log") / "clicks.csv", clicks=1500))


def settled(result: dict[str, Any]) -> dict[str, Any]:
    """The figures of a run that are the same every time."""
    shadows = [{**each, "seconds_per_click": None} for each in result.get("shadows", [])]
    return {**figures(result), "shadows": shadows}


def config(folder: Path | None = None, **options: Any) -> RunConfig:
    if "recommendations" in options:
        options["recommend"] = "every"
    kept = None if folder is None else str(folder)
    return RunConfig(model=SMALL, device="cpu", snapshots=kept, **options)


@pytest.fixture(scope="module")
def whole(log: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The result and the recommendations of an unbroken run."""
    path = tmp_path_factory.mktemp("whole") / "lists.jsonl"
    options = config(shadow=SHADOWS, interleave="vstan", recommendations=str(path))
    return run(log, options), path


def test_the_figures_are_those_of_a_run_without_shadows(
    log: str, whole: tuple[dict[str, Any], Path]
) -> None:
    alone, beside = settled(run(log, config())), settled(whole[0])
    assert [each["model"] for each in beside.pop("shadows")] == ["vstan", "markov"]
    del beside["interleaved"], alone["shadows"]
    assert beside == alone


def test_a_broken_run_ends_with_the_same_figures_and_lists(
    log: str, whole: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    told: list[str] = []
    for stop in (300, 301, 900, None):
        part = run(
            log,
            config(
                tmp_path / "snapshots",
                shadow=SHADOWS,
                interleave="vstan",
                recommendations=str(tmp_path / "lists.jsonl"),
                max_clicks=stop,
            ),
            told.append,
        )
    assert settled(part) == settled(whole[0])
    assert (tmp_path / "lists.jsonl").read_bytes() == whole[1].read_bytes()
    assert not [sentence for sentence in told if "shadow" in sentence]


def test_every_list_names_the_model_of_each_item_and_is_decided_by_the_next_click(
    whole: tuple[dict[str, Any], Path],
) -> None:
    records = [json.loads(line) for line in whole[1].read_text().splitlines()]
    result = whole[0]["interleaved"]
    shown: dict[Any, dict[Any, str]] = {}
    counts = {"gru4rec": 0, "vstan": 0, "": 0}
    for record in records:
        assert len(record["by"]) == len(record["items"]) == len(set(record["items"]))
        assert record["clicked"] not in record["items"]
        if record["session"] in shown:
            counts[shown[record["session"]].get(record["clicked"], "")] += 1
        both = set(record["by"]) == {"gru4rec", "vstan"}
        shown[record["session"]] = (
            dict(zip(record["items"], record["by"], strict=True)) if both else {}
        )
    assert (result["wins"], result["losses"]) == (counts["gru4rec"], counts["vstan"])
    assert result["wins"] > 50 < result["losses"]
    assert result["low"] < result["preference"] < result["high"]


def refused(start: Any) -> Any:
    @functools.wraps(start)
    def refuse(*arguments: Any, **options: Any) -> None:
        pytest.fail("a shadow was made")

    return refuse


def test_snapshots_are_used_as_those_of_any_run(
    log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "snapshots"
    run(log, config(folder, shadow=SHADOWS, max_clicks=700))
    run(log, config(tmp_path / "alone", max_clicks=700))
    with pytest.MonkeyPatch.context() as patch:
        # Only the model in service is made.
        for name in SHADOWS:
            patch.setattr(RIVALS[name], "__init__", refused(RIVALS[name].__init__))
        served, alone = load_model(folder, print), load_model(tmp_path / "alone", print)
        assert served.recommend([3, 4], 10) == alone.recommend([3, 4], 10)
        assert Replica(folder, print).stats()["clicks"] == 700
        assert call("inspect", folder) == 0
    assert "shadows   vstan, markov" in capsys.readouterr().out


def test_a_new_run_can_begin_from_a_snapshot_with_shadows(log: str, tmp_path: Path) -> None:
    run(log, config(tmp_path / "snapshots", shadow=SHADOWS, max_clicks=700))
    begun = RunConfig(begin_from=str(tmp_path / "snapshots"), device="cpu", shadow={"markov": {}})
    (shadow,) = run(log, begun)["shadows"]
    assert shadow["begun"] == 0
    assert shadow["scored"] > 500


def test_shadows_may_be_added_and_left_out_when_a_run_resumes(log: str, tmp_path: Path) -> None:
    told: list[str] = []
    run(log, config(tmp_path / "s", shadow={"vstan": {}}, max_clicks=700))
    second = config(tmp_path / "s", shadow={"markov": {}, "vstan": {}}, max_clicks=1000)
    result = run(log, second, told.append)
    markov, vstan = result["shadows"]
    assert vstan["begun"] == 0
    assert vstan["scored"] == result["scored"]
    assert 600 < markov["begun"] < 700
    assert any("shadow markov begins untrained" in sentence for sentence in told)
    last = run(log, config(tmp_path / "s"), told.append)
    assert "shadows" not in last
    alone = run(log, config())
    assert figures(last) == figures(alone)
    for name in ("markov", "vstan"):
        assert any(f"the shadow {name} is not given any more" in sentence for sentence in told)


def test_wins_are_counted_anew_with_another_model(log: str, tmp_path: Path) -> None:
    lists = {"recommendations": str(tmp_path / "lists.jsonl")}
    told: list[str] = []
    run(log, config(tmp_path / "s", interleave="vstan", max_clicks=1400, **lists))
    result = run(log, config(tmp_path / "s", interleave="markov", **lists), told.append)
    assert result["interleaved"]["model"] == "markov"
    assert result["interleaved"]["shown"] < 200
    assert any("merged with those of markov from click" in sentence for sentence in told)


def test_a_model_may_be_its_own_shadow(log: str) -> None:
    result = run(log, config(shadow={"gru4rec": {"hidden": 16, "n_negatives": 32}}))
    (shadow,) = result["shadows"]
    assert shadow["model"] == "gru4rec-shadow"
    assert {found["difference"] for found in shadow["differences"].values()} == {0}


def test_flags_variables_and_a_file_give_the_same_shadows(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[shadow.vstan]\nneighbours = 50\n[shadow.markov]\n", encoding="utf-8")
    wanted = {"vstan": {"neighbours": 50}, "markov": {}}

    def shadows(*arguments: str) -> Any:
        path = tmp_path / "run.json"
        assert call("run", log, "--max-clicks", "100", "--json", path, *arguments) == 0
        found = json.loads(path.read_bytes())
        assert {each["model"] for each in found["shadows"]} == set(found["config"]["shadow"])
        return found["config"]["shadow"]

    assert shadows("--config", str(file)) == wanted
    assert shadows("--shadow", "vstan.neighbours=50", "--shadow", "markov") == wanted
    assert shadows("--shadow", "vstan,markov", "--shadow", "vstan.neighbours=50") == wanted
    more = shadows("--config", str(file), "--shadow", "vstan.share=0.5", "--shadow", "rules")
    assert more == {"vstan": {"neighbours": 50, "share": 0.5}, "markov": {}, "rules": {}}
    monkeypatch.setenv("NEXTCLICK_SHADOW", "vstan.neighbours=50 markov")
    assert shadows() == wanted


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shadow": {"vstn": {}}}, "--shadow: there is no model 'vstn'; is it 'vstan'"),
        ({"shadow": {"vstan": {"neighbour": 1}}}, "no option 'neighbour'; is it 'neighbours'"),
        ({"shadow": {"gru4rec": {"hidden": 0}}}, "--shadow gru4rec: hidden must be at least 1"),
        ({"shadow": {"vstan": {"neighbours": "many"}}}, "--shadow, model vstan: neighbours"),
        ({"interleave": "vstan"}, "--serve, or --recommendations with --recommend every"),
        ({"interleave": "vstan", "recommendations": "lists.jsonl"}, "--recommend every"),
        ({"interleave": "vstn", "serve": "0"}, "--interleave: there is no model 'vstn'"),
        ({"interleave": "", "serve": "0"}, "--interleave is empty"),
        ({"shadow": "vstan"}, "shadow"),
        ({"shadow": {"vstan": 3}}, "shadow"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        RunConfig(**options)


@pytest.mark.parametrize("given", ["vstan.=3", ".k=3", "k=3", "vstan,vstan", "vstan.neighbours="])
def test_a_wrong_text_is_named(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "sim:clicks=10", "--shadow", given) == 2
    assert "--shadow" in capsys.readouterr().err


def test_a_shadow_that_cannot_be_made_or_takes_no_such_batch_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match="model vstan: neighbours, sample"):
        run("sim:clicks=10", config(shadow={"vstan": {"neighbours": -1}}))
    monkeypatch.setitem(RIVALS, "recent", Recent)
    monkeypatch.setattr(Recent, "largest_batch", 10, raising=False)
    with pytest.raises(ConfigError, match="batch must be at most 10 for the shadow recent, not 64"):
        run("sim:clicks=10", config(shadow={"recent": {}}))
    monkeypatch.setattr(Recent, "largest_batch", None)
    with pytest.raises(ConfigError, match="--interleave recent: it answers no requests"):
        run("sim:clicks=10", config(interleave="recent", recommendations="/dev/null"))


def test_the_table_and_the_page_show_them(whole: tuple[dict[str, Any], Path]) -> None:
    result = whole[0]
    result["shadows"][1]["dropped"] = {"clicks": 1200, "why": "ValueError: <no>"}
    page = report_page(result).decode()
    cells = [str(cell) for column in summary(result).columns for cell in column.cells]
    assert "dropped at click 1,200" in cells
    assert "shadow vstan" in cells
    for shadow in result["shadows"]:
        apart = shadow["differences"]["recall@20"]
        shown = f"{apart['difference']:+.4f} ({apart['low']:+.4f} to {apart['high']:+.4f})"
        assert shown in page
        assert shown in cells
    share = result["interleaved"]["preference"]
    assert f"{share:.3f} (" in page
    assert any(cell.startswith(f"{share:.3f} (") for cell in cells)
    # Without intervals, as after few clicks.
    for apart in result["shadows"][0]["differences"].values():
        apart |= {"low": None, "high": None, "real": False}
    assert report_page(result)
    summary(result)
