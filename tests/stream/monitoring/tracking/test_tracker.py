from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
from typer.testing import CliRunner

from nextclick.connectors import SourceError
from nextclick.stream import CompareConfig, RunConfig, compare, run
from nextclick.stream.cli.app import app
from nextclick.stream.config.options import ConfigError
from nextclick.stream.monitoring.tracking.make import make_trackers

SPEC = "sim:clicks=4000,items=100"


class Told:
    """A tracker that keeps what it is told, and may fail."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._fails = fails

    def _take(self, what: str, *facts: Any) -> None:
        self.calls.append((what, *facts))
        if what == self._fails:
            raise OSError("no space left")

    def started(self, config: Mapping[str, Any]) -> None:
        self._take("started", config)

    def figures(self, clicks: int, figures: Mapping[str, float]) -> None:
        self._take("figures", clicks, figures)

    def ended(self, result: Mapping[str, Any] | None) -> None:
        self._take("ended", result)


def test_a_tracker_is_told_the_options_figures_on_the_way_and_the_result() -> None:
    told = Told()
    result = run(SPEC, RunConfig(learner="markov", seed=3), trackers=[told])
    what = [call[0] for call in told.calls]
    assert what == ["started", "figures", "figures", "figures", "ended"]
    assert told.calls[0][1]["seed"] == 3
    clicks = [call[1] for call in told.calls if call[0] == "figures"]
    assert [round(at, -3) for at in clicks] == [1000, 2000, 3000]
    assert 0 < told.calls[2][2]["recall@20"] < 1
    assert told.calls[-1][1] == result


def test_a_comparison_tells_the_figures_of_each_model() -> None:
    told = Told()
    config = CompareConfig(models={"markov": {}, "rules": {}}, k=[5])
    result = compare(SPEC, config, trackers=[told])
    last = [call for call in told.calls if call[0] == "figures"][-1]
    assert set(last[2]) == {
        f"{model}/{figure}@5"
        for model in ("markov", "rules")
        for figure in ("recall", "mrr", "ndcg")
    }
    assert told.calls[-1][1]["models"] == result["models"]


def test_a_run_that_goes_on_tells_where_it_is(tmp_path: Any) -> None:
    folder = str(tmp_path / "snapshots")
    run(SPEC, RunConfig(learner="markov", snapshots=folder, max_clicks=2500))
    told = Told()
    run(SPEC, RunConfig(learner="markov", snapshots=folder), trackers=[told])
    assert [call[1] >= 2500 for call in told.calls if call[0] == "figures"] == [True, True]


@pytest.mark.parametrize("fails", ["started", "figures", "ended"])
def test_a_tracker_that_fails_stops_no_run(fails: str) -> None:
    notes: list[str] = []
    broken, other = Told(fails), Told()
    config = RunConfig(learner="markov")
    result = run(SPEC, config, notes.append, trackers=[broken, other])
    plain = run(SPEC, config)
    assert result["recall@20"] == plain["recall@20"]
    # It is asked no more, and the others are.
    assert [call[0] for call in broken.calls].count(fails) == 1
    assert broken.calls[-1][0] == fails
    assert other.calls[-1] == ("ended", result)
    assert [note for note in notes if "no space left" in note] == [
        "tracking with Told has failed, and goes no further: OSError: no space left"
    ]


def test_a_tracker_is_told_that_a_run_has_failed(tmp_path: Any) -> None:
    told = Told()
    with pytest.raises(SourceError):
        run(str(tmp_path / "missing.csv"), RunConfig(learner="markov"), trackers=[told])
    assert told.calls[-1] == ("ended", None)


def test_being_tracked_changes_no_figure() -> None:
    config = RunConfig(model={"hidden": 8, "n_negatives": 8}, device="cpu", max_clicks=1500)
    tracked, plain = run(SPEC, config, trackers=[Told()]), run(SPEC, config)
    for figure in ("recall@20", "mrr@20", "ndcg@20"):
        assert tracked[figure] == plain[figure]


@pytest.mark.parametrize(
    ("text", "said"),
    [("wandbe", "is it 'wandb'?"), ("", "There are tensorboard, mlflow, wandb")],
)
def test_a_tracker_that_there_is_not_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"--track.*there is no tracker"):
        RunConfig(track=[text])
    with pytest.raises(ConfigError) as refused:
        CompareConfig(models={"markov": {}}, track=["tensorboard", text])
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_without_its_extra_a_tracker_says_how_to_install_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    for module in [each for each in sys.modules if each.startswith(f"torch.utils.{name}")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, f"nextclick.stream.monitoring.tracking.{name}", raising=False)
    with pytest.raises(ConfigError, match=rf"pip install 'nextclick\[{name}\]'"):
        make_trackers([name])
    shown = CliRunner().invoke(app, ["run", SPEC, f"--track={name}"])
    assert isinstance(shown.exception, ConfigError)
