"""Models made of a configuration; one that cannot be made is a mistake in an option."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from nextclick.models import OnlineGRU4Rec

from .options import ConfigError
from .run import RunConfig, StreamConfig

M = TypeVar("M")

_TOO_LARGE = re.compile(
    "can't allocate memory|out of memory|[Ss]torage size|[Oo]verflow when unpacking|"
    "array is too big|Maximum allowed dimension"
)


def make_model(config: RunConfig) -> OnlineGRU4Rec:
    """Make the model that a configuration asks for.

    Raises
    ------
    ConfigError
        It cannot compute on the device, or it is too large for the RAM.

    """
    return made(
        "the model",
        lambda: OnlineGRU4Rec(
            config.model,
            max_sessions=model_sessions(config),
            max_items=config.max_items,
            seed=config.seed,
            device=config.device,
        ),
    )


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
