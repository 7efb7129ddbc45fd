"""On a live topic nobody waits long for the clock or the silence of another."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

from nextclick.models import GRU4RecConfig
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from tests.brokers import Broker, send
from tests.live_topic import Answers, Planned, click, publish
from tests.stream.kafka.test_run import (
    FLAGS,
    PATIENCE,
    empty_topic,
    engine_process,
    replay,
    spec,
    until,
)
from tests.stream.monitoring.test_prometheus import read
from tests.stream.runs import figures, write_log

DAY = 86_400.0
SMALL = GRU4RecConfig(hidden=16, n_negatives=32)


class Engine:
    """An engine that answers every click of a live topic, its output, and its metrics page."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said = ""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line.decode()

    def metric(self, name: str, *labels: str) -> float:
        """Read one of its metrics."""
        page = until(lambda: re.search(r"http://\S+/metrics", self.said), self.process)
        with urlopen(page[0], timeout=30) as answer:
            return read(answer.read().decode())[name, labels]

    def stop(self) -> None:
        """End it in good order."""
        self.process.terminate()
        assert self.process.wait(120) == 0


@contextmanager
def answering(broker: Broker, topic: str, *more: str) -> Iterator[Engine]:
    arguments = [spec(broker, topic), *FLAGS, "--recommend", "every", "-k", "2"]
    arguments += ["--recommendations", spec(broker, f"{topic}-best"), "--metrics-port", "0", *more]
    with engine_process(*arguments) as process:
        yield Engine(process)


def make_topics(broker: Broker, topic: str, partitions: int = 2) -> Answers:
    empty_topic(broker, topic, partitions)
    empty_topic(broker, f"{topic}-best", 1)
    return Answers(broker.address, f"{topic}-best")


def tenths(count: int, partition: int, first: float = 1000.0, shift: float = 0.0) -> list[Planned]:
    """Plan ten clicks a second."""
    return [
        Planned(at / 10, partition, click(f"{partition}", at % 7, first + at / 10 + shift))
        for at in range(count)
    ]


def together(*plans: list[Planned]) -> list[Planned]:
    return sorted((record for plan in plans for record in plan), key=lambda record: record.at)


def test_heartbeats_and_tombstones_hold_nobody_back(broker: Broker, topic: str) -> None:
    with closing(make_topics(broker, topic)) as answers, answering(broker, topic) as engine:
        warm = publish(broker.address, topic, tenths(3, 0, 0.0))
        assert answers.wait_for(warm, PATIENCE) == []
        beats = [
            Planned(at * 0.4, 1, b'{"heartbeat": true}' if at % 2 else None) for at in range(20)
        ]
        sent = publish(broker.address, topic, together(tenths(80, 0), beats))
        assert len(sent) == 80
        # The last beat is long gone: no click waits for the next one.
        assert answers.wait_for(sent, PATIENCE) == []
        until(lambda: engine.metric("nextclick_rejected_total", "tombstone") == 10, engine.process)
        assert engine.metric("nextclick_out_of_order_clicks_total", "0", topic) == 0
        engine.stop()


def test_one_click_a_day_ahead_costs_only_itself_also_after_a_restart(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    more = ["--snapshots", str(tmp_path / "s"), "--group", topic, "--snapshot-every", "1s"]
    with closing(make_topics(broker, topic)) as answers:
        with answering(broker, topic, *more) as engine:
            plan = together(tenths(60, 0), tenths(60, 1, shift=0.05))
            plan[40] = plan[40]._replace(value=click("ahead", 3, 1000 + DAY))
            sent = publish(broker.address, topic, plan)
            assert answers.wait_for(sent, PATIENCE) == []
            until(
                lambda: engine.metric("nextclick_out_of_order_clicks_total", "0", topic),
                engine.process,
            )
            until(lambda: "learned out of time order" in engine.said, engine.process)
            engine.stop()
        # What comes while nobody reads, a click a day ahead among it, has its exact order.
        plan = together(tenths(40, 0, 1006.0), tenths(40, 1, 1006.05))
        plan[20] = plan[20]._replace(value=click("ahead", 3, 1000 + DAY))
        sent = publish(broker.address, topic, [record._replace(at=0.0) for record in plan])
        with answering(broker, topic, *more) as engine:
            assert answers.wait_for(sent, PATIENCE) == []
            later = publish(broker.address, topic, tenths(10, 0, 1010.0))
            assert answers.wait_for(later, PATIENCE) == []
            engine.stop()
        found = [place for place, _ in sorted(answers.came.items(), key=lambda one: one[1])]
        for number in (0, 1):
            offsets = [offset for partition, offset in found if partition == number]
            assert offsets == list(range(len(offsets)))


def test_a_producer_eight_seconds_behind_is_waited_for_only_so_long(
    broker: Broker, topic: str
) -> None:
    with closing(make_topics(broker, topic)) as answers, answering(broker, topic) as engine:
        warm = publish(broker.address, topic, together(tenths(3, 0, 900), tenths(3, 1, 900)))
        assert answers.wait_for(warm, PATIENCE) == []
        plan = together(tenths(80, 0), tenths(80, 1, shift=-8.0))
        sent = publish(broker.address, topic, plan)
        assert answers.wait_for(sent, PATIENCE) == []
        # By the clock of the other none of them would have its answer while these 8 s go on.
        end = max(sent.values())
        assert sum(answers.came[place] < end for place in sent if place[0] == 0) > 10
        assert engine.metric("nextclick_out_of_order_clicks_total", "1", topic) > 20
        assert engine.metric("nextclick_out_of_order_clicks_total", "0", topic) < 10
        assert re.search(r"clicks? \w+\s+learned\s+out\s+of\s+time\s+order", engine.said)
        engine.stop()


def test_with_a_longer_wait_a_log_published_to_a_live_topic_has_its_order(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    log = write_log(tmp_path / "clicks.csv", 2000)
    empty_topic(broker, topic, 4)
    options = ["--max-clicks", "2000", "--json", str(tmp_path / "live.json"), "--idle", "20s"]
    with engine_process(spec(broker, topic), *FLAGS, *options) as process:
        replay(broker, topic, log, seconds=5)
        assert process.wait(PATIENCE) == 0
    wanted = run(str(log), RunConfig(model=SMALL, device="cpu"))
    assert figures(json.loads((tmp_path / "live.json").read_bytes())) == figures(wanted)


def test_a_click_a_day_ahead_in_a_log_of_two_partitions_moves_no_other(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    """Up to the end of the topic the others keep the order of their times."""
    empty_topic(broker, topic, 2)
    records = [
        {"value": click(f"{number % 2}", number % 9, 1000.0 + number), "partition": number % 2}
        for number in range(200)
    ]
    records[50]["value"] = click("ahead", 3, 1000.0 + 40 * DAY)
    send(broker.address, topic, records)
    best = tmp_path / "best.jsonl"
    config = RunConfig(
        model=SMALL, device="cpu", until_end=True, recommend="every", recommendations=str(best)
    )
    result = run(spec(broker, topic), config)
    assert (result["usable"], result["ahead"], result["late"]) == (200, 1, 0)
    times = [json.loads(line)["time"] for line in best.read_bytes().splitlines()]
    assert times == sorted(times)
