"""Any model in service: runs, snapshots, recommendations and requests, as with the default one."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nextclick.connectors import open_source
from nextclick.stream import RunConfig, run
from nextclick.stream.cli.app import app
from nextclick.stream.config.learners import names
from nextclick.stream.config.model_factory import make_model
from nextclick.stream.config.options import ConfigError
from nextclick.stream.learned import load_model, make_engine
from nextclick.stream.serving import replica as replica_file
from nextclick.stream.serving.app import Access
from nextclick.stream.serving.replica import Replica
from nextclick.stream.serving.run import serve_engine
from nextclick.stream.serving.server import serve
from tests.stream.runs import figures
from tests.stream.serving.asking import CATALOGUE, HISTORY, Client, Fed, Served, query, until

SHOP = "sim:clicks=700,items=80,seed=1"
COMMAND = [sys.executable, "-c", "from nextclick.stream.__main__ import main; main()"]
NETWORK: dict[str, Any] = {"hidden": 8, "n_negatives": 8}
KEPT: dict[str, Any] = {"kept": 300}
WINDOWED: dict[str, Any] = {"size": 8, "n_negatives": 8}
SMALL: dict[str, dict[str, Any]] = {
    "gru4rec": {**NETWORK, "memory": 512},
    "gru4rec-unboosted": {**NETWORK, "memory": 512},
    **dict.fromkeys(("gru4rec-network", "gru4rec-lstm", "gru4rec-rnn"), NETWORK),
    "gru4rec-frozen": {**NETWORK, "warm_up": 300},
    "gru4rec-retrained": {**NETWORK, "keep": 500},
    **dict.fromkeys(("bert4rec", "bpr-mf", "fpmc", "sasrec"), WINDOWED),
    **dict.fromkeys(("stan", "vstan", "vsknn"), KEPT),
}
"""Options that make the models small."""
SOME = ("vstan", "popularity", "sasrec", "gru4rec-frozen", "gru4rec-network")
"""One of each kind."""

some_learners = pytest.mark.parametrize("learner", SOME)


def options(learner: str, **more: Any) -> RunConfig:
    return RunConfig(learner=learner, model=SMALL.get(learner, {}), device="cpu", **more)


def outcome(folder: Path, learner: str, **more: Any) -> tuple[dict[str, Any], bytes]:
    """Run on the shop with snapshots and recommendations; return the figures and the records."""
    records = folder / "records.jsonl"
    config = options(learner, snapshots=str(folder / "s"), recommendations=str(records), **more)
    return figures(run(SHOP, config)), records.read_bytes()


@pytest.mark.parametrize("learner", names())
def test_a_run_in_two_pieces_has_the_figures_and_records_of_one(
    learner: str, tmp_path: Path
) -> None:
    mode = "every" if learner in SOME else "scored"
    whole = outcome(tmp_path / "whole", learner, recommend=mode)
    outcome(tmp_path / "parts", learner, recommend=mode, max_clicks=400)
    assert outcome(tmp_path / "parts", learner, recommend=mode) == whole
    result, records = whole
    assert result["model"] == learner
    assert result["scored"] > 200
    lists = [json.loads(line) for line in records.splitlines()]
    if learner != "gru4rec-retrained":  # It is not trained before the first midnight.
        assert any(len(each["items"]) == 20 for each in lists)
    if mode == "every":
        clicks = open_source(SHOP).poll(700)
        assert clicks is not None
        assert len(lists) == 700
        for each, item in zip(lists, clicks.items, strict=True):
            assert item not in each["items"]


@pytest.mark.parametrize("learner", names())
def test_a_replica_frees_the_snapshot_that_it_no_longer_serves(
    learner: str, tmp_path: Path
) -> None:
    """At once: the garbage collector halts a server, and passes over what was there before it."""
    run(SHOP, options(learner, snapshots=str(tmp_path), max_clicks=400))
    replica = Replica(tmp_path, print)
    then = replica.loaded.engine
    then.model.recommend([1, 2, 3], 3)
    freed = [weakref.ref(part) for part in (then, then.model, then.sessionizer, then.figures)]
    del then
    run(SHOP, options(learner, snapshots=str(tmp_path)))
    gc.disable()
    try:
        assert replica.take_newest()
        assert [part() for part in freed] == [None] * 4
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_figures(tmp_path: Path) -> None:
    folder, log = tmp_path / "broken", "sim:clicks=200000,items=80,seed=1"
    command = [*COMMAND, "run", log, "--learner", "vstan"]
    command += ["--model", "kept=300", "--snapshots", str(folder / "s"), "--device", "cpu"]
    command += ["--recommendations", str(folder / "records.jsonl")]
    process = subprocess.Popen([*command, "--snapshot-every", "64clicks"], stderr=subprocess.PIPE)
    try:
        until(lambda: newest(folder) > 128 or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    end = newest(folder) + 1000
    broken = run(log, options("vstan", max_clicks=end, **at(folder)))
    whole = run(log, options("vstan", max_clicks=end, **at(tmp_path / "whole")))
    assert figures(broken) == figures(whole)
    records = [(tmp_path / name / "records.jsonl").read_bytes() for name in ("broken", "whole")]
    assert records[0] == records[1]


def newest(folder: Path) -> int:
    """Return how many clicks the newest snapshot of a run holds, 0 for none."""
    return max((int(path.name.split("-")[1]) for path in folder.glob("s/clicks-*")), default=0)


def at(folder: Path) -> dict[str, str]:
    return {"snapshots": str(folder / "s"), "recommendations": str(folder / "records.jsonl")}


@pytest.mark.parametrize("learner", names())
def test_the_commands_read_the_snapshots_of_every_model(learner: str, tmp_path: Path) -> None:
    outcome(tmp_path, learner, report=str(tmp_path / "r.html"))
    assert f"<h1>{learner}</h1>" in (tmp_path / "r.html").read_text()
    model = load_model(tmp_path / "s", print)
    assert model.name == learner
    shown = CliRunner().invoke(app, ["inspect", str(tmp_path / "s")]).output
    assert f"model     {learner}" in shown
    session = ["recommend", "--snapshots", str(tmp_path / "s"), "--session", "1,2,3", "-k", "3"]
    found = CliRunner().invoke(app, session)
    if learner == "gru4rec-retrained":  # It has not been trained before the first midnight.
        assert model.n_items == 0
        assert isinstance(found.exception, ConfigError)
    else:
        assert len(found.stdout.splitlines()) == 3


@contextmanager
def in_service(learner: str) -> Iterator[Served]:
    """Serve an engine that has learned a short history."""
    source, told = Fed(), list[str]()
    config = options(learner, serve="0", gap=1e6)
    engine = make_engine(source, config, make_model(config))  # type: ignore[arg-type]
    with serve_engine(engine, config, told.append) as service:
        thread = threading.Thread(target=engine.run)
        thread.start()
        try:
            address = next(each for each in told if "/v1/recommend" in each).split()[-1]
            made = Served(engine, source, service, address.removesuffix("/v1/recommend"))
            source.feed(*HISTORY * 2)
            until(lambda: engine.learned == 2 * len(HISTORY))
            yield made
            made.client.close()
        finally:
            source.end()
            thread.join()


@some_learners
def test_the_running_engine_answers(learner: str) -> None:
    with in_service(learner) as shop:
        client = shop.client
        assert client.json("/v1/stats")["model"] == learner
        last = HISTORY[-1]
        answer = client.json(query(session=last[0], k=5))
        assert answer["from"] == "session"
        assert len(answer["items"]) == 5
        assert last[1] not in client.best(session=last[0], k=99)
        assert client.json(query(session="anna"))["from"] == "popular"
        assert set(client.best(k=99)) == set(CATALOGUE)
        clicked: list[str] = []
        for item in (CATALOGUE[5], CATALOGUE[2]):
            shop.feed(("anna", item))
            clicked.append(item)
            number = shop.engine.sessionizer.number_of("anna")
            assert number is not None
            after = shop.engine.model.recommend_after([number] * len(clicked), clicked, 6)[-1]
            assert client.best(session="anna", k=6, exclude="none") == [one for one, _ in after]
            assert set(client.best(session="anna", k=99)) == set(CATALOGUE) - {item}
        left = set(client.best(session="anna", k=99, exclude="session"))
        assert left == set(CATALOGUE) - set(clicked)
        some = client.best(items=[CATALOGUE[1]], among=CATALOGUE[:4], without=[CATALOGUE[2]])
        assert set(some) == {CATALOGUE[0], CATALOGUE[3]}
        assert b"nextclick_catalogue_items 12.0" in client.ask("GET", "/metrics")[1]
        assert client.ask("GET", "/readyz")[0] == 200


@some_learners
def test_requests_change_no_figure(learner: str) -> None:
    with in_service(learner) as shop:
        for at in range(60):
            wanted = [
                {"session": f"old {at % 9}", "exclude": "session"},
                {"items": CATALOGUE[at % 5 : at % 9 + 3], "k": 3},
                {},
            ]
            shop.client.json("/v1/recommend", {"requests": wanted})
            shop.feed((f"old {at % 9}", CATALOGUE[at * at % 12]))
        asked = shop.engine
    source = Fed()
    config = options(learner, gap=1e6)
    alone = make_engine(source, config, make_model(config))  # type: ignore[arg-type]
    source.feed(*HISTORY * 2, *((f"old {at % 9}", CATALOGUE[at * at % 12]) for at in range(60)))
    source.end()
    alone.run()
    assert asked.results() == alone.results()
    one, other = asked.state()["model"], alone.state()["model"]
    assert one.values == other.values
    assert all((one.arrays[name] == other.arrays[name]).all() for name in one.arrays)


@some_learners
def test_a_replica_answers_and_takes_new_snapshots(
    learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_file, "LOOK_SECONDS", 0.05)
    config = options(learner, snapshots=str(tmp_path), max_clicks=300)
    run(SHOP, config)
    told: list[str] = []
    replica = Replica(tmp_path, told.append)
    with serve(replica, "127.0.0.1", 0, Access()) as address, replica.following():
        client = Client(address)
        for clicks in (300, 600):
            if clicks > 300:
                run(SHOP, options(learner, snapshots=str(tmp_path), max_clicks=clicks))
                until(lambda: replica.loaded.engine.clicks == 600)
            model = load_model(tmp_path, print)
            items = [item for item in range(80) if model.knows(item)][:3]
            best = client.best(items=items, k=5, exclude="none")
            assert best == [item for item, _ in model.recommend(items, 5)]
            assert client.json("/v1/stats")["model"] == learner
            read = open_source(SHOP).poll(clicks)
            assert read is not None
            answer = client.json(query(session=read.sessions[-1]))
            assert (answer["from"], answer["model"]["clicks"]) == ("session", clicks)
        client.close()
    assert not told


def test_the_options_of_a_model_come_from_flags_a_file_the_environment_and_python(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.toml"
    path.write_text('learner = "vstan"\n[model]\nkept = 50\nidf = 2\n')
    arguments = ["run", "sim:clicks=50", "--config", str(path), "--model", "idf=3"]
    arguments += ["--json", str(tmp_path / "r.json")]
    ended = CliRunner().invoke(app, arguments, env={"NEXTCLICK_MODEL": "idf=4 share=0.25"})
    assert ended.exit_code == 0, ended.exception
    found = json.loads((tmp_path / "r.json").read_bytes())["config"]
    assert found["learner"] == "vstan"
    model = found["model"]
    assert (model["kept"], model["idf"], model["share"]) == (50, 3.0, 0.25)
    # The others are there too, at their defaults, so that a resumed run can compare them.
    assert model["neighbours"] == 200
    python = RunConfig(learner="vstan", model={"kept": 50, "idf": 3, "share": 0.25})
    assert python.public()["model"] == model
    assert RunConfig(learner="vstan", model=python.model) == python


def test_a_run_goes_on_with_the_model_that_it_was_begun_with(tmp_path: Path) -> None:
    def go_on(**more: Any) -> None:
        run("sim:clicks=100", RunConfig(snapshots=str(tmp_path), device="cpu", **more))

    go_on(learner="markov")
    go_on(learner="markov", model={"followers": 200})
    for more, message in (
        ({}, "was started with --learner markov, not with --learner gru4rec.*--fresh"),
        ({"learner": "rules"}, "--learner markov, not with --learner rules"),
        (
            {"learner": "markov", "model": {"followers": 7}},
            "model.followers 200, not with model.followers 7",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            go_on(**more)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learner", "vstam"], r"--learner: there is no model 'vstam'; is it 'vstan'\? There"),
        (["--learner", ""], "--learner: there is no model ''"),
        (["--learner", "vstan", "--memory", "off"], "--memory.*vstan has no such memory.*gru4rec"),
        (["--learner", "vstan", "--model", "hidden=8"], "model vstan: there is no option 'hidden'"),
        (["--learner", "vstan", "--model", "idf=high"], "model vstan: idf: Expected `float`"),
        (["--learner", "vstan", "--model", "share=-1"], "model vstan: share is more than 0"),
        (["--learner", "markov", "--model", "steps=3"], "model markov: there is no option 'steps'"),
        (["--learner", "gru4rec-lstm", "--model", "cell=gru"], "there is no option 'cell'"),
        (["--learner", "gru4rec-network", "--memory", "9"], "with memory = 0: leave memory out"),
        (["--learner", "sasrec", "--begin-from", "x"], "--begin-from.*gru4rec only.*sasrec"),
        (["--learner", "vstan", "--model", "kept=10000000000"], "model vstan.*kept="),
    ],
)
def test_what_cannot_be_is_told_in_a_line(arguments: list[str], message: str) -> None:
    ended = CliRunner().invoke(app, ["run", "sim:clicks=50", *arguments])
    assert isinstance(ended.exception, ConfigError)
    with pytest.raises(ConfigError, match=message):
        raise ended.exception
    assert "\n" not in str(ended.exception)


@pytest.mark.parametrize("learner", names())
def test_the_help_shows_the_options_of_the_named_model(learner: str) -> None:
    for arguments in (
        ["--learner", learner, "--help-model"],
        ["--help-model", f"--learner={learner}"],
    ):
        ended = CliRunner().invoke(app, ["run", *arguments])
        assert ended.exit_code == 0
        lines = ended.output.splitlines()
        # Each option has its line, and below it what it is.
        heads = [line for line in lines if "[default: " in line]
        assert heads
        assert len(lines) >= 2 * len(heads)
        assert all(line.strip() for line in lines)
    environ = {"NEXTCLICK_LEARNER": learner}
    assert CliRunner().invoke(app, ["run", "--help-model"], env=environ).output == ended.output
