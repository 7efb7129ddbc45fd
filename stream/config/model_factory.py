"""Models made of a configuration; one that cannot be made is a mistake in an option."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, Recommender
from nextclick.models.base import CheckedModel
from nextclick.models.rivals.counting.base import CountingModel

from .learners import DEFAULT, OWN, class_of, kind_of, read_contestant, shared_by
from .options import ConfigError
from .run import RunConfig, StreamConfig

M = TypeVar("M")

_TOO_LARGE = re.compile(
    "can't allocate memory|out of memory|[Ss]torage size|[Oo]verflow when unpacking|"
    "array is too big|Maximum allowed dimension"
)


def make_model(config: RunConfig) -> CheckedModel:
    """Make the model that a run's configuration names.

    Raises
    ------
    ConfigError
        It cannot compute on the device, or it is too large for the RAM.

    """
    place = "the model" if config.learner == DEFAULT else f"model {config.learner}"
    model = _make(config.learner, config.model, config, place)
    if not isinstance(model, CheckedModel):
        raise ConfigError(f"{place} cannot be a run's: it is no CheckedModel")
    # The figures tell which of its names the engine's own model has.
    model.name = config.learner
    return model


def make_models(
    models: Mapping[str, Mapping[str, Any]], config: StreamConfig
) -> dict[str, Recommender]:
    """Make the models of a comparison.

    Parameters
    ----------
    models
        For each by name the options that it is given, and maybe its kind; see `kind_of`.
    config
        The bounds, the seed and the device that all of them share.

    Raises
    ------
    ConfigError
        There is no such model, or no such option, or the option is out of its range.

    """
    found = {}
    for name, given in models.items():
        kind, options = read_contestant(name, given)
        found[name] = _make(kind, options, config, f"model {name}")
    return found


def _make(name: str, options: msgspec.Struct, config: StreamConfig, place: str) -> Recommender:
    shared: dict[str, Any] = {
        "max_sessions": model_sessions(config),
        "max_items": config.max_items,
        "seed": config.seed,
        "device": config.device,
    }
    if name in OWN:
        assert isinstance(options, GRU4RecConfig)
        recipe = options
        return made(place, lambda: OnlineGRU4Rec(recipe, **shared))
    kind: Callable[..., Recommender] = class_of(name)
    own = {key: shared[key] for key in shared_by(class_of(name)) if key in shared}
    return made(place, lambda: kind(**msgspec.structs.asdict(options), **own))


def takes_seed(name: str, given: Mapping[str, Any]) -> bool:
    """Whether the results of a model depend on a seed; counting models only accept one.

    Examples
    --------
    >>> takes_seed("gru4rec", {}), takes_seed("vstan", {})
    (True, False)

    """
    kind = class_of(kind_of(name, given)[0])
    return "seed" in shared_by(kind) and not issubclass(kind, CountingModel)


def model_sessions(config: StreamConfig) -> int:
    """Return a model's bound on live sessions.

    One that the sessionizer has just pushed out is forgotten after its batch.
    """
    return config.max_sessions + config.batch


def made(place: str, make: Callable[[], M]) -> M:
    """Make a model.

    Parameters
    ----------
    place
        Which model it is, for the message.
    make
        Makes it.

    Raises
    ------
    ConfigError
        An option is out of its range, or no such large arrays can be had.

    """
    try:
        with fitting(place):
            return make()
    except OverflowError as error:
        raise _too_large(place) from error
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error


@contextmanager
def fitting(place: str) -> Iterator[None]:
    """Turn what libraries raise where arrays are too large into an error that names the remedy.

    Parameters
    ----------
    place
        Which model it is, for the message.

    Raises
    ------
    ConfigError
        There is too little RAM for what was asked for.

    Examples
    --------
    >>> with fitting("model markov"):
    ...     raise MemoryError
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: model markov does not fit into memory: ...

    """
    try:
        yield
    except MemoryError as error:
        raise _too_large(place) from error
    except (RuntimeError, TypeError, ValueError) as error:
        # torch and numpy have many kinds of errors for it, and many ways to say it.
        if not _TOO_LARGE.search(str(error)):
            raise
        raise _too_large(place) from error


def _too_large(place: str) -> ConfigError:
    return ConfigError(
        f"{place} does not fit into memory: use smaller layers (hidden, feed_forward), a shorter "
        "window, fewer negatives or a smaller memory, or smaller --batch, --max-items or "
        "--max-sessions"
    )
