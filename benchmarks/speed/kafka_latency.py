"""How long a click of a live topic waits for its list.

Run it with ``python -m benchmarks.speed.kafka_latency``.

An engine of its own process follows a topic of two partitions, into which clicks are published at a
steady rate, and writes the best items after every click to another topic, where their coming is
timed. What is measured is from the sending of a click to the coming of its list, by which clocks
the producers have. ``--idle`` may name several values of that option, with commas.
``--address`` names a broker; without one it starts its own, as the tests do.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np

from nextclick.connectors import KafkaAddress, make_topic
from tests.live_topic import Answers, Planned, click, publish
from tests.suite_broker import running_broker

Clock = Callable[[int, float], float]
"""The time that a producer writes: of a click of a partition, sent at a moment."""


def one_percent_ahead(partition: int, moment: float) -> float:
    """Return the time of a clock that is 60 s ahead for each hundredth click."""
    return moment + 60 * (random.random() < 0.01)


CLOCKS: dict[str, Clock] = {
    "clean clocks": lambda partition, moment: moment,
    "1 % of clicks 60 s ahead": one_percent_ahead,
    "partition 1 8 s behind": lambda partition, moment: moment - 8 * partition,
}


def plan(rate: float, seconds: float, clock: Clock) -> Iterator[Planned]:
    """Plan clicks, to the two partitions at random."""
    for number in range(int(rate * seconds)):
        at = number / rate
        partition = random.randrange(2)
        visitor = f"{partition}-{random.randrange(20)}"
        yield Planned(at, partition, click(visitor, number % 200, clock(partition, at)))


def measure(address: str, clock: Clock, idle: str, rate: float, seconds: float) -> str:
    """Return the 50th and 99th percentile of the milliseconds, by partition."""
    name = f"latency-{time.time_ns()}"
    for topic, partitions in ((name, 2), (f"{name}-best", 1)):
        make_topic(KafkaAddress([address], topic), {}, partitions)
    command = [sys.executable, "-m", "nextclick.stream", "run", f"kafka://{address}/{name}"]
    command += ["--recommend", "every", "--recommendations", f"kafka://{address}/{name}-best"]
    command += ["--idle", idle, "--device", "cpu"]
    with closing(Answers(address, f"{name}-best")) as answers:
        engine = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # The first lists are those of an engine that starts.
            warm = publish(address, name, plan(rate, 5, CLOCKS["clean clocks"]))
            answers.wait_for(warm, 300)
            sent = publish(address, name, plan(rate, seconds, lambda p, t: clock(p, t + 1000)))
            missing = answers.wait_for(sent, 60)
        finally:
            engine.terminate()
            engine.wait()
    cells = []
    for number in (0, 1):
        places = [place for place in sent if place[0] == number and place not in missing]
        waited = [answers.came[place] - sent[place] for place in places]
        cells += [f"{1000 * np.percentile(waited, part):,.0f}" for part in (50, 99)]
    return " | ".join([*cells, f"{len(missing)}"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", default="200ms")
    parser.add_argument("--rate", type=float, default=40)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--address")
    asked = parser.parse_args()
    with running_broker(asked.address) as broker:
        print("| --idle | clocks | partition 0: p50, ms | p99 | partition 1: p50 | p99 | lost |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
        for idle in asked.idle.split(","):
            for name, clock in CLOCKS.items():
                cells = measure(broker.address, clock, idle, asked.rate, asked.seconds)
                print(f"| {idle} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
