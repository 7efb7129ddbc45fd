from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from nextclick.models.recommender import State
from nextclick.stream.snapshots.files import FILES, PIECE, pieces
from nextclick.stream.snapshots.store import SnapshotError, Snapshots
from nextclick.stream.snapshots.upgrade import FORMAT, first_line

ALL_FILES = [*FILES, "manifest"]


def parts(seed: int) -> dict[str, State]:
    weights = np.random.default_rng(seed).normal(size=(4, 3))
    return {"model": State({"weights": weights}, {"seed": seed}), "metrics": State({}, {"n": 5})}


def newest(snapshots: Snapshots) -> tuple[dict[str, State], dict[str, Any], list[str]]:
    loaded = snapshots.load_newest()
    assert loaded is not None
    return loaded


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Snapshots, Path]]:
    """Return two snapshots, of 1 and of 2 clicks, and the path of the latter."""
    snapshots = Snapshots(tmp_path_factory.mktemp("pair"))
    snapshots.save(parts(1), {"clicks": 1})
    path = snapshots.save(parts(2), {"clicks": 2})
    yield snapshots, path
    snapshots.close()


def assert_skipped(snapshots: Snapshots, path: Path, file: str, what: str) -> None:
    loaded, about, skipped = newest(snapshots)
    assert np.array_equal(loaded["model"].arrays["weights"], parts(1)["model"].arrays["weights"])
    assert loaded["model"].values == {"seed": 1}
    assert about["clicks"] == 1
    assert len(skipped) == 1
    assert path.name in skipped[0]
    assert f"file {file}: " in skipped[0]
    assert what in skipped[0]
    with pytest.raises(SnapshotError, match=file):
        snapshots.load(path)


@pytest.mark.parametrize("file", ALL_FILES)
def test_every_flipped_byte_is_found(pair: tuple[Snapshots, Path], file: str) -> None:
    snapshots, path = pair
    whole = (path / file).read_bytes()
    flip = random.Random(file)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= flip.randrange(1, 256)
        (path / file).write_bytes(damaged)
        assert len(snapshots.verify(path)) == 1, f"byte {place} of {file}"
    assert_skipped(snapshots, path, file, "checksum")
    (path / file).write_bytes(whole)
    assert snapshots.verify(path) == []
    assert newest(snapshots)[1]["clicks"] == 2


@pytest.mark.parametrize("file", ALL_FILES)
def test_every_cut_is_found(pair: tuple[Snapshots, Path], file: str) -> None:
    snapshots, path = pair
    whole = (path / file).read_bytes()
    for length in range(len(whole)):
        (path / file).write_bytes(whole[:length])
        assert len(snapshots.verify(path)) == 1, f"{file} cut at {length}"
    assert_skipped(snapshots, path, file, "cut")
    (path / file).write_bytes(whole + b"\n")
    assert len(snapshots.verify(path)) == 1
    (path / file).write_bytes(whole)
    assert newest(snapshots)[2] == []


@pytest.mark.parametrize("file", ALL_FILES)
def test_every_missing_file_is_found(pair: tuple[Snapshots, Path], file: str) -> None:
    snapshots, path = pair
    (path / file).rename(path / "elsewhere")
    assert_skipped(snapshots, path, file, "missing")
    (path / "elsewhere").rename(path / file)
    assert newest(snapshots)[2] == []


def test_the_number_of_bytes_cut_is_told(pair: tuple[Snapshots, Path]) -> None:
    snapshots, path = pair
    arrays = path / "arrays.safetensors"
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-100])
    assert snapshots.verify(path) == ["file arrays.safetensors: 100 bytes cut"]
    arrays.write_bytes(whole)


@pytest.mark.parametrize(
    ("number", "message"),
    [(FORMAT + 1, "newer version.*update it"), (5, "before format 6.*--fresh")],
)
def test_a_snapshot_of_a_format_that_is_not_read_says_so(
    pair: tuple[Snapshots, Path], number: int, message: str
) -> None:
    snapshots, path = pair
    lines = (path / "manifest").read_text().splitlines()[1:-1]
    text = "\n".join([first_line(number), *lines]) + "\n"
    (path / "manifest").write_text(text + hashlib.sha256(text.encode()).hexdigest() + "\n")
    (problem,) = snapshots.verify(path)
    assert re.search(message, problem)


def test_files_are_plain_json_and_safetensors(pair: tuple[Snapshots, Path]) -> None:
    _, path = pair
    assert sorted(os.listdir(path)) == sorted(ALL_FILES)
    assert json.loads((path / "about.json").read_text())["clicks"] == 2
    assert json.loads((path / "values.json").read_text())["metrics"] == {"n": 5}
    assert load_file(path / "arrays.safetensors")["model/weights"].shape == (4, 3)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda own: (
        st.lists(own, max_size=3)
        | st.tuples(own, own)
        | st.dictionaries(st.text(), own, max_size=3)
        | st.dictionaries(st.integers(), own, max_size=3)
        | st.tuples(own, st.sampled_from([PIECE, PIECE + 1, 2 * PIECE + 1])).map(
            lambda pair: [pair[0]] * pair[1]
        )
    ),
    max_leaves=6,
)


@given(values)
def test_pieces_are_what_the_whole_would_be(value: object) -> None:
    assert "".join(pieces(value)) == json.dumps(value)


def test_no_piece_is_of_many_elements() -> None:
    long = ["click"] * (10 * PIECE)
    assert max(map(len, pieces({"model": {"items": long}}))) < 2 * len(json.dumps(long[:PIECE]))
