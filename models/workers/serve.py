"""What every rank but the first does: what rank 0 tells it."""

from __future__ import annotations

from typing import Any

import msgspec
import torch

from ..compute.device import choose_device
from ..gru4rec.parts import make_network
from .answering import answer_rank
from .group import Group
from .messages import Message
from .online import Beginning
from .plan import Plan
from .snapshots import gather_shards, load_worker, read_save
from .worker import Worker


def serve(group: Group, device: str = "auto") -> None:
    """Take part in the model of rank 0's `ShardedGRU4Rec` until it stops the group.

    Parameters
    ----------
    group
        The ranks.
    device
        Where this rank computes, see `OnlineGRU4Rec`.

    Raises
    ------
    LostWorker
        Rank 0 or another rank has ended or does not answer.

    """
    computes_on = choose_device(device)
    worker: Worker | None = None
    while True:
        kind, arrays = group.listen()
        if kind is Message.STOP:
            return
        if kind is Message.BEGIN:
            worker = _begin(group, bytes(arrays[0]), computes_on)
        elif kind is not Message.NOTHING:
            if worker is None:
                raise RuntimeError("rank 0 has not said which model this is")
            _act(worker, kind, arrays)


def _begin(group: Group, begin: bytes, device: torch.device) -> Worker:
    about = msgspec.json.decode(begin, type=Beginning)
    network = make_network(about.config, torch.Generator().manual_seed(about.seed))
    return Worker(about.config, group, network, about.seed, device, about.dtype)


def _act(worker: Worker, kind: Message, arrays: list[Any]) -> None:
    if kind is Message.STEP:
        worker.step(Plan.of(arrays))
    elif kind is Message.EVICT:
        worker.evict(arrays[0])
    elif kind is Message.SAVE:
        gather_shards(worker, read_save(arrays))
    elif kind is Message.LOAD:
        load_worker(worker, arrays, None)
    elif kind is Message.ANSWER:
        answer_rank(worker, arrays)
