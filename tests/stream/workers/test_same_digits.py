"""The default model with its memory: a number of workers gives its digits whatever happens."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextclick.stream.snapshots.store import Snapshots
from tests.stream.runs import figures
from tests.stream.workers.groups import Group
from tests.stream.workers.test_shared_runs import has_learned, saved

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workers"),
    pytest.mark.timeout(1800),
]

CLICKS = 8_000


def arguments(folder: Path) -> list[str | Path]:
    return [
        *("run", f"sim:clicks={CLICKS},items=500,seed=5", "--device", "cpu"),
        *("--snapshots", folder / "snapshots", "--snapshot-every", "500clicks"),
        *("--json", folder / "figures.json"),
        *("--recommendations", folder / "best.jsonl", "--recommend", "every"),
    ]


class Ended:
    """What a run has left behind."""

    def __init__(self, folder: Path) -> None:
        self.figures = figures(json.loads((folder / "figures.json").read_bytes()))
        self.figures.pop("began_from")
        self.recommendations = (folder / "best.jsonl").read_bytes()
        newest = Snapshots(folder / "snapshots").load_newest()
        assert newest is not None
        self.parts: dict[str, Any] = newest[0]

    def check(self, other: Ended) -> None:
        """Assert that another run has left the same, to the last digit."""
        assert self.figures["clicks"] == CLICKS
        assert self.figures == other.figures
        assert self.recommendations == other.recommendations
        assert self.parts.keys() == other.parts.keys()
        for name, part in self.parts.items():
            assert part.arrays.keys() == other.parts[name].arrays.keys()
            for key, array in part.arrays.items():
                np.testing.assert_array_equal(array, other.parts[name].arrays[key], err_msg=key)


@pytest.mark.parametrize("size", [2, 3])
def test_twice_and_over_kill_sigterm_and_resume_a_number_of_workers_gives_the_same_digits(
    tmp_path: Path, size: int
) -> None:
    unbroken = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        with Group(size, arguments(folder), output=folder / "said") as group:
            assert group.wait() == 0, group.text()
        unbroken.append(Ended(folder))
    unbroken[0].check(unbroken[1])
    broken = tmp_path / "broken"
    broken.mkdir()
    with Group(size, arguments(broken), output=broken / "said", restarts=2) as group:
        for victim in (size - 1, 0):
            group.until(has_learned(broken, saved(broken)))
            group.kill(victim)
        group.until(has_learned(broken, saved(broken)))
        group.agent.send_signal(signal.SIGTERM)
        group.wait()
    assert 0 < saved(broken) < CLICKS
    with Group(size, arguments(broken), output=broken / "said") as group:
        assert group.wait() == 0, group.text()
    unbroken[0].check(Ended(broken))
