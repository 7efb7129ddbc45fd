"""Clicks and scored pairs a second of the whole engine, and where the time goes.

Reads a log from its bytes, and the same clicks from a Kafka topic; every scored click is ranked
exactly among the whole catalogue, which is that of the whole log from the start. A topic is read
from a broker started as the tests start theirs (see ``KAFKA_HOME``), or from ``--broker``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import torch
import typer

from benchmarks.speed.measuring import YOOCHOOSE, Device, JsonFile, Log, Report, cores, on_cores
from benchmarks.speed.stopwatch import PLACES, Stopwatch
from nextclick.connectors import KafkaSource, LogSource, Source, parse_address
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, State
from nextclick.stream import Engine, Sessionizer, Snapshots

BATCHES = (1, 32, 128, 512)
HIDDEN = (100, 512)
READING = ("read", "decode", "poll")

PUBLISHED = 100_000
"""Clicks in the topic."""

NETWORK = GRU4RecConfig(memory=0)
"""The network alone, with its defaults: 2,048 negatives, gradients through five clicks."""


class Run(NamedTuple):
    """What one run gave: clicks, scored pairs and seconds, and each phase's seconds."""

    clicks: int
    pairs: int
    seconds: float
    phases: dict[str, float | None]


def primed(log: Path, recipe: GRU4RecConfig, device: str) -> State:
    """Return the state of a model that knows every item of a log and has learned nothing else."""
    clicks = LogSource(log).poll(1 << 40)
    assert clicks is not None
    model = OnlineGRU4Rec(recipe, device=device)
    items = list(dict.fromkeys(clicks.items))
    for start in range(0, len(items), 4096):
        part = items[start : start + 4096]
        # Sessions of one click each, under names that the engine does not use.
        names = list(range(-len(part), 0))
        model.learn_many(names, part)
        model.forget(names)
    return model.state()


def run(
    source: Source,
    recipe: GRU4RecConfig,
    state: State,
    batch: int,
    seconds: float,
    device: str,
    places: Mapping[str, Sequence[str]] = PLACES,
) -> Run:
    """Run an engine for some seconds after a start that does not count.

    With no `places` the phases are not measured, which on a GPU would make every one wait for the
    card.
    """

    def settled() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    # Half of the machine's cores go to torch: with more than one each, its threads count too.
    clock = settled if device == "cuda" else time.perf_counter
    if device == "cpu" and torch.get_num_threads() == 1:
        clock = time.thread_time
    model = OnlineGRU4Rec(recipe, device=device)
    model.restore(state)
    engine = Engine(source, model, Sessionizer(86_400.0, 0.0, 90_000), batch=batch)
    began = time.perf_counter()
    start: tuple[int, int, float] | None = None
    found: tuple[int, int, float] | None = None
    phases: dict[str, float] = {}

    with Stopwatch(places, clock) as watch, tempfile.TemporaryDirectory() as folder:

        def progress(engine: Engine) -> None:
            nonlocal start, found, phases
            if found is not None and found[2] - (start or found)[2] > seconds:
                return  # The run's last call, after its end.
            now = time.perf_counter()
            here = engine.clicks, engine.clicks - engine.first - engine.late, now
            if start is None:
                if now - began > seconds / 4 and engine.clicks >= 5 * batch:
                    start = here
                    watch.reset()
                return
            found, phases = here, dict(watch.seconds)
            if now - start[2] > seconds:
                engine.stop()

        engine.run(progress=progress)
        if start is None or found is None:
            raise SystemExit("the source ended before the run was under way: ask for less seconds")
        watch.reset()
        snapshots = Snapshots(Path(folder))
        snapshots.save_soon(engine.state(), {"clicks": engine.clicks})
        snapshots.close()
        took = found[2] - start[2]
        # One a minute.
        if "snapshot" in places:
            phases["snapshot"] = watch.seconds["snapshot"] * took / 60
        told = {phase: None if phase in watch.missing else phases[phase] for phase in places}
    return Run(found[0] - start[0], found[1] - start[1], took, told)


def best_told(
    opened: Callable[[], Source],
    recipe: GRU4RecConfig,
    state: State,
    batch: int,
    seconds: float,
    device: str,
) -> Run:
    """Run once; on a GPU twice, for speeds and for phases. Reading has a pass of its own."""

    def once(places: Mapping[str, Sequence[str]]) -> Run:
        source = opened()
        try:
            return run(source, recipe, state, batch, seconds, device, places)
        finally:
            source.close()

    found = once(PLACES)
    told = dict(found.phases)
    if device == "cuda":
        plain = once({})
        told = {name: spent and spent / found.clicks * plain.clicks for name, spent in told.items()}
        found = plain
    for name, spent in reading(opened, batch).items():
        told[name] = None if spent is None else spent * found.clicks
    return found._replace(phases=told)


def reading(opened: Callable[[], Source], batch: int) -> dict[str, float | None]:
    """Return the seconds a click of reading alone.

    Blocks of some 25,000 clicks are decoded at once, more than many a run takes in all, so a
    share of the run's own time would tell nothing.
    """
    clicks = 0
    with Stopwatch({name: PLACES[name] for name in READING}) as watch:
        # Opened inside: a log's chunks come from a generator that is made when it is opened.
        source = opened()
        while clicks < PUBLISHED and (polled := source.poll(batch, 0.1)) is not None:
            clicks += len(polled)
    source.close()
    told = {name: watch.told(name) for name in READING}
    return {name: None if spent is None else spent / clicks for name, spent in told.items()}


@contextmanager
def topic(log: Path, broker: str | None) -> Iterator[Callable[[], Source] | None]:
    """Return sources of a topic that holds the log's first clicks; None where no broker starts."""
    from tests.brokers import Elsewhere
    from tests.suite_broker import any_broker

    with tempfile.TemporaryDirectory() as folder:
        own = any_broker(Path(folder)) if broker is None else Elsewhere(broker, Path(folder))
        try:
            own.start()
        except (OSError, RuntimeError, ImportError) as error:
            print(f"\nno topic is read: {error}", flush=True)
            yield None
            return
        try:
            name = f"bench-{time.time_ns()}"
            publish(log, own.address, name)
            address = parse_address(f"kafka://{own.address}/{name}")
            yield lambda: KafkaSource(address, until_end=True)
        finally:
            own.stop()


def publish(log: Path, address: str, name: str, partitions: int = 4) -> None:
    """Publish the log's first clicks, a session's all in one partition."""
    from kafka import KafkaProducer

    from tests.brokers import make_topic

    make_topic(address, name, partitions)
    clicks = LogSource(log).poll(PUBLISHED)
    assert clicks is not None
    producer = KafkaProducer(bootstrap_servers=address, linger_ms=50, batch_size=1 << 17)
    for session, item, moment in zip(
        clicks.sessions, clicks.items, clicks.times.tolist(), strict=True
    ):
        record = {"session_id": session, "item_id": item, "timestamp": moment}
        producer.send(
            name,
            key=str(session).encode(),
            value=msgspec.json.encode(record),
            timestamp_ms=int(moment * 1000),
        )
    producer.flush()
    producer.close()


def row(report: Report, head: list[Any], found: Run) -> None:
    """Add a run to the table."""
    each = {
        phase: None if spent is None else 1e6 * spent / found.clicks
        for phase, spent in found.phases.items()
    }
    speeds = [found.clicks / found.seconds, found.pairs / found.seconds]
    report.row(*head, *speeds, *each.values())


def measure(
    report: Report,
    device: str,
    log: Path = YOOCHOOSE,
    broker: str | None = None,
    seconds: float = 3.0,
) -> None:
    """Add the table."""
    columns = ["source", "model", "batch", "cores", "clicks/s", "pairs/s", *PLACES]
    report.table("End to end; phases in µs a click, of each thread's processor", columns)
    for phase, places in Stopwatch().missing.items():
        report.note(f"'{phase}' cannot be told: {', '.join(places)} is not there.")
    counts = sorted({1, min(2, cores())})
    with topic(log, broker) as topic_source:
        for hidden in HIDDEN:
            recipe = msgspec.structs.replace(NETWORK, hidden=hidden)
            state = primed(log, recipe, device)
            for name, opened in (("log", lambda: LogSource(log)), ("topic", topic_source)):
                for count in counts:
                    for batch in BATCHES:
                        if opened is None:
                            continue
                        with on_cores(count):
                            found = best_told(opened, recipe, state, batch, seconds, device)
                        row(report, [name, f"network, {hidden}", batch, count], found)
        recipe = GRU4RecConfig()
        state = primed(log, recipe, device)
        for batch in BATCHES:
            with on_cores(counts[-1]):
                found = best_told(lambda: LogSource(log), recipe, state, batch, seconds, device)
            row(report, ["log", "the default, with memory", batch, counts[-1]], found)


def main(
    json_file: JsonFile = None,
    device: Device = "cpu",
    log: Log = YOOCHOOSE,
    broker: Annotated[str | None, typer.Option(help="Of a broker that runs: host:port.")] = None,
    seconds: Annotated[float, typer.Option(help="That each row is measured.")] = 3.0,
) -> None:
    """Print the table of the whole engine."""
    measure(Report(device, json_file), device, log, broker, seconds)


if __name__ == "__main__":
    typer.run(main)
