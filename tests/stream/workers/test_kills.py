"""Workers killed at random moments, while they learn from a topic and write to one exactly once."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pytest

from tests.brokers import Broker
from tests.stream.kafka.test_run import HeldLog, comparable, empty_topic, replay, spec
from tests.stream.runs import figures, write_log
from tests.stream.workers.groups import SMALL, Group
from tests.stream.workers.test_shared_runs import has_learned, saved
from tests.topics import read_topic

KILLS = int(os.environ.get("NEXTCLICK_KILLS", "50"))
CLICKS_A_KILL = 1_000


def loadings(said: str) -> list[float]:
    """Return when each life began to load its libraries."""
    lines = [line for line in said.splitlines() if "nextclick run: loading" in line]
    return [datetime.fromisoformat(line.split()[0]).timestamp() for line in lines]


def unbroken(folder: Path, log: Path) -> tuple[dict[str, object], list[object]]:
    """Return the figures and the recommendations of a run that nothing happens to."""
    folder.mkdir()
    command: list[str | Path] = ["run", log, *SMALL, "--json", folder / "figures.json"]
    command += ["--recommendations", folder / "best.jsonl"]
    with Group(2, command, output=folder / "output") as group:
        assert group.wait() == 0, group.text()
    records = [json.loads(line) for line in (folder / "best.jsonl").read_bytes().splitlines()]
    return figures(json.loads((folder / "figures.json").read_bytes())), records


def kill_again_and_again(group: Group, folder: Path, held: HeldLog) -> list[float]:
    """Kill workers at random moments, in the middle of learning and of beginning again.

    Returns
    -------
    list of float
        Seconds from each kill until its workers were started again.

    """
    draw = random.Random(KILLS)
    kills = []
    for number in range(KILLS):
        if number % 4:
            at = saved(folder)
            group.until(has_learned(folder, at))
            time.sleep(draw.uniform(0, 2))
        else:
            time.sleep(draw.uniform(0, 8))
        workers = group.workers()
        if not workers:  # Between two lives.
            continue
        os.kill(draw.choice(list(workers.values())), signal.SIGKILL)
        kills.append(time.time())
        held.allowed += CLICKS_A_KILL
        print(f"kill {number + 1} at {saved(folder):,} clicks", flush=True)
    held.allowed = math.inf
    assert group.wait() == 0, group.text()
    began = loadings(group.text())
    return [min(each for each in began if each > kill) - kill for kill in kills]


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_killed_at_random_moments_nothing_is_lost_and_nothing_is_written_twice(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    clicks = (KILLS + 2) * CLICKS_A_KILL
    log, folder = write_log(tmp_path / "clicks.csv", clicks), tmp_path / "killed"
    folder.mkdir()
    best = f"{topic}-best"
    empty_topic(broker, topic, 4)
    empty_topic(broker, best, 2)
    wanted, records = unbroken(tmp_path / "unbroken", log)
    command: list[str | Path] = ["run", spec(broker, topic), *SMALL, "--group", topic]
    command += ["--snapshots", folder / "snapshots", "--snapshot-every", "200clicks"]
    command += ["--max-clicks", str(clicks), "--idle", "5s", "--json", folder / "figures.json"]
    command += ["--recommendations", spec(broker, best), "--exactly-once"]
    with (
        ThreadPoolExecutor(1) as pool,
        closing(HeldLog(log, 2 * CLICKS_A_KILL)) as held,
        Group(2, command, output=folder / "output", restarts=10 * KILLS) as group,
    ):
        replaying = pool.submit(replay, broker, topic, log, KILLS / 2, held)
        try:
            group.until(has_learned(folder))
            gaps = kill_again_and_again(group, folder, held)
        finally:
            held.allowed = math.inf
        replaying.result()
    print(
        f"{len(gaps)} kills; seconds until the workers were started again: median "
        f"{median(gaps):.2f}, most {max(gaps):.2f}; ended {datetime.now(UTC):%H:%M:%S}"
    )
    found = json.loads((folder / "figures.json").read_bytes())
    assert figures(found) == wanted
    written = [json.loads(record.value) for record in read_topic(broker.address, best)]
    assert comparable(written) == comparable(records)
