"""The configuration of a comparison: the options of a stream, the models, and the figures."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ..config.clicks_file import check_clicks
from ..config.declaration import documented, option
from ..config.learners import checked_models, names
from ..config.options import ConfigError
from ..config.run import RunConfig, StreamConfig
from ..config.source import sorted_once
from ..config.texts import read_names

MODELS = "Models"
"""The panel of the help with what is compared."""

LARGEST_K = 1000
"""The longest list that figures may be asked for: clicks are counted at every rank up to it."""


MOST_SEEDS = 100
"""Seeds that a comparison may have."""


@documented
class CompareConfig(StreamConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a comparison.

    Raises
    ------
    ConfigError
        An option is out of its range, or there is no such model or option of one.

    Examples
    --------
    >>> config = CompareConfig(models={"gru4rec": {"hidden": 50}, "gru4rec-network": {}}, k=[20, 1])
    >>> config.k, config.run_config().batch
    ([1, 20], 64)

    """

    models: Annotated[
        dict[str, dict[str, Any]],
        option(
            f"Models to compare, separated by commas: {', '.join(names())}.",
            MODELS,
            fixed=True,
            basic=True,
            value="NAME,NAME,…",
            read=read_names,
        ),
    ] = msgspec.field(default_factory=dict)
    seeds: Annotated[
        int,
        option(
            "Seeds with which each model takes part, from --seed on; figures are their means.",
            MODELS,
            ge=1,
            le=MOST_SEEDS,
            fixed=True,
        ),
    ] = 1
    k: Annotated[
        list[int],
        option(
            "Lengths of the recommendation lists to report figures for.",
            MODELS,
            ge=1,
            le=LARGEST_K,
            fixed=True,
            names=("-k",),
            normalise=sorted_once,
        ),
    ] = msgspec.field(default_factory=lambda: [1, 5, 10, 20])

    def __post_init__(self) -> None:
        """Check the ranges and names."""
        super().__post_init__()
        check_clicks(self.clicks, self.clicks_k)
        if not self.models:
            raise ConfigError(
                "--models names no model to compare: write for instance "
                "--models gru4rec,gru4rec-network"
            )
        msgspec.structs.force_setattr(self, "models", checked_models(self.models))

    def run_config(self) -> RunConfig:
        """Return the options of the run that goes through the stream."""
        shared = StreamConfig.__struct_fields__
        return RunConfig(**{option: getattr(self, option) for option in shared})
