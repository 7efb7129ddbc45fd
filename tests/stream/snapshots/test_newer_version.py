"""Back on an older version of nextclick: it says which snapshots it cannot read, and what helps."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nextclick.models import GRU4RecConfig
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from nextclick.stream.serving.replica import Replica
from nextclick.stream.snapshots.store import SnapshotError, Snapshots
from nextclick.stream.snapshots.upgrade import FORMAT, first_line

SMALL = GRU4RecConfig(hidden=8, n_negatives=8)
NEWER = f"written by a newer version of nextclick .format {FORMAT + 1}.*: update it"


def learn(folder: Path, clicks: int, told: list[str] | None = None) -> int:
    """Run up to a click; return how many clicks were read, those before a resume included."""
    config = RunConfig(model=SMALL, device="cpu", snapshots=str(folder), snapshot_every="100clicks")
    notes = [] if told is None else told
    result = run(f"sim:clicks={clicks}", config, notes.append)
    return int(result["usable"])


def make_newer(snapshot: Path) -> None:
    """Write the manifest as the next format would have it."""
    manifest = snapshot / "manifest"
    _, *lines = manifest.read_text().splitlines()[:-1]
    text = "\n".join([first_line(FORMAT + 1), *lines]) + "\n"
    manifest.write_text(text + hashlib.sha256(text.encode()).hexdigest() + "\n")


def test_a_run_goes_on_from_the_newest_that_it_can_read_and_says_so(tmp_path: Path) -> None:
    learn(tmp_path, 400)
    newest, before, *_ = Snapshots(tmp_path).numbered()
    make_newer(newest)
    told: list[str] = []
    assert learn(tmp_path, 600, told) == 600
    (note,) = [note for note in told if newest.name in note]
    assert note.startswith("skipped a snapshot that cannot be read")
    assert "update it" in note
    clicks = int(before.name.split("-")[1])
    assert any(f"at {clicks:,} clicks" in note for note in told)


def test_where_none_can_be_read_the_error_says_to_update(tmp_path: Path) -> None:
    learn(tmp_path, 400)
    for path in Snapshots(tmp_path).numbered():
        make_newer(path)
    with pytest.raises(SnapshotError, match=NEWER) as raised:
        learn(tmp_path, 600)
    assert str(tmp_path) in str(raised.value)
    # Nothing is removed: the newer version goes on from them.
    assert len(Snapshots(tmp_path).numbered()) == 3


def test_a_replica_serves_on_and_says_to_update(tmp_path: Path) -> None:
    learn(tmp_path, 400)
    replica = Replica(tmp_path, print)
    served = replica.loaded.name
    learn(tmp_path, 600)
    make_newer(Snapshots(tmp_path).numbered()[0])
    with pytest.raises(SnapshotError, match=NEWER):
        replica.take_newest()
    assert replica.loaded.name == served
    assert replica.ready()[0]
