"""Every model by name, small, with bounds that a short stream does not meet."""

from __future__ import annotations

from typing import Any

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.rivals import RIVALS
from tests.models.rivals.learned import SMALL

OWN = {"gru4rec": 50, "gru4rec-network": 0}
"""The engine's own model, with the bound of its memory."""

NAMES = sorted([*OWN, *RIVALS])


def make(name: str) -> Any:
    if name in OWN:
        config = GRU4RecConfig(hidden=8, window=4, n_negatives=16, memory=OWN[name])
        return OnlineGRU4Rec(config, device="cpu", seed=1, max_sessions=50)
    kind: Any = RIVALS[name]
    if name in SMALL:
        return kind(**SMALL[name], seed=1, device="cpu", max_sessions=50)
    kept = {"kept": 40} if name in ("vsknn", "stan", "vstan") else {}
    return kind(max_sessions=50, **kept)
