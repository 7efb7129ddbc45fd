from __future__ import annotations

import errno
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextclick.models.recommender import State
from nextclick.stream.snapshots.store import SnapshotError, Snapshots


def parts(seed: int = 0) -> dict[str, State]:
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(4, 3)).astype(np.float32)
    model = State({"weights": weights, "turned": weights.T}, {"items": ["a", 1], "seed": seed})
    return {"model": model, "metrics": State({}, {"hits": seed})}


def same(left: dict[str, State], right: dict[str, State]) -> bool:
    return left.keys() == right.keys() and all(
        left[part].values == right[part].values
        and left[part].arrays.keys() == right[part].arrays.keys()
        and all(
            array.dtype == right[part].arrays[name].dtype
            and np.array_equal(array, right[part].arrays[name])
            for name, array in left[part].arrays.items()
        )
        for part in left
    )


def newest(snapshots: Snapshots) -> tuple[dict[str, State], dict[str, Any], list[str]]:
    loaded = snapshots.load_newest()
    assert loaded is not None
    return loaded


def names(snapshots: Snapshots) -> list[str]:
    return [path.name for path in snapshots.paths()]


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[Snapshots]:
    snapshots = Snapshots(tmp_path / "snapshots")
    yield snapshots
    snapshots.close()


def test_what_was_saved_comes_back(snapshots: Snapshots) -> None:
    arrays = {
        "scalar": np.array(1.5),
        "empty": np.zeros((0, 3), dtype=np.int64),
        "flags": np.array([True, False]),
        "bytes": np.arange(7, dtype=np.uint8),
        "half": np.ones(2, dtype=np.float16),
        "big-endian": np.arange(3, dtype=">i4"),
        "turned": np.arange(6).reshape(2, 3).T,
        "strided": np.arange(10)[::3],
        "odd": np.array([math.nan, -math.inf, -0.0, 5e-324]),
        "with/slash": np.ones(1),
    }
    values = {
        "ids": ["1", 1, -(10**30), 2**63, "", "é\x00\n", "\ud800", "日本"],
        "numbers": [0.1, 1e-320, math.inf, -math.inf, None, True],
        "nested": {"": {"a": []}},
    }
    about = {"clicks": 5, "position": {"line": 7}, "window": [1, 2]}
    path = snapshots.save({"one": State(arrays, values), "two": State({}, {})}, about)
    for loaded, facts in (snapshots.load(path), newest(snapshots)[:2]):
        assert loaded["one"].values == values
        assert loaded["two"] == State({}, {})
        assert loaded["one"].arrays.keys() == arrays.keys()
        for name, array in arrays.items():
            got = loaded["one"].arrays[name]
            assert got.shape == array.shape
            assert got.dtype == array.dtype.newbyteorder("=")
            assert got.flags.writeable
            assert np.array_equal(got, array, equal_nan=array.dtype.kind == "f")
        assert about.items() <= facts.items()
        assert "numpy" in facts["versions"]


def test_values_that_are_not_a_number_come_back(snapshots: Snapshots) -> None:
    snapshots.save({"a": State({}, {"mean": math.nan})}, {"clicks": 0})
    assert math.isnan(newest(snapshots)[0]["a"].values["mean"])


def test_an_empty_or_absent_folder_holds_none(snapshots: Snapshots) -> None:
    assert snapshots.load_newest() is None
    assert snapshots.paths() == []
    assert not snapshots.folder.exists()
    snapshots.lock()
    assert snapshots.load_newest() is None


def test_the_newest_stay(snapshots: Snapshots) -> None:
    for clicks in (100, 200, 300, 300, 500):
        snapshots.save(parts(clicks), {"clicks": clicks})
    assert names(snapshots) == [
        "clicks-000000000500-0005",
        "clicks-000000000300-0004",
        "clicks-000000000300-0003",
    ]
    assert set(os.listdir(snapshots.folder)) == {"lock", *names(snapshots)}


def test_newest_is_the_last_written_not_the_one_with_most_clicks(snapshots: Snapshots) -> None:
    for clicks in (700, 800, 900, 10, 20):
        snapshots.save(parts(clicks), {"clicks": clicks})
    assert newest(snapshots)[1]["clicks"] == 20
    assert [name[:19] for name in names(snapshots)] == [
        "clicks-000000000020",
        "clicks-000000000010",
        "clicks-000000000900",
    ]


def test_damaged_ones_do_not_count_among_those_kept(tmp_path: Path) -> None:
    writer = Snapshots(tmp_path, keep=2)
    old = [writer.save(parts(clicks), {"clicks": clicks}) for clicks in (1, 2)]
    writer.close()
    os.truncate(old[1] / "values.json", 1)
    writer = Snapshots(tmp_path, keep=2)
    writer.save(parts(3), {"clicks": 3})
    assert [path.exists() for path in old] == [True, True]
    writer.save(parts(4), {"clicks": 4})
    assert [path.exists() for path in old] == [False, False]
    writer.close()


def test_named_ones_are_never_pruned_nor_picked(snapshots: Snapshots) -> None:
    path = snapshots.save(parts(1), {"clicks": 1}, name="before-sale")
    assert path.name == "named-before-sale"
    assert snapshots.load_newest() is None
    for clicks in range(2, 8):
        snapshots.save(parts(clicks), {"clicks": clicks})
    assert newest(snapshots)[1]["clicks"] == 7
    assert snapshots.load(path)[1]["clicks"] == 1
    assert names(snapshots)[-1] == "named-before-sale"
    with pytest.raises(SnapshotError, match="before-sale exists already"):
        snapshots.save(parts(9), {"clicks": 9}, name="before-sale")
    assert snapshots.load(path)[1]["clicks"] == 1


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b"])
def test_names_that_are_none(snapshots: Snapshots, name: str) -> None:
    with pytest.raises(SnapshotError, match="cannot name a snapshot"):
        snapshots.save(parts(), {"clicks": 1}, name=name)


def test_leftovers_of_killed_writes_go(snapshots: Snapshots) -> None:
    leftover = snapshots.folder / ".tmp-clicks-000000000001-0001"
    leftover.mkdir(parents=True)
    (leftover / "values.json").write_text("{")
    assert snapshots.load_newest() is None
    snapshots.save(parts(), {"clicks": 1})
    assert not leftover.exists()


def test_none_whole_is_an_error_with_its_remedy(snapshots: Snapshots) -> None:
    for clicks in (1, 2):
        (snapshots.save(parts(), {"clicks": clicks}) / "manifest").unlink()
    with pytest.raises(SnapshotError, match=r"(?s)none of the 2 .*0002.*missing.*0001.*--fresh"):
        snapshots.load_newest()


def test_saving_soon(snapshots: Snapshots) -> None:
    assert snapshots.wait() is None
    for clicks in (1, 2, 3):
        snapshots.save_soon(parts(clicks), {"clicks": clicks})
    durable = snapshots.wait()
    assert durable is not None
    assert not snapshots.busy
    loaded, about, _ = newest(snapshots)
    assert same(loaded, parts(3))
    assert about == durable == snapshots.durable
    assert len(names(snapshots)) == 3


def test_later_changes_to_the_facts_are_not_saved(snapshots: Snapshots) -> None:
    position = {"line": 1}
    snapshots.save_soon(parts(), {"clicks": 1, "position": position})
    position["line"] = 2
    snapshots.wait()
    assert newest(snapshots)[1]["position"] == {"line": 1}


def test_a_write_that_fails_on_the_thread_shows_at_the_next_call(snapshots: Snapshots) -> None:
    snapshots.save(parts(1), {"clicks": 1})
    large = {"model": State({"weights": np.zeros(1_000_000)}, {})}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        snapshots.save_soon(large, {"clicks": 2})
        with pytest.raises(SnapshotError, match=r"snapshots: .*too large.*--snapshots"):
            snapshots.save_soon(parts(3), {"clicks": 3})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert snapshots.durable is not None
    assert snapshots.durable["clicks"] == 1
    assert set(os.listdir(snapshots.folder)) == {"lock", *names(snapshots)}
    assert newest(snapshots)[1]["clicks"] == 1
    snapshots.save_soon(large, {"clicks": 4})
    assert snapshots.wait() == snapshots.durable
    assert newest(snapshots)[1]["clicks"] == 4


def test_a_full_disk_is_told(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nextclick.stream.snapshots.store.write_files", full)
    with pytest.raises(SnapshotError, match=r"snapshots: No space left on device; free some space"):
        snapshots.save(parts(), {"clicks": 1})


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_file_in_the_folders_place(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    snapshots = Snapshots(tmp_path / folder)
    with pytest.raises(SnapshotError, match=f"{folder}: .*--snapshots"):
        snapshots.save(parts(), {"clicks": 1})
    with pytest.raises(SnapshotError, match=folder):
        snapshots.load_newest()


def test_facts_without_json_are_refused_at_once(snapshots: Snapshots) -> None:
    with pytest.raises(TypeError):
        snapshots.save_soon(parts(), {"clicks": 1, "position": object()})


def run(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_one_process_at_a_time_writes(tmp_path: Path) -> None:
    holder = run(
        """
        import sys
        import time
        from pathlib import Path
        from nextclick.stream.snapshots.store import Snapshots
        snapshots = Snapshots(Path(sys.argv[1]))
        snapshots.lock()
        print("locked", flush=True)
        time.sleep(60)
        """,
        tmp_path,
    )
    second = Snapshots(tmp_path)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(SnapshotError, match=f"process {holder.pid} .*--snapshots"):
            second.save(parts(), {"clicks": 1})
        assert second.load_newest() is None
    finally:
        holder.kill()
        holder.communicate()
    second.save(parts(), {"clicks": 1})
    third = Snapshots(tmp_path)
    with pytest.raises(SnapshotError, match=f"process {os.getpid()} "):
        third.lock()
    second.close()
    third.lock()
    third.close()


def test_killed_at_any_moment_the_newest_is_whole(tmp_path: Path) -> None:
    # The libraries take long to import: one process does it, and forks one to kill at each line.
    forker = run(
        """
        import os
        import sys
        from pathlib import Path
        import numpy as np
        from nextclick.models.recommender import State
        from nextclick.stream.snapshots.store import Snapshots

        def save_for_ever():
            snapshots = Snapshots(Path(sys.argv[1]), keep=2)
            loaded = snapshots.load_newest()
            clicks = loaded[1]["clicks"] if loaded else 0
            print(os.getpid(), flush=True)
            while True:
                clicks += 1
                state = State({"count": np.full(50_000, clicks)}, {"count": clicks})
                if clicks % 2:
                    snapshots.save_soon({"model": state}, {"clicks": clicks})
                    durable = snapshots.wait()
                else:
                    snapshots.save({"model": state}, {"clicks": clicks})
                    durable = snapshots.durable
                print(durable["clicks"], flush=True)

        for _ in sys.stdin:
            child = os.fork()
            if child == 0:
                save_for_ever()
            os.waitpid(child, 0)
            print("dead", flush=True)
        """,
        tmp_path,
    )
    assert forker.stdin is not None
    assert forker.stdout is not None
    moments = random.Random(7)
    reached = 0
    for number in range(20):
        forker.stdin.write("next\n")
        forker.stdin.flush()
        child = int(forker.stdout.readline())
        # Every other one is let save once at least, however slow the machine.
        told = [forker.stdout.readline()] if number % 2 else []
        time.sleep(moments.uniform(0, 0.08))
        os.kill(child, signal.SIGKILL)
        told += iter(forker.stdout.readline, "dead\n")
        durable = int(told[-1]) if told else reached
        snapshots = Snapshots(tmp_path)
        loaded = snapshots.load_newest()
        if loaded is None:
            assert durable == 0
            continue
        parts, about, skipped = loaded
        reached = about["clicks"]
        assert skipped == []
        # What was told durable is there; the write that the kill cut short may be, too.
        assert reached in (durable, durable + 1)
        assert parts["model"].values == {"count": reached}
        assert (parts["model"].arrays["count"] == reached).all()
        assert all(snapshots.verify(path) == [] for path in snapshots.paths())
    forker.communicate()
    assert reached > 5


def test_a_copy_of_a_snapshot_elsewhere_is_whole(snapshots: Snapshots, tmp_path: Path) -> None:
    path = snapshots.save(parts(5), {"clicks": 5})
    shutil.copytree(path, tmp_path / "copies" / path.name)
    assert same(newest(Snapshots(tmp_path / "copies"))[0], parts(5))
