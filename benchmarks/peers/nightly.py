"""The official GRU4Rec retrained every night, against one pass of nextclick over the same days.

For example, from the repository's root (`parity.py` says how to get the official code):

    .venv/bin/python -m benchmarks.peers.nightly --json nightly.json \
        --official /tmp/official --python /tmp/official_env/bin/python

The log's last column names the day of each click, as `yoochoose`'s does. After each day but the
last the official code trains a new model with one of its own files of settings, on all days so far
or on the last ones, and is tested on the next day by its own evaluation. nextclick reads the log
once, as ``nextclick run`` does, and scores every click before it learns it.

Both are judged on the same clicks. The nightly model can be asked about those whose item it has
learned and that follow a click on another such item in their session; so these are the clicks of
the figures *known*. Over *all* clicks but the first of each session, the others are misses of the
nightly model. Every program has one thread; seconds are the process's time on processors, of
reading and training for the nightly model, of everything for nextclick. What is done is written to
the JSON file after each night, and not done again.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pyarrow.csv
import typer
from numpy.typing import ArrayLike, NDArray

from benchmarks.quality.tables import header, percent, row
from benchmarks.speed.measuring import YOOCHOOSE, Log, alone, machine
from nextclick.connectors import LogSource
from nextclick.stream import Engine, Prequential
from nextclick.stream.config.model_factory import make_model
from nextclick.stream.config.run import RunConfig
from nextclick.stream.learned import make_engine

K, SEED = 20, 42

Figures = tuple[float, float]
"""Recall@20 and MRR@20."""


class Days(NamedTuple):
    """A log's clicks by day: numbers of sessions and items, and the day of each click, from 0."""

    sessions: NDArray[np.int64]
    items: NDArray[np.int64]
    days: NDArray[np.int64]

    @property
    def n_days(self) -> int:
        """How many days there are."""
        return int(self.days[-1]) + 1

    def between(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the numbers of the clicks of some days, the last included."""
        return np.flatnonzero((self.days >= first) & (self.days <= last))


class Ranks(Prequential):
    """The figures of a run, which also keep the rank of every click: -1 where it had none."""

    def __init__(self, clicks: int) -> None:
        super().__init__()
        self.ranks = np.full(clicks, -1)

    def update(self, ranks: ArrayLike, positions: ArrayLike, times: ArrayLike) -> None:
        """Keep the ranks, then count them."""
        self.ranks[np.asarray(positions) - 1] = ranks
        super().update(ranks, positions, times)


def read_days(log: Path, column: str) -> Days:
    """Read a log by its columns."""
    table = pyarrow.csv.read_csv(log)
    columns = (table[name].to_numpy() for name in ("session_id", "item_id", column))
    return Days(*(np.unique(column, return_inverse=True)[1] for column in columns))


def judged(days: Days, first: int, last: int, day: int) -> NDArray[np.int64]:
    """Return the clicks of a day that a model of other days can be asked about, as above."""
    known = np.zeros(days.items.max() + 1, np.bool_)
    known[days.items[days.between(first, last)]] = True
    clicks = days.between(day, day)
    clicks = clicks[known[days.items[clicks]]]
    seen = np.unique(days.sessions[clicks], return_index=True)[1]
    return np.delete(clicks, seen)


def figures_of(ranks: NDArray[np.int64]) -> Figures:
    """Return Recall@20 and MRR@20 of ranks, 0 for a miss."""
    hits = (ranks > 0) & (ranks <= K)
    return float(hits.mean()), float(np.where(hits, 1 / np.maximum(ranks, 1), 0).mean())


def write(days: Days, clicks: NDArray[np.int64], path: Path) -> None:
    """Write clicks in the official format; the time is the place in the log."""
    columns = np.stack([days.sessions[clicks], days.items[clicks], clicks], axis=1)
    np.savetxt(path, columns, "%d", "\t", header="SessionId\tItemId\tTime", comments="")


def one_pass(log: Path, ends: Sequence[int]) -> tuple[NDArray[np.int64], list[float]]:
    """Run nextclick over a log; return every click's rank, and the seconds up to each day's end."""
    config = RunConfig()
    ranks, seconds = Ranks(ends[-1]), [0.0] * len(ends)
    began = time.process_time()
    source = LogSource(log)
    engine = make_engine(source, config, make_model(config), None, str(log))
    engine.figures = ranks

    def progress(engine: Engine) -> None:
        day = int(np.searchsorted(ends, engine.clicks))
        seconds[day] = time.process_time() - began

    engine.run(progress=progress)
    if engine.clicks != ends[-1]:
        raise SystemExit(f"{log}: records were rejected, so that clicks and days do not fit")
    return ranks.ranks, seconds


class Nights:
    """What has been found, night by night, kept in a file.

    Parameters
    ----------
    days
        The log.
    file
        Where it is kept; what it holds already is not done again.
    options
        Those of the official code.

    """

    def __init__(self, days: Days, file: Path, options: dict[str, Any]) -> None:
        self.days, self.file, self.options = days, file, options
        self.found: dict[str, Any] = {"options": options, "machine": machine("cpu"), "nights": {}}
        if file.exists():
            self.found = json.loads(file.read_text())
        if self.found["options"] != options:
            raise SystemExit(f"{file} holds nights with other options: name another file")

    def save(self) -> None:
        """Write everything found so far."""
        self.file.write_text(json.dumps(self.found, indent=1))

    def pass_once(self, log: Path) -> None:
        """Run nextclick, and note its figures on the clicks of every night's tests."""
        if "nextclick" in self.found:
            return
        days = self.days
        ends = [int(days.between(day, day)[-1]) + 1 for day in range(days.n_days)]
        ranks, seconds = alone(one_pass, log, ends)
        tests: dict[str, Any] = {}
        for day in range(1, days.n_days):
            of_day = days.between(day, day)
            scored = of_day[ranks[of_day] >= 0]
            tests[f"all {day}"] = [*figures_of(ranks[scored]), len(scored)]
            for first in range(day):
                of_night = judged(days, first, day - 1, day)
                tests[f"{first}-{day - 1} {day}"] = [*figures_of(ranks[of_night]), len(of_night)]
            frozen = judged(days, 0, 0, day)
            tests[f"0-0 {day}"] = [*figures_of(ranks[frozen]), len(frozen)]
        self.found["nextclick"] = {"seconds": seconds, "tests": tests}
        self.save()

    def train(self, first: int, last: int, official: Path, python: Path) -> None:
        """Train on some days and test on the next; a first night's model on all later ones."""
        nights, name = self.found["nights"], f"{first}-{last}"
        if name in nights:
            return
        tests = list(range(1, self.days.n_days)) if last == 0 else [last + 1]
        with tempfile.TemporaryDirectory() as folder:
            write(self.days, self.days.between(first, last), Path(folder, "train.tsv"))
            for day in tests:
                write(self.days, self.days.between(day, day), Path(folder, f"{day}.tsv"))
            runner = Path(__file__).with_name("run_official.py")
            options = json.dumps({**self.options, "tests": [str(day) for day in tests]})
            command = [str(python), str(runner), str(official), folder, options]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, stdout=subprocess.PIPE, env=environment)
        if done.returncode:
            raise SystemExit(f"the official code failed with {done.returncode}, see above")
        found = json.loads(done.stdout)
        for day, (_, _, clicks) in zip(tests, found["tests"], strict=True):
            if clicks != len(judged(self.days, first, last, day)):
                raise SystemExit(f"day {day}: {clicks:,} clicks were tested, not the judged ones")
        found["tests"] = dict(zip(map(str, tests), found["tests"], strict=True))
        nights[name] = found
        self.save()
        typer.echo(f"days {name}: {found}", err=True)

    def week(self, spans: Sequence[tuple[int, int]]) -> dict[str, Any]:
        """Return what one model has on each day, given the days that each was trained on.

        Returns
        -------
        dict
            By day: ``known`` and ``all``, Recall@20 and MRR@20 on either clicks; ``beside``, those
            of nextclick on the known clicks; and the ``seconds`` of the night before.

        """
        found: dict[str, Any] = {"known": [], "all": [], "beside": [], "seconds": []}
        own = self.found["nextclick"]["tests"]
        for day, (first, last) in enumerate(spans, 1):
            night = self.found["nights"][f"{first}-{last}"]
            recall, mrr, clicks = night["tests"][str(day)]
            share = clicks / own[f"all {day}"][2]
            found["known"].append([recall, mrr])
            found["all"].append([recall * share, mrr * share])
            found["beside"].append(own[f"{first}-{last} {day}"][:2])
            trained = (first, last) not in spans[: day - 1]
            found["seconds"].append(night["seconds"] if trained else 0.0)
        return found


def show(found: dict[str, Any]) -> None:
    """Print the tables of the weeks."""
    weeks = found["weeks"]
    own = found["nextclick"]
    header("trained on", "known: Recall@20/MRR@20", "nextclick there", "all", "seconds")
    for name, week in weeks.items():
        figures = [_pair(np.mean(week[which], axis=0)) for which in ("known", "beside", "all")]
        print(row(name, *figures, f"{sum(week['seconds']):,.0f}"))
    tests = own["tests"]
    days = range(1, len(own["seconds"]))
    mean = np.mean([tests[f"all {day}"][:2] for day in days], axis=0)
    print(row("nextclick", "", "", _pair(mean), f"{own['seconds'][-1]:,.0f}"))
    for which in ("known", "all"):
        header(which, *(f"{name}" for name in weeks), "nextclick")
        for day in days:
            beside = next(iter(weeks.values()))["beside"][day - 1]
            last = tests[f"all {day}"][:2] if which == "all" else beside
            print(
                row(f"day {day}", *(_pair(w[which][day - 1]) for w in weeks.values()), _pair(last))
            )


def _pair(figures: Any) -> str:
    return "/".join(map(percent, figures[:2]))


def main(
    json_file: Annotated[Path, typer.Option("--json", help="Keeps what has been found.")],
    official: Annotated[Path, typer.Option(help="A checkout of the official code.")] = Path(
        "/tmp/official"
    ),
    python: Annotated[Path, typer.Option(help="A Python with torch, numpy<2 and pandas.")] = Path(
        "/tmp/official_env/bin/python"
    ),
    log: Log = YOOCHOOSE,
    column: Annotated[str, typer.Option(help="The log's column of days.")] = "period",
    last: Annotated[
        list[int] | None, typer.Option(help="Also train on the last days only, so many.")
    ] = None,
    paramfile: Annotated[
        str, typer.Option(help="The official file of settings.")
    ] = "rsc15_xe_shared_100_best",
    epochs: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Run what has not been run yet, and print the tables."""
    days = read_days(log, column)
    options = {"paramfile": paramfile, "n_epochs": epochs, "seed": SEED}
    nights = Nights(days, json_file, options)
    nights.pass_once(log)
    spans = {"all days so far": [(0, day) for day in range(days.n_days - 1)]}
    for count in last or []:
        name = "the last day" if count == 1 else f"the last {count} days"
        spans[name] = [(max(0, day + 1 - count), day) for day in range(days.n_days - 1)]
    spans["the first day, frozen"] = [(0, 0)] * (days.n_days - 1)
    for span in dict.fromkeys(span for week in spans.values() for span in week):
        nights.train(*span, official, python)
    nights.found["weeks"] = {name: nights.week(week) for name, week in spans.items()}
    nights.save()
    show(nights.found)


if __name__ == "__main__":
    typer.run(main)
