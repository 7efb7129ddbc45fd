"""Runs that several processes share, begun from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.stream.workers.groups import Group

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workers"),
    pytest.mark.timeout(1200),
]

PROGRAM = """
import json, os, sys
from datetime import timedelta
import torch.distributed as dist
from nextclick.models import GRU4RecConfig
from nextclick.stream import CompareConfig, RunConfig, compare, run

own, folder = sys.argv[1:3]
rank = os.environ["RANK"]
if own == "own":
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
model = GRU4RecConfig(hidden=8, n_negatives=16, memory=0)
found = [run("sim:clicks=1500,items=99", RunConfig(model=model, device="cpu"))]
if own == "own":
    found.append(run("sim:clicks=1500,items=99", RunConfig(model=model, device="cpu")))
    models = {"markov": {}, "rules": {}}
    found.append(compare("sim:clicks=1500,items=99", CompareConfig(models=models, device="cpu")))
    total = dist.new_group()
    dist.barrier()
    dist.destroy_process_group()
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump([{key: each.get(key) for key in ("clicks", "recall@20")} for each in found], file)
"""


@pytest.mark.parametrize("own", ["own", "none"], ids=["in a group of its own", "under torchrun"])
def test_the_first_process_gets_the_figures_and_the_others_none(tmp_path: Path, own: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with Group(2, [own, tmp_path], output=tmp_path / "output", program=[str(program)]) as group:
        assert group.wait() == 0, group.text()
    first, second = (json.loads((tmp_path / f"{rank}.json").read_bytes()) for rank in (0, 1))
    assert [each["clicks"] for each in first] == [1500] * len(first)
    assert [each["clicks"] for each in second] == [None] * len(first)
    if own == "own":
        assert first[0] == first[1]
