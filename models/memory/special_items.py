"""Operations on the special items of clicks: a compiled loop each, or torch on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled
from ..compute.transfer import fetch, send
from ..items.best_items import places_of
from ..items.vocabulary import NO_ITEM
from .evidence import Evidence
from .layout import Real, Whole


def probabilities(
    network: Tensor, evidence: Evidence, *others: Tensor
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Return the network's probability of each special item of some clicks, on the host.

    Parameters
    ----------
    network
        (c, rows): the network's probabilities.
    evidence
        For these c clicks.
    *others
        What else the host needs, on the same device: a GPU has one transfer there and one back.

    Returns
    -------
    special
        (distinct,): where the evidence is of other clicks, anything.
    others
        These, on the host.

    """
    if evidence.rows.max(initial=NO_ITEM) >= network.shape[1]:
        raise IndexError("evidence for a row that the catalogue does not have")
    if on_host(network):
        special = _probabilities(network.numpy(), evidence.spans, evidence.rows)
        return special, [of.numpy() for of in others]
    at, counts = places_of(evidence.spans)
    rows, counts_there = send([evidence.rows[at], counts], network.device)
    clicks = torch.arange(len(counts), device=network.device)
    # Given the size, nothing waits to hear it.
    clicks = clicks.repeat_interleave(counts_there, output_size=len(at))
    values, *fetched = fetch([network[clicks, rows.long()], *others])
    found = np.zeros(len(evidence.rows), values.dtype)
    found[at] = values
    return found, fetched


@compiled
def _probabilities(network: NDArray[Any], spans: Whole, rows: NDArray[np.int32]) -> NDArray[Any]:
    found = np.empty(len(rows), network.dtype)
    for click in range(len(spans)):
        for at in range(spans[click, 0], spans[click, 1]):
            found[at] = network[click, rows[at]]
    return found


def padded(evidence: Evidence, values: Real) -> tuple[Whole, Real]:
    """Return each click's rows and their values, (c, most), filled up with row 0 and -1.

    Parameters
    ----------
    evidence
        For the c clicks.
    values
        (distinct,): of all special items.

    """
    spans, rows = evidence.spans, evidence.rows
    counts = spans[:, 1] - spans[:, 0]
    at = np.arange(max(1, counts.max(initial=0)))
    inside = at < counts[:, None]
    places = np.where(inside, spans[:, :1] + at, 0)
    if not len(rows):
        return np.zeros(places.shape, np.int64), np.full(places.shape, -1.0)
    return np.where(inside, rows[places], NO_ITEM).astype(np.int64), np.where(
        inside, values[places], -1.0
    )
