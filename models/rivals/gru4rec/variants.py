"""GRU4Rec with other cells, without the memory of the latest clicks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from ...gru4rec.config import GRU4RecConfig
from ...gru4rec.online import OnlineGRU4Rec

WITHOUT_MEMORY: dict[str, Any] = {"memory": 0, "memory_rate": 0, "memory_boost": False}
"""The options of the memory, which a network alone does not have."""


def network_alone(options: Mapping[str, Any], **fixed: Any) -> GRU4RecConfig:
    """Make the config of a network without the memory of the latest clicks.

    Parameters
    ----------
    options
        Options that are given; the config's defaults for the others.
    **fixed
        What makes the rival what it is.

    Raises
    ------
    ValueError
        An option is unknown, of a wrong type, out of its range, or fixed.

    Examples
    --------
    >>> network_alone({"hidden": 50}, cell="rnn").cell
    'rnn'

    """
    fixed["memory"] = 0
    for name in fixed:
        if name in options:
            raise ValueError(f"{name} is always {fixed[name]!r} here: leave the option out")
    return msgspec.convert({**options, **fixed}, GRU4RecConfig)


class GRU4RecLSTM(OnlineGRU4Rec):
    """`OnlineGRU4Rec` with LSTM cells, without the memory of the latest clicks.

    S. Hochreiter & J. Schmidhuber, 1997, "Long Short-Term Memory"; the equations are in `LSTMCell`.

    Parameters
    ----------
    max_sessions, max_items, seed, device, dtype
        As for `OnlineGRU4Rec`.
    **options
        Options of the `GRU4RecConfig`, but not its cell; `learning_rate` and `identity` have
        defaults of their own.

    """

    name = "gru4rec-lstm"
    default_options: ClassVar[dict[str, Any]] = {"learning_rate": 0.005, "identity": 8.0}
    fixed_options: ClassVar[dict[str, Any]] = {**WITHOUT_MEMORY, "cell": "lstm"}

    def __init__(
        self,
        *,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "float32",
        **options: Any,
    ) -> None:
        super().__init__(
            network_alone({**self.default_options, **options}, cell="lstm"),
            max_sessions=max_sessions,
            max_items=max_items,
            seed=seed,
            device=device,
            dtype=dtype,
        )


class GRU4RecRNN(OnlineGRU4Rec):
    """`OnlineGRU4Rec` with plain recurrent cells, without the memory of the latest clicks.

    J. Elman, 1990, "Finding Structure in Time"; the equation is in `RNNCell`.

    Parameters
    ----------
    max_sessions, max_items, seed, device, dtype
        As for `OnlineGRU4Rec`.
    **options
        Options of the `GRU4RecConfig`, but not its cell; `learning_rate` has a default of its own.

    """

    name = "gru4rec-rnn"
    default_options: ClassVar[dict[str, Any]] = {"learning_rate": 0.01}
    fixed_options: ClassVar[dict[str, Any]] = {**WITHOUT_MEMORY, "cell": "rnn"}

    def __init__(
        self,
        *,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "float32",
        **options: Any,
    ) -> None:
        super().__init__(
            network_alone({**self.default_options, **options}, cell="rnn"),
            max_sessions=max_sessions,
            max_items=max_items,
            seed=seed,
            device=device,
            dtype=dtype,
        )
