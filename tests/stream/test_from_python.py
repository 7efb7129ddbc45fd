from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from nextclick.connectors import Clicks, SourceError
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream import (
    CompareConfig,
    ConfigError,
    Engine,
    Prequential,
    RunConfig,
    Sessionizer,
    Snapshots,
    compare,
    run,
)
from nextclick.stream.comparison.arena import Arena
from nextclick.stream.runner import UnwrittenError
from tests.small_models import Recent

SMALL: dict[str, Any] = {"hidden": 8, "n_negatives": 16}


class Arrays:
    """A source as somebody may write it: arrays of numpy, and no more than a run needs."""

    gap = None
    warnings: tuple[str, ...] = ()

    def __init__(self, clicks: int, position: bool = True) -> None:
        self.sessions = np.arange(clicks) // 4
        self.items = np.array([f"item {n % 7}" for n in range(clicks)])
        self.times = np.arange(clicks)
        self.at, self.position = 0, position

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        part = slice(self.at, self.at + limit)
        if self.at >= len(self.items):
            return None
        self.at = min(self.at + limit, len(self.items))
        where = {"row": np.int64(self.at)} if self.position else {}
        sessions: Any = self.sessions[part]
        items: Any = self.items[part]
        times: Any = self.times[part]
        return Clicks(sessions, items, times, where)

    def seek(self, position: dict[str, Any]) -> None:
        self.at = position["row"]

    def commit(self, position: dict[str, Any]) -> None:
        pass


def engine(source: Any, **options: Any) -> Engine:
    model = OnlineGRU4Rec(GRU4RecConfig(**SMALL), device="cpu")
    sessionizer = options.pop("sessionizer", None) or Sessionizer(100.0, 10.0, 1000)
    return Engine(source, model, sessionizer, **options)


def test_a_source_of_ones_own_may_give_arrays(tmp_path: Path) -> None:
    snapshots = Snapshots(str(tmp_path))
    whole = engine(Arrays(200), snapshots=snapshots)
    whole.run()
    snapshots.close()
    assert (whole.clicks, whole.learned) == (200, 200)
    found = Snapshots(tmp_path).load_newest()
    assert found is not None
    again = engine(Arrays(260))
    again.restore(found[0])
    again.run()
    assert (again.clicks, again.learned) == (260, 260)


def test_without_a_position_there_are_no_snapshots_but_there_is_a_run(tmp_path: Path) -> None:
    run = engine(Arrays(10, position=False))
    run.run()
    assert run.learned == 10
    with pytest.raises(SourceError, match=r"Arrays\.poll: it returned no position.*snapshot"):
        engine(Arrays(10, position=False), snapshots=Snapshots(tmp_path)).run()


def test_what_an_engine_cannot_use_is_told_when_it_is_made() -> None:
    class Sink:
        name = "mine"

        def write(self, record: Any) -> None:
            pass

    with pytest.raises(TypeError, match="list cannot be an engine's source: it has no poll, seek"):
        engine([1, 2])
    with pytest.raises(TypeError, match=r"Sink cannot be an engine's recommendations: .* full"):
        engine(Arrays(1), recommendations=Sink())
    model: Any = OnlineGRU4Rec(GRU4RecConfig(**SMALL), device="cpu")
    with pytest.raises(TypeError, match="OnlineGRU4Rec cannot be an engine's sessionizer"):
        engine(Arrays(1), sessionizer=model)


def test_a_model_that_takes_no_times_is_told_what_it_lacks_when_the_engine_is_made() -> None:
    class Older(Recent):
        def test(self, sessions: Any, items: Any, k: int = 0) -> Any:  # type: ignore[override]
            return super().test(sessions, items, k)

        def recommend_after(self, sessions: Any, items: Any, k: int = 20) -> Any:  # type: ignore[override]
            return super().recommend_after(sessions, items, k)

    older: Any = Older()
    source: Any = Arrays(1)
    methods = "test, recommend_after"
    remedy = f"its {methods} must take `times` as the last argument, None by default; see Recomm"
    sessionizer = Sessionizer(100.0, 10.0, 1000)
    with pytest.raises(TypeError, match=f"Older cannot be an engine's model: {remedy}"):
        Engine(source, older, sessionizer)
    with pytest.raises(TypeError, match=f"Older cannot be an engine's model 'mine': {remedy}"):
        Arena({"mine": older}, [20])


@pytest.mark.parametrize("after", [False, True])
def test_a_model_is_given_the_times_of_the_clicks_that_it_is_given(after: bool) -> None:
    class Noting(Recent):
        def __init__(self) -> None:
            super().__init__()
            self.learned: list[Any] = []
            self.asked: list[Any] = []

        def test_then_learn(self, sessions: Any, items: Any, *more: Any) -> Any:
            if len(more) > 1:  # Not for a test that is undone.
                self.learned += zip(items, more[2].tolist(), strict=True)
            return super().test_then_learn(sessions, items, *more)

        def test(self, sessions: Any, items: Any, k: int = 0, times: Any = None) -> Any:
            self.asked += zip(items, times.tolist(), strict=True)
            return super().test(sessions, items, k, times)

        def recommend_after(self, sessions: Any, items: Any, k: int = 20, times: Any = None) -> Any:
            self.asked += zip(items, times.tolist(), strict=True)
            return super().recommend_after(sessions, items, k, times)

    class Late(Arrays):
        def __init__(self, clicks: int) -> None:
            super().__init__(clicks)
            self.times[3::10] -= 10_000  # These are not given to the model.

    class Sink:
        name, full = "kept", False

        def write(self, record: Any) -> None:
            pass

        def flush(self) -> None:
            pass

        def sync(self) -> int:
            return 0

        def commit(self, length: int) -> None:
            pass

    source: Any = Late(5000)
    model, sink, sessionizer = Noting(), Sink(), Sessionizer(100.0, 10.0, 1000)
    options: dict[str, Any] = {"recommendations": sink, "after": after, "max_wait": 0.0}
    part = Engine(source, model, sessionizer, batch=2000, **options)
    part.run()
    assert part.late > 0
    assert len(model.learned) == part.learned == 5000 - part.late
    given = set(zip(source.items.tolist(), source.times.tolist(), strict=True))
    assert model.asked
    assert set(model.asked) <= set(model.learned) <= given


@pytest.mark.parametrize(
    "make",
    [
        lambda: engine(Arrays(1), batch=0),
        lambda: engine(Arrays(1), batch=-3),
        lambda: engine(Arrays(1), batch="64"),
        lambda: engine(Arrays(1), k=0),
        lambda: engine(Arrays(1), max_wait=-1),
        lambda: engine(Arrays(1), max_wait="100ms"),
        lambda: engine(Arrays(1)).run(max_clicks=-1),
        lambda: Sessionizer(-1, 0, 10),
        lambda: Sessionizer(float("nan"), 0, 10),
        lambda: Sessionizer(1, 0, 0),
        lambda: Sessionizer(1, 0, True),
        lambda: Sessionizer("30m", 0, 10),  # type: ignore[arg-type]
        lambda: Prequential(k=0),
        lambda: Prequential(k=2.5),  # type: ignore[arg-type]
        lambda: Prequential(window="all"),  # type: ignore[arg-type]
        lambda: Snapshots("folder", keep=0),
    ],
)
def test_a_number_out_of_range_is_told_by_name(make: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\w+ must be (at least|a (whole )?number)"):
        make()


@pytest.mark.parametrize(
    ("keys", "times"),
    [
        (["a"], [1.0, 2.0]),
        (["a", "b"], [1.0]),
        (["a"], [np.nan]),
        ([None], [1.0]),
        ([1.5], [1.0]),
        ([True], [1.0]),
    ],
)
def test_a_sessionizer_refuses_what_would_harm_it(keys: Any, times: Any) -> None:
    sessionizer = Sessionizer(100.0, 10.0, 10)
    with pytest.raises((TypeError, ValueError), match=r"time|key"):
        sessionizer.assign(keys, np.array(times))
    assert sessionizer.live == 0


def test_a_sessionizer_takes_columns_of_numpy() -> None:
    sessionizer = Sessionizer(100.0, 10.0, 10)
    keys: Any = np.array([7, 7, 8])
    assert sessionizer.assign(keys, np.array([1, 2, 3])).handles.tolist() == [0, 0, 1]
    assert [type(key) for key in sessionizer.state().values["keys"]] == [int, int]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": "64"}, r"the options: 'batch': expected int, got str \('64'\)"),
        ({"batch": True}, "expected int, got bool"),
        ({"bach": 3}, "there is no option 'bach'; is it 'batch'?"),
        ({"model": {"hiden": 8}}, r"table \[model\]: there is no option 'hiden'; is it 'hidden'?"),
        ({"model": {"window": 0}}, "window must be at least 1, not 0"),
        ({"model": {"hidden": -1}}, "hidden must be at least 1, not -1"),
        ({"batch": 70_000}, "--batch must be at most 65,536, not 70,000"),
        ({"device": "tpu"}, "expected one of auto, cpu, cuda, got 'tpu'"),
        ({"on_missing_offsets": "now"}, "expected one of earliest, latest, got 'now'"),
        ({"kafka": [1]}, "'kafka': expected table, got array"),
    ],
)
def test_a_configuration_made_by_a_call_is_checked(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RunConfig(**options)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["gru4rec"], "'models': expected table, got array"),
        ({"a": {}}, "there is no model 'a'"),
        ({"gru4rec": {"hiden": 8}}, "model gru4rec: there is no option 'hiden'"),
        ({"gru4rec": {"hidden": "8"}}, "model gru4rec: .*'hidden'"),
        ({"markov": {"followers": "x"}}, "model markov: followers: Expected `int`"),
    ],
)
def test_the_models_of_a_comparison_are_checked_when_it_is_configured(
    models: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        CompareConfig(models=models)


def test_tables_paths_and_numbers_of_numpy_are_taken() -> None:
    options: dict[str, Any] = {
        "model": SMALL,
        "batch": np.int64(32),
        "gap": np.float32(60),
        "partitions": (1, 0),
    }
    paths = ("snapshots", "json", "report", "recommendations", "dead_letters")
    options |= {name: Path("out", name) for name in paths}
    config = RunConfig(**options)
    assert config.model == GRU4RecConfig(**SMALL)
    assert (config.batch, config.gap, config.partitions) == (32, 60.0, [1, 0])
    assert [getattr(config, name) for name in paths] == [f"out/{name}" for name in paths]
    json.dumps(config.public())


def test_a_changed_copy_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="'batch': expected int"):
        msgspec.structs.replace(RunConfig(), batch="64")
    with pytest.raises(ConfigError, match="--batch must be at least 1"):
        msgspec.structs.replace(RunConfig(), batch=0)


@pytest.mark.parametrize(
    "options", [{"hidden": "8"}, {"bias": 1}, {"alpha": "high"}, {"memory": 1.5}]
)
def test_a_recipe_made_by_a_call_is_checked(options: Any) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))}: expected"):
        GRU4RecConfig(**options)


def test_run_writes_the_files_that_its_configuration_names(tmp_path: Path) -> None:
    config = RunConfig(
        model=SMALL,
        device="cpu",
        json=tmp_path / "new" / "run.json",  # type: ignore[arg-type]
        report=tmp_path / "run.html",  # type: ignore[arg-type]
    )
    result = run("sim:clicks=100", config)
    assert json.loads((tmp_path / "new" / "run.json").read_bytes())["clicks"] == result["clicks"]
    assert "<html" in (tmp_path / "run.html").read_text(encoding="utf-8")


def test_compare_writes_the_files_that_its_configuration_names(tmp_path: Path) -> None:
    config = CompareConfig(
        models={"markov": {}, "popularity": {}},
        json=str(tmp_path / "arena.json"),
        report=str(tmp_path / "arena.html"),
    )
    result = compare("sim:clicks=100", config)
    written = json.loads((tmp_path / "arena.json").read_bytes())
    assert written["models"].keys() == result["models"].keys()
    assert (tmp_path / "arena.html").stat().st_size > 1000


def test_where_one_file_cannot_be_written_the_other_is(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    config = RunConfig(
        model=SMALL,
        device="cpu",
        json=str(full),
        report=str(tmp_path / "run.html"),
    )
    with pytest.raises(UnwrittenError, match=r"^--json /dev/full cannot be written: No space") as e:
        run("sim:clicks=100", config)
    assert e.value.result["clicks"] == 100
    assert (tmp_path / "run.html").exists()


@pytest.mark.parametrize("config", [None, {"batch": 3}, CompareConfig(models={"markov": {}})])
def test_a_run_takes_a_configuration_of_a_run(config: Any) -> None:
    with pytest.raises(ConfigError, match=r"give RunConfig\(\.\.\.\)"):
        run("sim:clicks=10", config)
