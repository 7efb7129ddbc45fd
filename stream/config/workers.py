"""The option of runs and comparisons that several processes share."""

from __future__ import annotations

from typing import Annotated

from .declaration import WORKERS, option
from .options import parse_positive

WorkerTimeout = Annotated[
    str | float,
    option(
        "Silence after which one of several workers is taken for dead, and the run ends.",
        WORKERS,
        value="DURATION",
        parse=parse_positive,
    ),
]
