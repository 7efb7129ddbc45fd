"""Hours under load with everything on: what must not grow does not, and nothing is lost.

Run it with ``make soak``, or ``python -m benchmarks.soak.live --minutes 90``.

An engine of its own process reads Avro records by a schema registry from a topic of four
partitions, at a steady rate, serves requests, runs a shadow, and writes a list after every click
exactly once. Nine times the broker is killed and started again; at a third of the time the engine
is stopped by SIGTERM and started again, at two thirds it is killed. Once a sixth of the time has
passed the engine's memory may not grow by more than 5 %. After each disturbance the lag must go
back to zero, a step of the model may not become slower, and in the end each click has one list.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from nextclick.connectors import KafkaAddress, make_topic
from tests.brokers import ApacheBroker, Broker, free_port
from tests.connectors.schemas.registry_server import RegistryServer
from tests.suite_broker import kafka_home
from tests.topics import read_topic

from .traffic import SCHEMA, Clicks, Requests
from .watching import Verdict, judged, scrape, start, table, wait_for

BOUNDS = ["--max-sessions", "2000", "--max-items", "1000", "--memory", "20000", "--window", "2000"]
BOUNDS += ["--shadow", "vstan", "--shadow", "vstan.kept=5000"]
"""All of them are reached before the first sixth of ninety minutes is over."""

KILLS = 9
"""How often the broker is killed."""

DOWN = 5.0
"""Seconds that it stays away."""

Sample = dict[str, float]


class Soak:
    """An engine, its broker and its registry, and what was seen of the engine."""

    def __init__(self, broker: Broker, registry: RegistryServer, folder: Path, rate: float) -> None:
        self.broker, self.folder = broker, folder
        self.port, self.metrics = free_port(), free_port()
        for topic, partitions in (("clicks", 4), ("lists", 2), ("unusable", 1)):
            make_topic(KafkaAddress([broker.address], topic), {}, partitions)
        self.clicks = Clicks(broker.address, "clicks", registry.add(SCHEMA), rate)
        self.requests = Requests(self.port, self.clicks, 10.0)
        at = f"kafka://{broker.address}"
        self.arguments = [f"{at}/clicks", "--schema-registry", registry.url, "--device", "cpu"]
        self.arguments += ["--serve", str(self.port), "--metrics-port", str(self.metrics), *BOUNDS]
        self.arguments += ["--snapshots", str(folder / "snapshots"), "--snapshot-every", "5s"]
        self.arguments += ["--recommendations", f"{at}/lists", "--recommend", "every", "-k", "5"]
        self.arguments += ["--exactly-once", "--dead-letters", f"{at}/unusable"]
        self.arguments += ["--log-format", "text"]
        self.samples: list[Sample] = []
        self.events: list[tuple[float, str]] = []
        self.codes: list[int] = []
        self.starts = 0
        self.clicks.start()
        self.begin()
        self.requests.start()
        self.began = time.monotonic()

    @property
    def minute(self) -> float:
        """The minutes since the beginning."""
        return (time.monotonic() - self.began) / 60

    def note(self, event: str) -> None:
        """Keep what was done, for the table."""
        self.events.append((self.minute, event))
        print(f"{self.minute:6.1f} min: {event}", file=sys.stderr, flush=True)

    def begin(self) -> None:
        """Start the engine."""
        self.process = start(*self.arguments)
        wait_for(f"http://127.0.0.1:{self.port}/readyz", self.process)
        self.starts += 1
        self.requests.expected.set()

    def end(self, how: signal.Signals) -> None:
        """End the engine."""
        self.requests.expected.clear()
        self.process.send_signal(how)
        self.codes.append(self.process.wait(300))

    def restart(self, how: signal.Signals) -> None:
        """End the engine, and start it again."""
        self.note(f"engine: {how.name}, started again")
        self.end(how)
        self.begin()

    def kill_broker(self) -> None:
        """Kill the broker, and start it again after a while."""
        self.note("broker: killed, started again")
        self.broker.kill()
        time.sleep(DOWN)
        self.broker.start()

    def sample(self) -> None:
        """Keep how the engine is."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the engine has ended with {self.process.returncode}")
        values = scrape(self.metrics)
        steps = values["nextclick_phase_seconds_count_model"]
        seconds = list(self.requests.seconds)
        self.samples.append(
            {
                "minute": self.minute,
                "start": self.starts,
                "clicks": values["nextclick_stream_clicks"],
                "lag": values.get("nextclick_lag_records", 0.0),
                "memory": values["process_resident_memory_bytes"] / 1e6,
                "files": values["process_open_fds"],
                "steps": steps,
                "model": values["nextclick_phase_seconds_sum_model"],
                "p99": 1000 * float(np.percentile(seconds, 99)) if seconds else 0.0,
            }
        )

    def run(self, minutes: float) -> None:
        """Go through the whole of it."""
        marks: list[tuple[float, Callable[[], None]]] = [
            (minutes * (kill + 0.6) / KILLS, self.kill_broker) for kill in range(KILLS)
        ]
        marks += [(minutes / 3, lambda: self.restart(signal.SIGTERM))]
        marks += [(minutes * 2 / 3, lambda: self.restart(signal.SIGKILL))]
        marks.sort(key=lambda mark: mark[0])
        while self.minute < minutes:
            if marks and self.minute >= marks[0][0]:
                marks.pop(0)[1]()
            self.sample()
            time.sleep(min(5.0, minutes))
        self.clicks.stop()
        self.catch_up()
        self.requests.stop()
        self.end(signal.SIGTERM)

    def catch_up(self) -> None:
        """Wait until the engine has read all that was sent."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            self.sample()
            if self.samples[-1]["clicks"] >= self.clicks.sent:
                return
            time.sleep(1)


def step_times(samples: list[Sample]) -> list[float]:
    """Return the milliseconds of a step between each two samples of one process."""
    return [
        1000 * (after["model"] - before["model"]) / (after["steps"] - before["steps"])
        for before, after in itertools.pairwise(samples)
        if after["start"] == before["start"] and after["steps"] > before["steps"]
    ]


def verdicts(soak: Soak, minutes: float) -> list[Verdict]:
    """Judge what was seen."""
    warm = [one for one in soak.samples if one["minute"] > minutes / 6]
    first = max(one["memory"] for one in warm if one["minute"] <= minutes / 3)
    most = max(one["memory"] for one in warm)
    early = median(step_times([one for one in warm if one["minute"] <= minutes / 2]))
    late = median(step_times([one for one in warm if one["minute"] > minutes / 2]))
    files = max(one["files"] for one in warm if one["minute"] <= minutes / 3)
    most_files = max(one["files"] for one in warm)
    lists = Counter(
        json.loads(one.value)["click"] for one in read_topic(soak.broker.address, "lists")
    )
    twice = sum(count > 1 for count in lists.values())
    sent, read = soak.clicks.sent, soak.samples[-1]["clicks"]
    calm = sum(one["lag"] <= 2 * soak.clicks.rate for one in warm) / len(warm)
    return [
        Verdict("memory, MB", f"{first:,.0f} → {most:,.0f}", "+ 5 %", most <= 1.05 * first),
        Verdict("open files", f"{files:.0f} → {most_files:.0f}", "+ 10", most_files <= files + 10),
        Verdict("step, ms, median", f"{early:.1f} → {late:.1f}", "+ 25 %", late <= 1.25 * early),
        Verdict(
            "lag at the end", f"{soak.samples[-1]['lag']:.0f}", "0", not soak.samples[-1]["lag"]
        ),
        Verdict("time within 2 s of the end", f"{calm:.0%}", "over half", calm > 0.5),
        Verdict("clicks sent and read", f"{sent:,}, {read:,.0f}", "equal", sent == read),
        Verdict(
            "clicks with a list, with two",
            f"{len(lists):,}, {twice:,}",
            "all, none",
            len(lists) == sent and not twice,
        ),
        Verdict(
            "requests answered, failed",
            f"{soak.requests.answered:,}, {soak.requests.failed:,}",
            "none failed",
            soak.requests.answered > 0 and not soak.requests.failed,
        ),
        Verdict("exit codes", str(soak.codes), "0, -9, 0", soak.codes == [0, -signal.SIGKILL, 0]),
    ]


def shown(soak: Soak, minutes: float, rows: int = 18) -> str:
    """Return the course of it as a table, a row for each part of the time."""
    lines: list[list[Any]] = []
    for at in range(rows):
        low, high = minutes * at / rows, minutes * (at + 1) / rows
        part = [one for one in soak.samples if low <= one["minute"] < high]
        if not part:
            continue
        steps = step_times(part)
        events = "; ".join(what for when, what in soak.events if low <= when < high)
        lines.append(
            [
                f"{low:.1f}",
                f"{part[-1]['clicks']:,.0f}",
                f"{max(one['lag'] for one in part):,.0f}",
                f"{part[-1]['lag']:,.0f}",
                f"{max(one['memory'] for one in part):,.0f}",
                f"{part[-1]['files']:.0f}",
                f"{median(steps):.1f}" if steps else "",
                f"{part[-1]['p99']:.0f}",
                events,
            ]
        )
    heads = ["minute", "clicks", "lag, most", "lag, last", "MB", "files", "step, ms"]
    return table([*heads, "request p99, ms", "events"], lines)


def main() -> int:
    """Run it and print what was seen; return 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--rate", type=float, default=100.0, help="clicks a second")
    given = parser.parse_args()
    home = kafka_home()
    if home is None:
        parser.error("needs Apache Kafka as jars: set KAFKA_HOME")
    # An engine that still has to compile takes hundreds of megabytes for it, once.
    start("sim:clicks=2000", "--serve", str(free_port()), "--device", "cpu", *BOUNDS).wait()
    with tempfile.TemporaryDirectory() as name, RegistryServer() as registry:
        folder = Path(name)
        broker = ApacheBroker(
            home,
            folder / "broker",
            broker_session_timeout_ms="2000",
            broker_heartbeat_interval_ms="500",
        )
        broker.start()
        try:
            soak = Soak(broker, registry, folder, given.rate)
            try:
                soak.run(given.minutes)
            finally:
                soak.process.kill()
            found = verdicts(soak, given.minutes)
            print(shown(soak, given.minutes), judged(found), sep="\n\n")
        finally:
            broker.kill()
    return 0 if all(one.kept for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
