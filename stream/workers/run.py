"""The model of a run that several processes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nextclick.models import GRU4RecConfig
from nextclick.models.base import CheckedModel
from nextclick.models.compute.device import cores
from nextclick.models.workers import Group, LostWorker, ShardedGRU4Rec

from .. import signals
from ..config.learners import DEFAULT, OWN
from ..config.model_factory import made, make_model, model_sessions
from ..config.options import ConfigError
from ..config.run import RunConfig
from ..notes import Info
from .joining import torch_threads
from .member import Member
from .sharing import Sharing


def refuse(config: RunConfig) -> None:
    """Check that several processes can share what a configuration asks for.

    Raises
    ------
    ConfigError
        They cannot; the message says why.

    """
    if config.learner not in OWN:
        raise ConfigError(
            f"--learner {config.learner} runs in one process: only {DEFAULT} can be shared by "
            "several workers. Start nextclick without torchrun, or leave --learner out"
        )


@contextmanager
def signals_wait_for_losses() -> Iterator[None]:
    """Take no signal any more once another process is lost: this one ends, and says why.

    torchrun sends one to all processes where one has died.
    """
    try:
        yield
    except LostWorker:
        signals.pass_over()
        raise


@contextmanager
def shared_model(
    config: RunConfig, member: Member | None, notify: Callable[[str], None]
) -> Iterator[CheckedModel]:
    """Make the model of a run; where there are several processes, one that they share.

    Where another process is lost meanwhile this one ends.

    Raises
    ------
    ConfigError
        It cannot compute on the device, it is too large for the RAM, or several processes cannot
        share it.

    """
    if member is None:
        yield make_model(config)
        return
    notify(Info(f"{member.place.size} workers, {member.backends}"))
    group = made("the workers", lambda: Group(member.group))
    try:
        try:
            model = _sharded(config, group)
            threads = torch_threads(cores(), member.place.local_size)
            vars(model)["sharing"] = Sharing(group.stats, member.watch, threads)
            yield model
        finally:
            group.stop()
        member.part()
    except LostWorker as error:
        member.lose(error)


def _sharded(config: RunConfig, group: Group) -> CheckedModel:
    options = config.model
    assert isinstance(options, GRU4RecConfig)
    model = made(
        "the model",
        lambda: ShardedGRU4Rec(
            options,
            group,
            max_sessions=model_sessions(config),
            max_items=config.max_items,
            seed=config.seed,
            device=config.device,
        ),
    )
    model.name = config.learner
    return model
