"""From the ranks' shards to a snapshot, which does not know how many there were, and back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.snapshot_buffer import SnapshotBuffer
from ..recommender import Arrays, within
from ..sessions import SessionStore
from .buckets import buckets_of
from .messages import Arrays as Sent
from .packing import Form
from .worker import Worker

Whole = NDArray[np.int64]

REMEMBERED = ("log", "items", "totals", "places", "own", "weights", "sums")
"""The memory's arrays in a snapshot, in the order in which they are sent."""


@dataclass(slots=True)
class Saved:
    """What a snapshot has of each rank.

    Parameters
    ----------
    used
        Rows of the catalogue in use.
    slots, buckets
        int64 (n,): of the live sessions.

    """

    used: int
    slots: Whole
    buckets: Whole

    @classmethod
    def of(cls, used: int, sessions: SessionStore) -> Saved:
        """Return what there is to be saved of these sessions."""
        return cls(used, sessions.held, buckets_of(list(sessions)))


def save_message(saved: Saved) -> Sent:
    """Return what tells the other ranks to send their shards."""
    return [np.array([saved.used]), saved.slots, saved.buckets]


def read_save(message: Sent) -> Saved:
    """Return what `save_message` was given."""
    (used,), slots, buckets = message
    return Saved(int(used), slots, buckets)  # type: ignore[arg-type]


def _columns(worker: Worker) -> dict[str, Tensor]:
    """Return the rank's tables by their names in a snapshot."""
    found = {}
    for name, table in worker.items.tables.items():
        found[f"items.{name}.values"] = table.values
        for number, part in enumerate(table.optimizer_state):
            found[f"items.{name}.memory.{number}"] = part
    return found


def _rows_of(worker: Worker, used: int) -> list[Whole]:
    """Return the rows of each rank, but no item."""
    rows = np.arange(1, used)
    owners = worker.buckets.owners(rows)
    return [rows[owners == rank] for rank in range(worker.group.size)]


def digest(worker: Worker) -> int:
    """Return a number that differs where what every rank has whole differs."""
    parts = [*worker.updater.weights, *worker.updater.optimizer_state]
    found = 0
    for part in parts:
        found = zlib.crc32(part.detach().cpu().numpy().tobytes(), found)
    if worker.recall:
        found = zlib.crc32(worker.recall.memory.vector.numpy().tobytes(), found)
    return found


def gather_shards(worker: Worker, saved: Saved) -> Arrays:
    """Return the items' and the sessions' arrays of a snapshot at rank 0, nothing elsewhere.

    Raises
    ------
    RuntimeError
        What every rank has whole is not the same at all of them.

    """
    group, columns = worker.group, _columns(worker)
    rows = _rows_of(worker, saved.used)
    owners = worker.buckets.ranks_of(saved.buckets)
    own = torch.from_numpy(worker.buckets.places(rows[group.rank])).to(worker.device)
    states = worker.states.read(saved.slots[owners == group.rank])
    parts = [torch.tensor([digest(worker)])]
    parts += [column.index_select(0, own).cpu() for column in columns.values()]
    parts.append(states.cpu())
    size = group.size
    outgoing = [parts if rank == 0 else [] for rank in range(size)]
    counts = [len(of) for of in rows]
    live = [int((owners == rank).sum()) for rank in range(size)]
    incoming: list[list[Form]] = [[] for _ in range(size)]
    if group.rank == 0:
        incoming = [
            [
                Form((1,), torch.int64),
                *(Form((counts[rank], *of.shape[1:]), of.dtype) for of in columns.values()),
                Form((live[rank], *states.shape[1:]), states.dtype),
            ]
            for rank in range(size)
        ]
    received = group.exchange("save", outgoing, incoming)
    if group.rank:
        return {}
    if len({int(part[0]) for part in received}) > 1:
        raise RuntimeError("the workers' networks differ: go on from the last snapshot")
    found = {}
    for at, (name, column) in enumerate(columns.items(), 1):
        # Place 0 holds what no item has.
        whole = column[:1].cpu().repeat(saved.used, *[1] * (column.ndim - 1))
        for of, part in zip(rows, received, strict=True):
            whole[torch.from_numpy(of)] = part[at]
        found[name] = whole.numpy()
    kept = states.new_zeros((len(saved.slots), *states.shape[1:]), device="cpu")
    for rank, part in enumerate(received):
        kept[torch.from_numpy(np.flatnonzero(owners == rank))] = part[-1]
    return {**found, "sessions.states": kept.numpy()}


def load_message(worker: Worker, saved: Saved, admissions: Whole, arrays: Arrays) -> Sent:
    """Return what tells the other ranks to load their shards, with what every rank has whole."""
    updater = worker.updater
    flat = [
        part.detach().cpu().reshape(-1) for part in (*updater.weights, *updater.optimizer_state)
    ]
    message: list[NDArray[np.generic]] = [
        np.array([saved.used]),
        saved.slots,
        saved.buckets,
        torch.cat(flat).numpy(),
    ]
    if worker.recall:
        recall = within("recall.", arrays)
        message += [admissions, *(recall[name].reshape(-1) for name in REMEMBERED)]
    return message


@torch.no_grad()
def load_worker(worker: Worker, message: Sent, arrays: Arrays | None) -> None:
    """Load a rank's part of a snapshot, of which rank 0 has the arrays."""
    saved = read_save(message[:3])
    if worker.group.rank:
        _load_whole(worker, message)
    if worker.recall:
        worker.recall.admissions = np.array(message[4], np.int64)
    group, columns = worker.group, _columns(worker)
    places = worker.buckets.used(saved.used)
    for table in worker.items.tables.values():
        table.reserve(places)
        table.begin(torch.arange(len(table.values), device=worker.device), table.empty)
    rows = _rows_of(worker, saved.used)
    owners = worker.buckets.ranks_of(saved.buckets)
    outgoing: list[list[Tensor]] = [[] for _ in rows]
    if arrays is not None:
        for rank, of in enumerate(rows):
            outgoing[rank] = [torch.from_numpy(arrays[name][of]) for name in columns]
            outgoing[rank].append(torch.from_numpy(arrays["sessions.states"][owners == rank]))
    own = owners == group.rank
    forms = [
        *(Form((len(rows[group.rank]), *of.shape[1:]), of.dtype) for of in columns.values()),
        Form((int(own.sum()), worker.network.width), worker.dtype),
    ]
    incoming = [forms if rank == 0 else [] for rank in range(group.size)]
    received = group.exchange("load", outgoing, incoming)[0]
    at = torch.from_numpy(worker.buckets.places(rows[group.rank])).to(worker.device)
    for column, part in zip(_columns(worker).values(), received, strict=False):
        column[at] = part.to(worker.device)
    worker.states.restore(saved.slots[own], received[-1].to(worker.device))


def _load_whole(worker: Worker, message: Sent) -> None:
    """Load what every rank has whole, at another rank than 0."""
    parts = [*worker.updater.weights, *worker.updater.optimizer_state]
    flat = torch.from_numpy(np.array(message[3])).split([part.numel() for part in parts])
    for part, own in zip(parts, flat, strict=True):
        part.copy_(own.view(part.shape))
    if worker.recall:
        memory = worker.recall.memory
        shapes = memory.state(np.zeros(0, np.int64), 0, SnapshotBuffer())
        state = {
            name: np.array(array).reshape(-1, *shapes[name].shape[1:])
            for name, array in zip(REMEMBERED, message[5:], strict=True)
        }
        memory.restore(state)
