"""How fast the engine is on a topic and a log: ``python -m benchmarks.speed.kafka_engine``.

Both are measured in one run, in turns, so that what else the machine does meets both. The log is
the first clicks of a real shop (``--log``), the model the default one. ``--address`` names a
broker; without one it starts its own, as the tests do. Last comes how fast the topic alone is read.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from nextclick.connectors import (
    KafkaAddress,
    KafkaSource,
    LogSource,
    Replay,
    make_topic,
    parse_address,
)
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from tests.suite_broker import running_broker

YOOCHOOSE = Path(__file__).parents[3] / "shared" / "data" / "yoochoose.csv.gz"


def begin_of(log: Path, clicks: int, folder: Path) -> Path:
    """Write the first clicks of a gzipped CSV log to one of its own."""
    begin = folder / "clicks.csv.gz"
    with gzip.open(log, "rt") as lines, gzip.open(begin, "wt") as file:
        file.writelines(itertools.islice(lines, clicks + 1))
    return begin


def read(topic: str) -> float:
    """Read a topic to its end by polls of 64; return the clicks a second."""
    clicks, began = 0, time.perf_counter()
    with closing(KafkaSource(parse_address(topic), until_end=True)) as source:
        while (polled := source.poll(64, 0.1)) is not None:
            clicks += len(polled)
    return clicks / (time.perf_counter() - began)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, default=YOOCHOOSE)
    parser.add_argument("--clicks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--address")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_broker(asked.address) as broker:
        log = begin_of(asked.log, asked.clicks, Path(folder))
        address = KafkaAddress([broker.address], f"speed-{time.time_ns()}")
        make_topic(address, {}, asked.partitions)
        with closing(Replay(LogSource(log), address, {})) as replay:
            replay.run()
        topic = f"kafka://{broker.address}/{address.topic}"
        compare(str(log), topic, asked.rounds)
        speeds = [read(topic) for _ in range(asked.rounds)]
        print(f"the source alone: {', '.join(f'{speed:,.0f}' for speed in speeds)} clicks/s")


def compare(log: str, topic: str, rounds: int) -> None:
    """Run the engine on both in turns, and print its speeds and their ratio."""
    print("| round | log, clicks/s | topic, clicks/s | topic / log |")
    print("| ---: | ---: | ---: | ---: |")
    ratios = []
    for number in range(1, rounds + 1):
        # The one that goes first changes, as what goes first may be favoured.
        pair = (log, topic) if number % 2 else (topic, log)
        results: dict[str, dict[str, Any]] = {
            spec: run(spec, RunConfig(device="cpu", until_end=True)) for spec in pair
        }
        assert results[log]["mrr@20"] == results[topic]["mrr@20"]
        disk, kafka = (results[spec]["clicks_per_second"] for spec in (log, topic))
        ratios.append(kafka / disk)
        print(f"| {number} | {disk:,.0f} | {kafka:,.0f} | {kafka / disk:.3f} |", flush=True)
    print(f"median of topic / log: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
