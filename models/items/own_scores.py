"""The scores of single items: a compiled loop, or torch on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import contracting
from .table import pick


def own_scores(
    outputs: Tensor, embedding: Tensor, bias: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return each target's score, and the largest that it could be: (m,) each."""
    if on_host(outputs):
        own, sizes = _own_scores(outputs.numpy(), embedding.numpy(), bias.numpy(), targets.numpy())
        return torch.from_numpy(own), torch.from_numpy(sizes)
    embedded, biases = pick(embedding, targets), pick(bias, targets)
    norms = outputs.norm(dim=1) * embedded.norm(dim=1)
    return (outputs * embedded).sum(dim=1) + biases, norms + biases.abs()


@contracting
def _own_scores(
    outputs: NDArray[Any], embedding: NDArray[Any], bias: NDArray[Any], targets: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    own, sizes = np.empty(len(outputs), outputs.dtype), np.empty(len(outputs), outputs.dtype)
    zero = outputs.dtype.type(0)
    for row in range(len(outputs)):
        output, embedded = outputs[row], embedding[targets[row]]
        one, other, score = zero, zero, zero
        for place in range(len(output)):
            one += output[place] * output[place]
            other += embedded[place] * embedded[place]
            # Term after term, as a product of matrices adds them up.
            score += output[place] * embedded[place]
        own[row] = score + bias[targets[row]]
        sizes[row] = np.sqrt(one) * np.sqrt(other) + np.abs(bias[targets[row]])
    return own, sizes
