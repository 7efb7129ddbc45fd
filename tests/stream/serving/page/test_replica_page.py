from __future__ import annotations

from pathlib import Path

import pytest

from nextclick.stream import RunConfig, run
from nextclick.stream.serving import replica as replica_file
from nextclick.stream.serving.app import Access
from nextclick.stream.serving.page.live_page import LivePage
from nextclick.stream.serving.replica import Replica
from nextclick.stream.serving.server import serve
from tests.browser import DESKTOP, chromium, opened_at
from tests.stream.serving.page.listening import NOTHING, listening, put_in


def learn(folder: Path, clicks: int) -> list[int]:
    """Run up to `clicks` clicks, leave a snapshot, and return the ends of the first windows."""
    config = RunConfig(
        snapshots=str(folder),
        max_clicks=clicks,
        device="cpu",
        model={"hidden": 8, "n_negatives": 8},
    )
    growing = run("sim:clicks=2000,items=80,seed=1", config)["growing"]
    return [window["clicks"] for window in growing]


def test_a_replica_shows_the_curve_up_to_its_snapshot_and_goes_on_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_file, "LOOK_SECONDS", 0.05)
    ends = learn(tmp_path, 500)
    replica = Replica(tmp_path, print)
    page = LivePage(replica)
    with (
        serve(replica, "127.0.0.1", 0, Access(), page.endpoints) as address,
        replica.following(),
        listening(address) as listener,
    ):
        name, whole = listener.next()
        assert name == "history"
        curve = put_in(NOTHING, whole["curve"])
        # What a report would show: a last window that has just begun is one with that before.
        assert curve["points"]["clicks"][:-1] == ends[: len(curve["points"]["clicks"]) - 1]
        assert curve["points"]["clicks"][-1] == ends[-1] <= 500
        assert whole["stats"]["snapshot"] == replica.loaded.name
        assert whole["stats"]["window"]["recall@20"] > 0
        with chromium() as browser, opened_at(browser, f"{address}/", DESKTOP) as found:
            found.page.get_by_text("snapshot’s age").wait_for()
            ends = learn(tmp_path, 1500)
            found.page.get_by_text(replica.loaded.name).first.wait_for()
            found.page.get_by_text("1,500", exact=True).wait_for()
            assert found.complaints == []
        while curve["points"]["clicks"][-1] < ends[-1]:
            name, news = listener.next()
            curve = put_in(curve, news["curve"]) if "curve" in news else curve
        page.close()
