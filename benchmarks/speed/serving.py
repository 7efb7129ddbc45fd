"""How fast recommendations are served, and what that costs a stream.

Run it with ``python -m benchmarks.speed.serving``; ``--parts replica,swap`` runs some of it, and
``--learner vstan`` with another model, without the part ``engine``, which starts from a trained
one. The load comes from a process of its own on the same cores, at random moments at a steady
rate, and each answer is timed from the moment in which its request was due.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from kafka import KafkaProducer

from benchmarks.speed.http_load import load
from benchmarks.speed.measuring import YOOCHOOSE, JsonFile, Log, Report
from nextclick.connectors import Click, KafkaAddress, make_topic, open_source
from nextclick.stream.config.learners import DEFAULT
from nextclick.stream.snapshots.store import Snapshots
from tests.suite_broker import running_broker

COMMAND = [sys.executable, "-m", "nextclick.stream"]
PARTS = ("replica", "swap", "engine", "replay", "hostile")
LIMITS = "p50, p90, p99 and most in milliseconds, from the moment a request was due"
COLUMNS = ("requests/s", "answered/s", "p50", "p90", "p99", "most", "failed")


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a command that serves; yield its process and its address, as host:port."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "500"},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "/v1/recommend" in line:
                break
        else:
            raise SystemExit(f"{arguments[0]} did not begin to serve")
        # What it says further must not fill the pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        address = line.split()[-1].partition("//")[2].partition("/")[0]
        until_ready(address)
        yield process, address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def until_ready(address: str) -> None:
    """Wait until a server is ready."""
    while True:
        try:
            urllib.request.urlopen(f"http://{address}/readyz", timeout=30).read()
            return
        except OSError:
            time.sleep(0.2)


def ask(address: str, path: str) -> Any:
    """Ask for JSON."""
    with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
        return json.load(answer)


def measured(address: str, paths: list[str], rate: float, seconds: float) -> dict[str, Any]:
    """Put a load on a server from a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(load, address, paths, rate, seconds).result()


def cells(rate: float, found: dict[str, Any]) -> list[Any]:
    """Return the cells of a row."""
    names = ("answered_per_second", "p50", "p90", "p99", "most", "failed")
    return [int(rate), *(found[name] for name in names)]


def read(log: Path, clicks: int) -> list[Click]:
    """Read the first clicks of a log."""
    source = open_source(str(log))
    found: list[Click] = []
    while len(found) < clicks and (some := source.poll(min(8192, clicks - len(found)))) is not None:
        found += [
            Click(*one) for one in zip(some.sessions, some.items, some.times.tolist(), strict=True)
        ]
    source.close()
    return found


def paths_of(clicks: list[Click]) -> list[str]:
    """Return requests for the sessions that were clicked last."""
    sessions = list(dict.fromkeys(click.session for click in reversed(clicks)))[:5000]
    return [f"/v1/recommend?session={session}&k=20" for session in sessions]


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process: int) -> float:
    """Return the memory that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def replica(report: Report, folder: Path, paths: list[str], seconds: float) -> None:
    """Measure a replica."""
    report.table("A replica", [*COLUMNS, "model, ms of processor a request", "all else"])
    with started("serve", "--snapshots", str(folder), "--port", "0") as (process, address):
        for rate in (100, 500, 1000, 1500):
            cpu, before = cpu_seconds(process.pid), ask(address, "/v1/stats")["requests"]
            found = measured(address, paths, rate, seconds)
            cpu, after = cpu_seconds(process.pid) - cpu, ask(address, "/v1/stats")["requests"]
            count = max(1, after["answered"] - before["answered"])
            model = after["model_cpu_seconds"] - before["model_cpu_seconds"]
            report.row(*cells(rate, found), 1000 * model / count, 1000 * (cpu - model) / count)
    report.note(LIMITS)


def swap(report: Report, folder: Path, paths: list[str], seconds: float) -> None:
    """Measure a replica that takes new snapshots."""
    report.table("A replica that takes new snapshots, 500 requests/s", ["snapshots", *COLUMNS])
    newest = Snapshots(folder).numbered()[0]
    clicks = newest.name.split("-")[1]
    with tempfile.TemporaryDirectory() as other:
        served = Path(other)
        shutil.copytree(newest, served / f"clicks-{clicks}-0001")
        with started("serve", "--snapshots", str(served), "--port", "0") as (_, address):
            report.row(0, *cells(500, measured(address, paths, 500, seconds)))
            ended = threading.Event()

            def bring() -> None:
                number = 2
                while not ended.wait(5):
                    aside = served / "aside"
                    shutil.copytree(newest, aside)
                    aside.rename(served / f"clicks-{clicks}-{number:04d}")
                    number += 1

            thread = threading.Thread(target=bring)
            thread.start()
            found = measured(address, paths, 500, seconds)
            ended.set()
            thread.join()
            report.row(ask(address, "/v1/stats")["snapshots_taken"], *cells(500, found))


def engine(
    report: Report, folder: Path, clicks: list[Click], paths: list[str], seconds: float
) -> None:
    """Measure an engine that learns 200 clicks a second from a topic."""
    report.table("An engine that learns 200 clicks/s from a topic", COLUMNS)
    with running_broker() as broker:
        make_topic(KafkaAddress([broker.address], "clicks"), {}, 1)
        producer = KafkaProducer(bootstrap_servers=broker.address, linger_ms=0)
        source = f"kafka://{broker.address}/clicks"
        options = ["--serve", "0", "--begin-from", str(folder), "--device", "cpu"]
        ended = threading.Event()
        feeder = threading.Thread(target=feed, args=(producer, clicks, 200.0, ended))
        feeder.start()
        try:
            with started("run", source, *options) as (_, address):
                for rate in (20, 200):
                    report.row(*cells(rate, measured(address, paths, rate, seconds)))
                item = ask(address, "/v1/recommend?k=1")["items"][0]["item"]
                waits = [fresh_list(producer, address, item) for _ in range(200)]
        finally:
            ended.set()
            feeder.join()
            producer.close()
    p50, p99 = np.percentile(1000 * np.array(waits), [50, 99])
    report.note(
        f"From the sending of a click to a list that reflects it: p50 {p50:.1f} ms, "
        f"p99 {p99:.1f} ms; asked for again and again."
    )


def feed(producer: Any, clicks: list[Click], rate: float, ended: threading.Event) -> None:
    """Publish clicks at a rate, with the times at which they are sent."""
    began = time.monotonic()
    for number, click in enumerate(clicks):
        pause = began + number / rate - time.monotonic()
        if ended.wait(max(0.0, pause)):
            return
        producer.send("clicks", record(click.session, click.item))


def record(session: Any, item: Any) -> bytes:
    """Return a click as a record."""
    named = {"session_id": session, "item_id": item, "timestamp": time.time()}
    return json.dumps(named).encode()


def fresh_list(producer: Any, address: str, item: Any) -> float:
    """Return the seconds until a list reflects the first click of a new visitor."""
    session = f"fresh-{time.time_ns()}"
    began = time.perf_counter()
    producer.send("clicks", record(session, item))
    while ask(address, f"/v1/recommend?session={session}&k=5")["from"] != "session":
        if time.perf_counter() - began > 30:
            raise SystemExit("a click was not read within 30 seconds")
    return time.perf_counter() - began


def replay(report: Report, run: list[str], paths: list[str], seconds: float) -> None:
    """Measure what requests cost a full replay."""
    report.table("A full replay", ["clicks/s", *COLUMNS])
    for rate in (0, 200, 0, 200):
        with started(*run, "--serve", "0") as (_, address):
            while ask(address, "/v1/stats")["learned"] < 20_000:
                time.sleep(0.5)
            began, before = time.perf_counter(), ask(address, "/v1/stats")["learned"]
            found: dict[str, Any] = {}
            if rate:
                found = measured(address, paths, rate, seconds)
            else:
                time.sleep(seconds)
            learned = ask(address, "/v1/stats")["learned"] - before
            speed = learned / (time.perf_counter() - began)
            report.row(speed, *(cells(rate, found) if found else [rate, *[None] * 6]))


def hostile(report: Report, folder: Path, count: int) -> None:
    """Send requests of every odd kind, and look at the memory."""
    from tests.stream.serving.hostile import odd_requests, status_of

    report.table("Hostile requests to a replica", ["requests", "5xx", "memory before, MB", "after"])
    with started("serve", "--snapshots", str(folder), "--port", "0") as (process, address):
        found = [status_of(address, sent) for sent in islice(odd_requests(0), 2000)]
        before = memory_mb(process.pid)
        found = [status_of(address, sent) for sent in islice(odd_requests(1), count)]
        wrong = sum(status >= 500 for status in found)
        report.row(count, wrong, before, memory_mb(process.pid))


def main(
    log: Log = YOOCHOOSE,
    snapshots: Annotated[
        Path | None, typer.Option(help="Snapshots of that log; else they are made, of --clicks.")
    ] = None,
    clicks: Annotated[int, typer.Option(help="Clicks that are learned at first.")] = 1_527_840,
    seconds: Annotated[float, typer.Option(help="How long each load lasts.")] = 30.0,
    requests: Annotated[int, typer.Option(help="Hostile requests.")] = 100_000,
    parts: Annotated[str, typer.Option(help="Which parts to run.")] = ",".join(PARTS),
    learner: Annotated[str, typer.Option(help="The model, as for nextclick run.")] = DEFAULT,
    json_file: JsonFile = None,
) -> None:
    """Print the tables."""
    report = Report("cpu", json_file)
    with tempfile.TemporaryDirectory() as place:
        folder = snapshots or Path(place) / "snapshots"
        run = ["run", str(log), "--learner", learner]
        if snapshots is None:
            command = [*run, "--max-clicks", str(clicks), "--snapshots", str(folder)]
            command += ["--snapshot-every", f"{clicks}clicks"]
            subprocess.run([*COMMAND, *command], check=True, stdout=subprocess.DEVNULL)
        found = Snapshots(folder).load(Snapshots(folder).numbered()[0])[1]["clicks"]
        learned = read(log, found)
        paths = paths_of(learned)
        chosen = parts.split(",")
        if "replica" in chosen:
            replica(report, folder, paths, seconds)
        if "swap" in chosen:
            swap(report, folder, paths, seconds)
        if "engine" in chosen and learner == DEFAULT:
            engine(report, folder, learned[-200_000:], paths, seconds)
        if "replay" in chosen:
            replay(report, run, paths, seconds)
        if "hostile" in chosen:
            hostile(report, folder, requests)


if __name__ == "__main__":
    typer.run(main)
