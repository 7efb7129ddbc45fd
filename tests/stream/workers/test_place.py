from __future__ import annotations

import pytest

from nextclick.stream.workers.place import Place, launched_place

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "first",
    "MASTER_PORT": "29400",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}


def test_torchrun_says_which_worker_a_process_is() -> None:
    place = launched_place(TORCHRUN)
    assert place == Place(5, 8, 1, 4, "first", 29400, node=1, agent=True)
    assert place.name == "worker 6 of 8"
    assert not place.is_first


def test_others_than_torchrun_keep_no_store() -> None:
    less = {n: v for n, v in TORCHRUN.items() if not n.startswith(("TORCH", "LOCAL", "GROUP"))}
    place = launched_place(less)
    assert place is not None
    assert not place.agent
    assert (place.local_rank, place.local_size) == (0, 1)


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"])
def test_a_part_of_the_variables_is_no_group(missing: str) -> None:
    assert launched_place({n: v for n, v in TORCHRUN.items() if n != missing}) is None


@pytest.mark.parametrize("variables", [{"WORLD_SIZE": "1", "RANK": "0"}, {"RANK": "first"}])
def test_one_process_is_no_group(variables: dict[str, str]) -> None:
    assert launched_place({**TORCHRUN, **variables}) is None
