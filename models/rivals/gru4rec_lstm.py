"""GRU4Rec with an LSTM's cells."""

from __future__ import annotations

from typing import Any

from ..learner import OnlineGRU4Rec
from .network_alone import network_alone


class GRU4RecLSTM(OnlineGRU4Rec):
    """`OnlineGRU4Rec` with LSTM cells, without the memory of the latest clicks.

    S. Hochreiter & J. Schmidhuber, 1997, "Long Short-Term Memory"; the equations are in `LSTMCell`.

    Parameters
    ----------
    max_sessions, max_items, seed, device, dtype
        As for `OnlineGRU4Rec`.
    options
        Options of the `Recipe`, but not its cell; `rate` and `identity` have defaults of their own.

    """

    name = "gru4rec-lstm"

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
            network_alone({"rate": 0.005, "identity": 8.0, **options}, cell="lstm"),
            max_sessions=max_sessions,
            max_items=max_items,
            seed=seed,
            device=device,
            dtype=dtype,
        )
