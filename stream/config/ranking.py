"""The option of how exactly scores are computed before they are compared."""

from __future__ import annotations

from typing import Annotated, Literal

from .declaration import MODEL, option

Scores = Annotated[
    Literal["auto", "exact32"],
    option(
        "Scores by which clicks are ranked: exact32 computes all in float32; auto computes them "
        "in bfloat16 first where the catalogue is large and the processor is faster so.",
        MODEL,
        fixed=True,
        changeable=True,
    ),
]
