"""Snapshots of every format that was written since the sixth are read and gone on from.

Each file in ``data`` holds the folder of one snapshot, of the first clicks of
``nextclick simulate --clicks 600 --seed 3``: 500 of a run, 200 of a comparison, 300 of a run on a
topic of two partitions. Those of format 6 were written with the options' former names, the first
ones before the memory had its boost.
"""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nextclick.stream.cli.inspect import facts
from nextclick.stream.comparison.compare import compare
from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.config.options import build
from nextclick.stream.config.run import RunConfig
from nextclick.stream.learned import load_model
from nextclick.stream.runner import run
from nextclick.stream.snapshots.files import read_files
from nextclick.stream.snapshots.store import Snapshots
from nextclick.stream.snapshots.upgrade import FORMAT, STEPS, upgraded
from tests.stream.snapshots.archives import unpack

DATA = Path(__file__).parent / "data"
KEPT = sorted(DATA.glob("*.tar.xz"))
CLICKS = {"run": 500, "compare": 200, "topic": 300}


def kept(kind: str) -> pytest.MarkDecorator:
    found = [path for path in KEPT if path.name.removesuffix(".tar.xz").endswith(f"-{kind}")]
    return pytest.mark.parametrize("path", found, ids=lambda path: path.name.partition(".")[0])


def unpacked(path: Path, folder: Path) -> Path:
    with tarfile.open(path) as archive:
        unpack(archive, folder)
    return folder


def shop(path: Path) -> Path:
    """Write the log that the snapshots are of."""
    path.write_bytes(gzip.decompress((DATA / "clicks.csv.gz").read_bytes()))
    return path


def test_there_is_one_of_each_kind_for_every_format() -> None:
    for number in (*STEPS, FORMAT):
        for kind in CLICKS:
            assert any(
                path.name.startswith(f"format-{number}-") and kind in path.name for path in KEPT
            )


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name.partition(".")[0])
def test_it_is_whole_and_can_be_inspected(path: Path, tmp_path: Path) -> None:
    snapshots = Snapshots(unpacked(path, tmp_path))
    (found,) = snapshots.paths()
    assert snapshots.verify(found) == []
    parts, about = snapshots.load(found)
    unboosted = "before-boost" in path.name and "models" not in about["config"]
    changed = ["model.memory_boost"] if unboosted else []
    assert [change["option"] for change in about["changed"]] == changed
    clicks = next(count for kind, count in CLICKS.items() if path.name.endswith(f"{kind}.tar.xz"))
    assert facts(parts, about)["clicks"].startswith(f"{clicks:,}, ")
    kind: Any = CompareConfig if "models" in about["config"] else RunConfig
    build(kind, about["config"])


@kept("run")
def test_a_run_goes_on_from_it(path: Path, tmp_path: Path) -> None:
    folder = unpacked(path, tmp_path / "s")
    _, about = read_files(next(folder.glob("clicks-*")))
    config = msgspec.structs.replace(
        build(RunConfig, about["config"]), snapshots=str(folder), max_clicks=None
    )
    assert (config.model.learning_rate, config.model.min_count) == (0.07, 2)
    notes: list[str] = []
    result = run(str(shop(tmp_path / "clicks.csv")), config, notes.append)
    assert any("resuming from the snapshot at 500 clicks" in note for note in notes)
    assert result["usable"] == 600
    # What it has had since is said.
    assert ("changed" in result) == ("before-boost" in path.name)


@kept("run")
def test_its_model_recommends(path: Path, tmp_path: Path) -> None:
    model: Any = load_model(unpacked(path, tmp_path), print)
    item = next(item for item in model.vocabulary._rows)
    assert len(model.recommend([item], k=3)) == 3


@kept("compare")
def test_a_comparison_goes_on_from_it(path: Path, tmp_path: Path) -> None:
    folder = unpacked(path, tmp_path / "s")
    _, about = read_files(next(folder.glob("clicks-*")))
    config = msgspec.structs.replace(
        build(CompareConfig, about["config"]), snapshots=str(folder), max_clicks=None
    )
    result = compare(str(shop(tmp_path / "clicks.csv")), config)
    assert result["usable"] == 600
    assert sorted(result["models"]) == ["gru4rec", "popularity", "vsknn"]


@kept("topic")
def test_the_place_in_a_topic_is_read(path: Path, tmp_path: Path) -> None:
    _, about = read_files(next(unpacked(path, tmp_path).glob("clicks-*")))
    offsets = about["position"]["partitions"]
    assert sum(offsets.values()) >= 300


def test_what_is_upgraded_may_be_upgraded_again(tmp_path: Path) -> None:
    path = next(path for path in KEPT if path.name.startswith("format-6-run"))
    snapshot = read_files(next(unpacked(path, tmp_path).glob("clicks-*")))
    assert upgraded(6, snapshot)[1] == snapshot[1]
