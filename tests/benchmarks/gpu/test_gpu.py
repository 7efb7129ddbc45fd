"""``make gpu`` on this machine: the same parts, at tiny sizes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import environment
from benchmarks.gpu.environment import ROOT, Environment
from benchmarks.gpu.timing import traffic


def called(*options: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", *options, "--json", str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_all_parts_run_on_the_cpu_at_tiny_sizes(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    # As long as a busy machine may take: numba may have to compile first.
    nowhere = str(tmp_path / "nowhere")
    done = called("--device", "cpu", "--quick", "--official", nowhere, file=file)
    found = json.loads(file.read_text())
    outcomes = {name: part["outcome"] for name, part in found["parts"].items()}
    assert outcomes == {part.name: "done" for part in gpu.PARTS}, done.stdout
    assert done.returncode == 0
    speeds = found["parts"]["speed"]["rows"]
    assert {(row["memory"], row["dtype"]) for row in speeds} >= {
        (False, "float32"),
        (True, "float32"),
        (False, "bfloat16"),
    }
    assert all(row["clicks/s"] > 0 and row["pairs/s"] > 0 for row in speeds)
    assert all(row["lists/s"] > 0 for row in found["parts"]["serving"]["rows"])
    # The same device: the same figures, wherever the run was interrupted.
    first, *others = found["parts"]["command"]["rows"]
    assert any("@" in name for name in first)
    assert all(list(row.values())[2:] == list(first.values())[2:] for row in others)


def test_what_cannot_be_measured_is_told_and_written(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    options = ["--device", "cpu", "--quick", "--parts", "official", "--official", str(tmp_path)]
    done = called(*options, file=file)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    (note,) = found["parts"]["official"]["notes"]
    assert "gpu-official" in note
    assert note in done.stdout
    assert found["machine"]["torch"] == torch.__version__


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_says_what_to_do(tmp_path: Path) -> None:
    done = called("--device", "cuda", file=tmp_path / "gpu.json")
    assert done.returncode == 1
    assert "--device cpu --quick" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def results(tmp_path: Path) -> gpu.Results:
    return gpu.Results(tmp_path / "found" / "gpu.json", {"card": None})


def run(part: gpu.Part, found: gpu.Results) -> str:
    given = argparse.Namespace(
        device="cpu", quick=True, official=Path("nowhere"), official_python=""
    )
    here = Environment(sys.executable, False, [], {"PYTHONPATH": str(ROOT)})
    found.begin(part)
    return gpu.run_part(part, given, here, found)


def test_a_part_that_fails_or_takes_too_long_is_ended_and_told(tmp_path: Path) -> None:
    found = results(tmp_path)
    assert run(gpu.Part("nothing", 60, "No such part"), found) == "failed with code 2"
    assert "ended after its" in run(gpu.Part("speed", 0.2, "Too long"), found)


def test_each_row_is_written_as_it_comes(tmp_path: Path) -> None:
    found = results(tmp_path)
    found.begin(gpu.Part("speed", 1, "A table"))
    file = tmp_path / "found" / "gpu.json"
    for number in range(3):
        found.line(json.dumps({"items": number, "clicks/s": 1.5}))
        found.line("{no json")
        assert len(json.loads(file.read_text())["parts"]["speed"]["rows"]) == number + 1


def test_a_missing_package_comes_from_the_wheels_that_were_carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    info = "lark-9.9.dist-info"
    with zipfile.ZipFile(wheels / "lark-9.9-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lark/__init__.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: lark\nVersion: 9.9\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setattr(environment, "WHEELS", wheels)
    unpack: Any = environment._unpack
    missing = unpack(sys.executable, ["lark", "river", "scipy"], tmp_path / "there", "3.11")
    assert missing == ["scipy", "river"]
    assert (tmp_path / "there" / "lark" / "__init__.py").exists()


def test_the_sources_are_found_without_being_installed(tmp_path: Path) -> None:
    found = environment.find(tmp_path, "cpu")
    script = (
        "import nextclick.models, nextclick.stream; from importlib import metadata;"
        "print(nextclick.__file__, metadata.version('nextclick') == nextclick.__version__)"
    )
    command = [found.python, "-c", script]
    done = subprocess.run(command, env=found.variables, capture_output=True, text=True, cwd="/")
    file, same = done.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert same == "True"


def test_the_traffic_has_as_many_clicks_as_asked_and_sessions_that_go_on() -> None:
    batches = traffic(items=50, batch=64)
    seen: set[int] = set()
    scored = total = 0
    for _ in range(50):
        sessions, items = next(batches)
        assert len(sessions) == len(items) == 64
        assert all(0 <= item < 50 for item in items)
        for session in sessions:
            scored += session in seen
            seen.add(session)
        total += 64
    # About as in a shop.
    assert 0.65 < scored / total < 0.9
