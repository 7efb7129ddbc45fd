"""What a comparison is told: the options of a stream, the models, and the figures."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ..config.options import ConfigError
from ..config.run import RunConfig, StreamConfig
from ..config.values import Between
from .registry import check_models

LARGEST_K = 1000
"""The longest list that figures may be asked for: clicks are counted at every rank up to it."""


class CompareConfig(StreamConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a comparison.

    Parameters
    ----------
    models
        The models by name, each with the options that it is given; a table of the TOML file each.
    k
        For how many recommendations there are figures; the largest also sets the lists from which
        coverage and popularity are told.
    gap, lateness, max_ahead, max_sessions, max_items, snapshots, snapshot_every, keep_snapshots,
    fresh, batch, device, seed, max_clicks, json, report, dead_letters
        As for every stream, see `StreamConfig`.
    session_column, user_column, item_column, time_column, time_unit, format, sort, until_end,
    partitions, session_from, time_from, idle, on_missing_offsets, group, kafka
        How the source is read, see `SourceOptions`.

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

    models: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    k: Annotated[list[int], Between(1, LARGEST_K)] = msgspec.field(
        default_factory=lambda: [1, 5, 10, 20]
    )

    def __post_init__(self) -> None:
        """Check the ranges and names."""
        super().__post_init__()
        if not self.models:
            raise ConfigError(
                "--models names no model to compare: write for instance "
                "--models gru4rec,gru4rec-network"
            )
        check_models(self.models)
        if not self.k:
            raise ConfigError("--k must give at least one number")
        msgspec.structs.force_setattr(self, "k", sorted(set(self.k)))

    def run_config(self) -> RunConfig:
        """Give the options of the run that goes through the stream."""
        shared = StreamConfig.__struct_fields__
        return RunConfig(**{option: getattr(self, option) for option in shared})
