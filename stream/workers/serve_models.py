"""The models of a comparison that another process than the first has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
import torch

from nextclick.models.compute.device import cores

from ..comparison.contestants import Contestant
from ..comparison.timed_model import TimedModel
from ..evaluation.driven import DrivenModel
from ..evaluation.protocol import Protocol
from ..evaluation.tested_batch import TestedBatch
from .joining import torch_threads
from .member import Member
from .models_apart import shared_config
from .wire import Wire


def serve_models(member: Member) -> None:
    """Have the models of another process, and do with them what the first process asks for."""
    # As many as in one process: the figures are the same to the last digit.
    torch.set_num_threads(torch_threads(cores()))
    wire = Wire(member.host_group)
    config = shared_config(member.task)
    contestants = msgspec.convert(member.task["contestants"], dict[str, Contestant])
    chosen = wire.receive(0)["models"]
    models: dict[str, TimedModel] = {}

    protocol = Protocol(frozen=member.task["frozen"])

    def begin() -> dict[str, Any]:
        made = {label: contestants[label].make(config) for label in chosen}
        driven = {name: DrivenModel(model, protocol) for name, model in made.items()}
        models.update({name: TimedModel(model) for name, model in driven.items()})
        most = {name: getattr(model, "largest_batch", None) for name, model in made.items()}
        return {"largest": most}

    wire.send(0, _caught(begin))
    while (message := wire.receive(0))["do"] != "stop":
        if message["do"] == "batch":
            tested = message["tested"]
            protocol.batch = TestedBatch.driven_by(tested) if tested is not None else None
            found = {n: _caught(partial(_step, model, n, message)) for n, model in models.items()}
            wire.send(0, {"answers": found})
            continue
        answer = _caught(partial(_do, models[message["model"]], message))
        wire.send(0, answer, answer.pop("state", None))


def _step(timed: TimedModel, name: str, message: dict[str, Any]) -> dict[str, Any]:
    tested = timed.test_then_learn(
        message["sessions"],
        message["items"],
        message["wanted"][name],
        message["time"],
        None if message["times"] is None else np.array(message["times"]),
        message["count_scoring"],
    )
    return {
        "scored": tested.scored.tolist(),
        "ranks": tested.ranks.tolist(),
        "recommended": tested.recommended,
        "learning": tested.learning,
        "n_items": timed.model.model.n_items,
        "seconds": timed.seconds.tolist(),
    }


def _do(timed: TimedModel, message: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked of one model."""
    if message["do"] == "state":
        return {"state": timed.model.model.state()}
    if message["do"] == "forget":
        timed.forget(message["sessions"])
    elif message["do"] == "seconds":
        timed.seconds = np.array(message["seconds"])
    elif message["do"] == "restore":
        timed.model.model.restore(message["state"])
    return {"n_items": timed.model.model.n_items}


def _caught(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what some work returns; of an error, what it is."""
    try:
        return work()
    except Exception as error:
        return {"error": [type(error).__name__, str(error)]}
