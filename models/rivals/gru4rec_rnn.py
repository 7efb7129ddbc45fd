"""GRU4Rec with the cells of a plain recurrent network."""

from __future__ import annotations

from typing import Any

from ..learner import OnlineGRU4Rec
from .network_alone import network_alone


class GRU4RecRNN(OnlineGRU4Rec):
    """`OnlineGRU4Rec` with plain recurrent cells, without the memory of the latest clicks.

    J. Elman, 1990, "Finding Structure in Time"; the equation is in `RNNCell`.

    Parameters
    ----------
    max_sessions, max_items, seed, device, dtype
        As for `OnlineGRU4Rec`.
    options
        Options of the `Recipe`, but not its cell; `rate` has a default of its own.

    """

    name = "gru4rec-rnn"

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
            network_alone({"rate": 0.01, **options}, cell="rnn"),
            max_sessions=max_sessions,
            max_items=max_items,
            seed=seed,
            device=device,
            dtype=dtype,
        )
