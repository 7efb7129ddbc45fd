"""What takes part in a comparison: each model, with each of its seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from nextclick.models import Recommender

from ..config.learners import kind_of
from ..config.model_factory import make_models, takes_seed
from ..config.run import StreamConfig
from .seeds import label_of

if TYPE_CHECKING:
    from .config import CompareConfig

M = TypeVar("M")


class Contestant(NamedTuple):
    """One model with one seed.

    Parameters
    ----------
    name
        The name in the comparison, which all its seeds share.
    options
        What the model is given, with its ``kind``.
    seed
        What its random draws begin with.

    """

    name: str
    options: dict[str, Any]
    seed: int

    def make(self, config: StreamConfig) -> Recommender:
        """Make the model, with the bounds and the device of a configuration.

        Raises
        ------
        ConfigError
            There is no such model, or no such option, or the option is out of its range.

        """
        seeded = msgspec.structs.replace(config, seed=self.seed)
        return make_models({self.name: self.options}, seeded)[self.name]


def contestants_of(config: CompareConfig) -> dict[str, Contestant]:
    """Return what takes part, by a label of its own; a model that takes no seed does so once.

    Raises
    ------
    ConfigError
        The kind of a model is no name.

    Examples
    --------
    >>> from nextclick.stream.comparison.config import CompareConfig
    >>> found = contestants_of(CompareConfig(models={"gru4rec": {}, "vstan": {}}, seeds=2))
    >>> {label: one.seed for label, one in found.items()}
    {'gru4rec, seed 1': 0, 'gru4rec, seed 2': 1, 'vstan': 0}

    """
    found = {}
    for name, given in config.models.items():
        kind, options = kind_of(name, given)
        count = config.seeds if takes_seed(name, given) else 1
        for at in range(count):
            one = Contestant(name, {"kind": kind, **options}, config.seed + at)
            found[label_of(name, at, count)] = one
    return found


def make_contestants(config: CompareConfig) -> dict[str, list[Recommender]]:
    """Make the models of a comparison, one for each seed.

    Raises
    ------
    ConfigError
        There is no such model, or no such option, or the option is out of its range.

    """
    contestants = contestants_of(config)
    made = {label: one.make(config) for label, one in contestants.items()}
    return by_name(made, contestants)


def by_name(models: Mapping[str, M], contestants: Mapping[str, Contestant]) -> dict[str, list[M]]:
    """Return models that are known by their labels by their names, one for each seed."""
    found: dict[str, list[M]] = {}
    for label, model in models.items():
        found.setdefault(contestants[label].name, []).append(model)
    return found
