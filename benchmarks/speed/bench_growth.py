"""Time a click and RAM, as catalogue, live sessions and sessions' length grow.

Every row has a process of its own and the same traffic: batches of 128 clicks, 96 of them scored.
The expected order of each column is said under its table. The first table is that of the catalogue,
with processor time by phase, which other programs on the machine hardly change:

    .venv/bin/python -m benchmarks.speed.bench_growth --catalogue-only
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Annotated

import numpy as np
import typer

from benchmarks.speed.measuring import Device, JsonFile, Report, alone, resident_mb, synchronise
from benchmarks.speed.stopwatch import PLACES, Stopwatch
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream import Sessionizer
from nextclick.stream.gc_freeze import freeze_garbage

BATCH = 128
EACH = 4
"""Clicks of a session of the traffic; the first of them waits among the live ones."""

PHASES: dict[str, tuple[str, ...]] = {
    "ranking": PLACES["rank"],
    "forward": PLACES["forward"],
    "loss": (*PLACES["loss"], *PLACES["backward"]),
    "update": PLACES["update"],
    "negatives": tuple(
        f"nextclick.models.items.popularity:Popularity.{name}"
        for name in ("sample", "expected", "learn", "forget")
    ),
    "vocabulary": tuple(
        f"nextclick.models.items.vocabulary:Vocabulary.{name}"
        for name in ("admit", "touch", "evict")
    ),
    "evidence": PLACES["recall"],
}
"""What a click's processor time is divided into as the catalogue grows."""

Traffic = Iterator[tuple[list[int], list[int], list[int]]]
"""Batches: sessions and items of the clicks, and the sessions that end after them."""


NETWORK = GRU4RecConfig(memory=0)


def filled(
    items: int, sessions: int, device: str, config: GRU4RecConfig = NETWORK
) -> tuple[OnlineGRU4Rec, Sessionizer]:
    """Return a model with a number of known items, and of live sessions of one click."""
    model = OnlineGRU4Rec(config, max_sessions=sessions + BATCH, max_items=items + 1, device=device)
    sessionizer = Sessionizer(float("inf"), 0.0, sessions + BATCH)
    for start in range(0, items, 16_384):
        part = list(range(start, min(start + 16_384, items)))
        for begin in range(0, len(part), sessions):
            some = part[begin : begin + sessions]
            model.learn_many([-1 - number for number in range(len(some))], some)
            model.forget([-1 - number for number in range(len(some))])
    for start in range(0, sessions, 16_384):
        names = list(range(start, min(start + 16_384, sessions)))
        model.learn_many(names, [name % items for name in names])
        sessionizer.assign(names, np.zeros(len(names)))
    return model, sessionizer


def steady(items: int, sessions: int) -> Traffic:
    """Return batches that go on with random live sessions, end them, and begin as many."""
    draws = np.random.default_rng(1)
    live = list(range(sessions))
    begun = sessions
    while True:
        number = BATCH // EACH
        chosen = draws.choice(len(live), number, replace=False).tolist()
        old = [live[place] for place in chosen]
        new = list(range(begun, begun + number))
        begun += number
        for place, name in zip(chosen, new, strict=True):
            live[place] = name
        names = old * (EACH - 1) + new
        yield names, draws.integers(0, items, BATCH).tolist(), old


def lengthening(items: int, length: int) -> Traffic:
    """Return batches of one click of each of 128 sessions, staggered, that all become so long."""
    draws = np.random.default_rng(1)
    names = list(range(BATCH))
    begun = BATCH
    for turn in range(1 << 40):
        ended = []
        yield names.copy(), draws.integers(0, items, BATCH).tolist(), []
        for lane in range(BATCH):
            # Each lane begins a new session every `length` turns, the lanes one after the other.
            if (turn + lane * length // BATCH) % length == length - 1:
                ended.append(names[lane])
                names[lane] = begun
                begun += 1


def bursting(items: int, length: int) -> Traffic:
    """Return batches in which the sessions come one after the other, each with all its clicks."""
    draws = np.random.default_rng(1)
    click = 0
    while True:
        names = [-1 - (click + place) // length for place in range(BATCH)]
        click += BATCH
        yield names, draws.integers(0, items, BATCH).tolist(), []


TRAFFIC: dict[str, Callable[[int, int], Traffic]] = {
    "steady": steady,
    "lengthening": lengthening,
    "bursting": bursting,
}


def timed(
    traffic: str, items: int, sessions: int, argument: int, seconds: float, device: str
) -> tuple[float, float, float, float | None]:
    """Return µs a click of model and sessionizer, those of ranking, and memory in MB."""
    before = resident_mb()
    model, sessionizer = filled(items, sessions, device)
    batches = TRAFFIC[traffic](items, argument)
    warm = 5 if traffic == "steady" else min(argument, 500) + 5
    model_seconds = session_seconds = 0.0
    clicks = turn = 0
    # Long sessions are first made long, without a clock.
    with freeze_garbage(), Stopwatch(clock=time.perf_counter) as watch:
        while model_seconds < seconds or clicks < 10 * BATCH:
            names, clicked, ended = next(batches)
            turn += 1
            if turn == warm:
                watch.reset()
                model_seconds = session_seconds = 0.0
                clicks = 0
            began = time.perf_counter()
            sessionizer.assign(names, np.full(len(names), 1.0))
            assigned = time.perf_counter()
            model.test_then_learn(names, clicked)
            model.forget(ended)
            synchronise(device)
            session_seconds += assigned - began
            model_seconds += time.perf_counter() - assigned
            clicks += len(names)
            if turn < warm:
                model_seconds = 0.0
        ranking = watch.told("rank")
    memory = resident_mb() - before
    each = 1e6 / clicks
    return (
        model_seconds * each,
        session_seconds * each,
        memory,
        None if ranking is None else ranking * each,
    )


def by_phase(items: int, test: bool, seconds: float) -> tuple[dict[str, float], float]:
    """Return µs of processor time a click, by phase and of all threads, and RAM in MB.

    With `test` of the default model, which ranks every click; else of the network alone, which
    learns without ranking any.
    """
    before = resident_mb()
    model, _ = filled(items, 1_000, "cpu", GRU4RecConfig() if test else NETWORK)
    learn = model.test_then_learn if test else model.learn_many
    traffic, began, clicks = steady(items, 1_000), 0.0, 0
    with freeze_garbage(), Stopwatch(PHASES) as watch:
        for turn, (names, clicked, ended) in enumerate(traffic):
            if turn == 10:
                watch.reset()
                began, clicks = time.process_time(), 0
            learn(names, clicked)
            model.forget(ended)
            clicks += len(names)
            if turn >= 30 and time.process_time() - began > seconds:
                break
        spent = {"all": time.process_time() - began, **watch.seconds}
    each = {phase: 1e6 * took / clicks for phase, took in spent.items()}
    return each, resident_mb() - before


def measure_catalogue(report: Report, seconds: float, largest: int) -> None:
    """Add the table of the catalogue by phase."""
    report.table(
        "Growth of the catalogue: µs of processor time a click, by phase",
        ["items", "all", *PHASES, "the rest", "learning alone", "RAM, MB"],
    )
    for phase, places in Stopwatch(PHASES).missing.items():
        report.note(f"'{phase}' cannot be told: {', '.join(places)} is not there.")
    for size in (size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= largest):
        spent, memory = alone(by_phase, size, True, seconds)
        learning, _ = alone(by_phase, size, False, seconds)
        parts = [spent[phase] for phase in PHASES]
        rest = spent["all"] - sum(parts)
        report.row(size, spent["all"], *parts, rest, learning["all"], memory)
    report.note(
        "The default model, with its memory; 'learning alone' is the network without memory or "
        "ranking. Expected: only ranking is linear in the catalogue. The others rise a little, as "
        "they read and write single rows of tables that no longer fit the processor's caches. RAM "
        "is linear."
    )


def measure(report: Report, device: str, seconds: float = 1.5, largest: int = 1_000_000) -> None:
    """Add the three tables of time by the clock."""
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= largest]
    columns = ["µs a click", "of it ranking", "the rest", "sessionizer, µs a click", "memory, MB"]

    def add(head: int, traffic: str, items: int, sessions: int, argument: int) -> None:
        model, assigned, memory, ranking = alone(
            timed, traffic, items, sessions, argument, seconds, device
        )
        # Where two threads share the ranking, their times together are more than the clock's.
        rest = None if ranking is None or ranking > model else model - ranking
        report.row(head, model, ranking, rest, assigned, memory)

    report.table("Growth of the catalogue; 1,000 live sessions", ["items", *columns])
    for size in sizes:
        add(size, "steady", size, 1_000, 1_000)
    report.note(
        "Expected: ranking is linear in the catalogue, and runs beside the learning where a core "
        "is free. The rest is constant. Memory is linear: two numbers for each of an item's 100, "
        "and its entries."
    )
    report.table("Growth of live sessions; 10,000 items", ["live sessions", *columns])
    for size in sizes:
        add(size, "steady", 10_000, size, size)
    report.note("Expected: constant time, memory linear.")
    for traffic, title in (
        ("lengthening", "one click of each of 128 sessions in a batch"),
        ("bursting", "a session's clicks one after the other"),
    ):
        report.table(f"Growth of sessions, {title}; 10,000 items", ["clicks a session", *columns])
        for length in (2, 5, 20, 100, 500):
            add(length, traffic, 10_000, 1_000, length)
        report.note(
            "Expected: rising until a session fills the window of five clicks, then constant."
            if traffic == "lengthening"
            else "Expected: the same, and a step of the network for each click that leaves the "
            "window within the batch, one after the other."
        )


def main(
    json_file: JsonFile = None,
    device: Device = "cpu",
    seconds: Annotated[float, typer.Option(help="That each row is measured.")] = 1.5,
    largest: Annotated[int, typer.Option(help="Leave out what is larger.")] = 1_000_000,
    catalogue_only: Annotated[
        bool, typer.Option("--catalogue-only", help="Only the table by phase.")
    ] = False,
) -> None:
    """Print the tables of growth."""
    report = Report(device, json_file)
    measure_catalogue(report, seconds, largest)
    if not catalogue_only:
        measure(report, device, seconds, largest)


if __name__ == "__main__":
    typer.run(main)
