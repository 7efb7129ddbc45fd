from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from nextclick.models import GRU4RecConfig
from nextclick.stream import RunConfig, run
from tests.stream.runs import figures
from tests.stream.serving.asking import until
from tests.stream.serving.posting import Poster, Posting, recorded


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_every_confirmed_click_is_counted_once(
    tmp_path: Path, kills: int
) -> None:
    log, result = tmp_path / "clicks.jsonl", tmp_path / "result.json"
    more = ["--snapshots", str(tmp_path / "snapshots"), "--snapshot-every", "100clicks"]
    draw = random.Random(kills)
    confirmed: list[str] = []
    for number in range(kills):
        posting = Posting(f"http:{log}", *more)
        posters = [Poster(posting.address, f"{number}-{each}") for each in range(3)]
        posters[0].wait_for_one()
        time.sleep(draw.uniform(0.0, 1.0))
        posting.end(signal.SIGKILL)
        for poster in posters:
            poster.join()
            confirmed += poster.confirmed
        if number % 2:
            # As a crash of the machine, rather than of the process, may leave it.
            with log.open("ab") as file:
                file.write(b'{"session_id": "half", "item_i')
    posting = Posting(f"http:{log}", *more, "--json", str(result))
    in_log = recorded(log)
    client = posting.client()
    until(lambda: client.json("/v1/stats")["clicks"] == len(in_log))
    client.close()
    assert posting.end() == 0
    counts = Counter(in_log)
    assert [click for click in confirmed if counts[click] != 1] == []
    assert set(counts.values()) == {1}
    whole = run(str(log), RunConfig(model=GRU4RecConfig(hidden=8, n_negatives=8), device="cpu"))
    assert figures(json.loads(result.read_bytes())) == figures(whole)
