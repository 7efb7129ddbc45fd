from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.brokers import Broker, make_topic
from tests.stream.serving.asking import until
from tests.stream.serving.posting import Poster, Posting
from tests.topics import read_topic


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_random_moments_every_confirmed_click_is_in_the_topic_and_counted_once(
    full_broker: Broker, topic: str, tmp_path: Path, kills: int
) -> None:
    make_topic(full_broker.address, topic, partitions=2)
    spec, result = f"kafka://{full_broker.address}/{topic}", tmp_path / "result.json"
    more = ["--snapshots", str(tmp_path / "snapshots"), "--snapshot-every", "100clicks"]
    more += ["--group", topic]
    draw = random.Random(kills)
    confirmed: list[str] = []
    for number in range(kills):
        posting = Posting(spec, *more)
        posters = [Poster(posting.address, f"{number}-{each}") for each in range(3)]
        posters[0].wait_for_one()
        time.sleep(draw.uniform(0.0, 1.0))
        posting.end(signal.SIGKILL)
        for poster in posters:
            poster.join()
            confirmed += poster.confirmed
    posting = Posting(spec, *more, "--json", str(result))
    poster = Poster(posting.address, "last")
    poster.wait_for_one()
    assert posting.end() == 0
    poster.join()
    confirmed += poster.confirmed
    in_topic = [json.loads(each.value)["click"] for each in read_topic(full_broker.address, topic)]
    counts = Counter(in_topic)
    assert [click for click in confirmed if counts[click] != 1] == []
    assert set(counts.values()) == {1}
    # What was confirmed as the run was ending is read by the next one.
    posting = Posting(spec, *more, "--json", str(result))
    client = posting.client()
    until(lambda: client.json("/v1/stats")["clicks"] == len(in_topic))
    client.close()
    assert posting.end() == 0
    assert json.loads(result.read_bytes())["usable"] == len(in_topic)
