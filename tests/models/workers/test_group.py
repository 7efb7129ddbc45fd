from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.models.workers import Group, LostWorker
from nextclick.models.workers.group import MOST_WORKERS
from nextclick.models.workers.messages import FIRST, Message
from nextclick.models.workers.packing import Form, form_of
from tests.models.workers.pool import SIZES, Pool

several = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
sizes = st.sampled_from((1, *SIZES))
seeds = st.integers(0, 999)


def drawn(seed: int, *numbers: int, shape: Sequence[int]) -> torch.Tensor:
    """Draw numbers of very different sizes, whose sum depends on its order."""
    draw = np.random.default_rng((seed, *numbers))
    found = np.asarray(draw.normal(size=shape) * 10.0 ** draw.integers(-4, 5, shape))
    return torch.from_numpy(found.astype(np.float32))


def added(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


def summed(
    group: Group, seed: int, shapes: list[tuple[int, ...]], counts: list[int]
) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    whole = [drawn(seed, group.rank, at, shape=shape) for at, shape in enumerate(shapes)]
    split = drawn(seed, group.rank, len(shapes), shape=(sum(counts), 3))
    sums, (own,) = group.sum_in_order("sums", whole, [(split, counts)])
    return [each.numpy() for each in sums], own.numpy()


@several
@given(
    size=sizes,
    seed=seeds,
    shapes=st.lists(st.lists(st.integers(0, 7), max_size=2).map(tuple), max_size=3),
    data=st.data(),
)
def test_sums_are_added_in_the_order_of_the_ranks_and_equal_to_the_last_bit(
    pool: Pool, size: int, seed: int, shapes: list[tuple[int, ...]], data: st.DataObject
) -> None:
    counts = data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
    found = pool.call(size, summed, seed, shapes, counts)
    for at, shape in enumerate(shapes):
        wanted = added([drawn(seed, rank, at, shape=shape) for rank in range(size)]).numpy()
        for sums, _ in found:
            assert sums[at].tobytes() == wanted.tobytes()
    every = added([drawn(seed, rank, len(shapes), shape=(sum(counts), 3)) for rank in range(size)])
    for (_, own), wanted_own in zip(found, every.split(counts), strict=True):
        assert own.tobytes() == wanted_own.numpy().tobytes()


def sent(seed: int, sender: int, receiver: int, length: int) -> list[torch.Tensor]:
    part = drawn(seed, sender, receiver, shape=(length,))
    return [part, part > 0, (part * 100).long()[:1]]


def exchanged(group: Group, seed: int, lengths: list[list[int]]) -> list[list[NDArray[Any]]]:
    own, ranks = group.rank, range(group.size)
    outgoing = [sent(seed, own, other, lengths[own][other]) for other in ranks]
    theirs = [sent(seed, other, own, lengths[other][own]) for other in ranks]
    incoming = [[form_of(each) for each in part] for part in theirs]
    received = group.exchange("test", outgoing, incoming)
    return [[each.numpy() for each in part] for part in received]


@several
@given(size=sizes, seed=seeds, data=st.data())
def test_each_rank_gets_what_each_other_one_sends_it(
    pool: Pool, size: int, seed: int, data: st.DataObject
) -> None:
    row = st.lists(st.integers(0, 50), min_size=size, max_size=size)
    lengths = data.draw(st.lists(row, min_size=size, max_size=size))
    found = pool.call(size, exchanged, seed, lengths)
    for receiver, received in enumerate(found):
        for sender, part in enumerate(received):
            wanted = sent(seed, sender, receiver, lengths[sender][receiver])
            for got, each in zip(part, wanted, strict=True):
                np.testing.assert_array_equal(got, each.numpy())


def gathered(group: Group, seed: int, counts: list[int]) -> NDArray[Any]:
    rows = drawn(seed, group.rank, shape=(counts[group.rank], 2))
    return group.gather("rows", rows, counts).numpy()


@several
@given(size=sizes, seed=seeds, data=st.data())
def test_rows_of_all_ranks_are_gathered_in_their_order(
    pool: Pool, size: int, seed: int, data: st.DataObject
) -> None:
    counts = data.draw(st.lists(st.integers(0, 5), min_size=size, max_size=size))
    rows = torch.cat([drawn(seed, rank, shape=(counts[rank], 2)) for rank in range(size)])
    for found in pool.call(size, gathered, seed, counts):
        np.testing.assert_array_equal(found, rows.numpy())


def heard(group: Group, lengths: list[int]) -> list[tuple[int, int, int]]:
    if group.rank == 0:
        for length in lengths:
            group.tell(Message.SAVE, [np.arange(length)])
        group.send_nothing()
        return []
    told = []
    for _ in range(len(lengths) + 1):
        kind, arrays = group.listen()
        told.append((int(kind), len(arrays), int(sum(array.sum() for array in arrays))))
    return told


def test_what_rank_0_tells_is_heard_by_all_however_long_it_is(pool: Pool) -> None:
    lengths = [0, 10, FIRST // 8 - 128, FIRST // 8, 100_000]
    wanted = [(int(Message.SAVE), 1, length * (length - 1) // 2) for length in lengths]
    wanted.append((int(Message.NOTHING), 0, 0))
    for size in SIZES:
        assert pool.call(size, heard, lengths) == [[], *[wanted] * (size - 1)]


def counted(group: Group) -> dict[str, Any]:
    group.gather("rows", torch.zeros(6), [6] * group.size)
    group.sum_in_order("sums", [torch.zeros(8)])
    return group.stats()


def test_stats_count_what_a_rank_has_sent_by_phase(pool: Pool) -> None:
    for size in SIZES:
        for found in pool.call(size, counted):
            assert found["workers"] == size
            assert found["backend"] == "gloo"
            assert found["bytes"]["rows"] == 24 * (size - 1)
            assert found["bytes"].keys() == found["seconds"].keys() == {"rows", "sums"}
            assert found["rounds"] == (2 if size == 2 else 3)
            assert len(found["busy"]) == size
    (alone,) = pool.call(1, counted)
    assert (alone["workers"], alone["backend"], alone["rounds"]) == (1, "none", 0)


def test_a_stopped_group_exchanges_nothing_more(pool: Pool) -> None:
    with pool.group(2) as group:
        group.stop()
        group.stop()
        with pytest.raises(LostWorker, match="stopped"):
            group.gather("rows", torch.zeros(1), [1, 1])
        with pytest.raises(LostWorker, match="stopped"):
            group.send_nothing()


def test_more_workers_than_buckets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # A group of more processes than a test can start.
    group: Any = object()
    monkeypatch.setattr(dist, "get_rank", lambda group: 0)
    monkeypatch.setattr(dist, "get_world_size", lambda group: MOST_WORKERS + 1)
    with pytest.raises(ValueError, match="65 are too many: start 64 at most"):
        Group(group)


def _answer_once(folder: str, rank: int, ends: bool, result: Connection) -> None:
    store = dist.FileStore(f"{folder}/store", 2)  # type: ignore[attr-defined]
    limit = timedelta(seconds=5)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=limit)
    group = Group(dist.group.WORLD)
    group.gather("rows", torch.zeros(1), [1, 1])
    if rank:
        if not ends:
            result.poll(600)  # It hangs, for all that the other can tell.
        return
    said = []
    for exchange in (group.gather, group.gather):
        try:
            exchange("rows", torch.zeros(1), [1, 1])
        except LostWorker as error:
            said.append(str(error))
    group.stop()
    result.send(said)


@pytest.mark.parametrize("ends", [True, False], ids=["has ended", "does not answer"])
def test_an_exchange_with_one_that_is_gone_fails_and_so_do_all_after_it(
    tmp_path: Path, ends: bool
) -> None:
    spawn = multiprocessing.get_context("spawn")
    pipes = [spawn.Pipe() for _ in range(2)]
    processes = [
        spawn.Process(target=_answer_once, args=(str(tmp_path), rank, ends, there), daemon=True)
        for rank, (_, there) in enumerate(pipes)
    ]
    for process in processes:
        process.start()
    assert pipes[0][0].poll(120), "the exchange has neither failed nor ended"
    first, second = pipes[0][0].recv()
    pipes[1][0].send("end")
    for process in processes:
        process.join(60)
    assert first.startswith("a worker was lost, or did not answer in time")
    assert "stopped" in second


def test_forms_may_be_of_nothing(pool: Pool) -> None:
    for size in SIZES:
        for found in pool.call(size, nothing_sent):
            assert found == [[] for _ in range(size)]


def nothing_sent(group: Group) -> list[list[Any]]:
    forms: list[list[Form]] = [[] for _ in range(group.size)]
    received = group.exchange("nothing", [[] for _ in range(group.size)], forms)
    return [list(part) for part in received]
