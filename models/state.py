"""What the snapshot of a model with a network holds, and how it is restored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from .base import fits, within_bounds
from .compute.snapshot_buffer import SnapshotBuffer
from .items.item_table import ROWS, SHIFT, ItemTable
from .items.popularity import Popularity
from .items.sampling_table import BLOCK, GROUP
from .items.vocabulary import Vocabulary
from .recommender import Arrays, State, prefixed, within
from .sessions import SessionStore


class Learned(Protocol):
    """What such models have in common: the learner, and the neural rivals."""

    copies: SnapshotBuffer
    items: ItemTable
    popularity: Popularity
    sessions: SessionStore
    vocabulary: Vocabulary
    _initial: torch.Generator
    _draws: torch.Generator


def save_state(model: Learned, network: nn.Module, optimizer_state: Sequence[Tensor]) -> State:
    """Copy all that a model's next click depends on.

    Parameters
    ----------
    model
        Its tables, sessions, counts and random numbers.
    network, optimizer_state
        Its network, and the optimizer's state of the weights.

    """
    copies = model.copies
    copies.begin()
    sessions, kept = model.sessions.state(copies)
    counts, popularity = model.popularity.state(copies)
    catalogue, by_item = model.vocabulary.state()
    tensors = {
        **{f"network.{name}": copies.copy(w) for name, w in network.named_parameters()},
        **{f"memory.{place}": copies.copy(part) for place, part in enumerate(optimizer_state)},
        **prefixed("items.", model.items.state(model.vocabulary.used, copies)),
        **prefixed("sessions.", kept),
        **prefixed("popularity.", counts),
        "random.initial": model._initial.get_state(),
        "random.draws": model._draws.get_state(),
    }
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    values = {
        "catalogue": catalogue,
        "born": model.items.n_generations,
        "sessions": sessions,
        "popularity": popularity,
    }
    return State(arrays | prefixed("catalogue.", by_item), values)


def _check(arrays: Arrays, values: dict[str, Any]) -> None:
    """Check that the parts of a state fit together: compiled loops use them as indices."""
    catalogue = values["catalogue"]
    used = len(catalogue["items"])
    tables = [name for name in arrays if name.startswith(("items.", "catalogue."))]
    fits(used > 0 and all(len(arrays[name]) == used for name in tables), "the items and tables")
    held = np.array([item is not None for item in catalogue["items"]])
    fits(np.array_equal(arrays["catalogue.lives"] > 0, held), "the items and their admissions")
    free = np.array(catalogue["free"], np.int64)
    fits(within_bounds(free, 1, used) and not held[free].any(), "the items and the free rows")
    windows = arrays["sessions.windows"]
    fits(within_bounds(windows & (ROWS - 1), 0, used), "the windows and the items")
    size = len(arrays["popularity.sums"])
    fits(
        size == len(arrays["popularity.dropped"])
        and size % GROUP == 0
        and (size >= used or used == 1)
        and len(arrays["popularity.counts"]) >= used,
        "the counts and the items",
    )


def with_sampling_sums(state: State) -> State:
    """Return a state with the sums that negatives are drawn by.

    States used to hold the cumulative sums of all rows, and the keys of their items then.
    """
    if "popularity.table" not in state.arrays:
        return state
    arrays, values = dict(state.arrays), dict(state.values)
    table, keys = (arrays.pop(f"popularity.{name}") for name in ("table", "stamps"))
    rows = slice(1, len(table) + 1)
    size = max(len(table) + 1, len(arrays["popularity.counts"])) if len(table) else 0
    weights = np.zeros(-(-size // GROUP) * GROUP)
    weights[rows] = np.diff(table, prepend=0.0)
    dropped = np.zeros(len(weights), np.bool_)
    dropped[rows] = arrays["items.births"][rows] != keys >> SHIFT
    arrays["popularity.sums"] = weights.reshape(-1, BLOCK).cumsum(axis=1).reshape(-1)
    arrays["popularity.dropped"] = dropped
    total = float(table[-1]) if len(table) else 0.0
    values["popularity"] = {**values["popularity"], "total": total}
    return State(arrays, values)


@torch.no_grad()
def load_state(
    model: Learned, network: nn.Module, optimizer_state: Sequence[Tensor], state: State
) -> None:
    """Restore what `save_state` copied, in a model of the same configuration."""
    arrays, values = state.arrays, state.values
    _check(arrays, values)
    # Copies: nothing is shared with the state.
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    for name, weight in network.named_parameters():
        weight.copy_(tensors[f"network.{name}"])
    for place, part in enumerate(optimizer_state):
        part.copy_(tensors[f"memory.{place}"])
    model.items.restore(within("items.", tensors), values["born"])
    model.vocabulary.restore(values["catalogue"], within("catalogue.", arrays))
    model.sessions.restore(values["sessions"], within("sessions.", tensors))
    model.popularity.restore(within("popularity.", tensors), values["popularity"])
    model._initial.set_state(tensors["random.initial"])
    model._draws.set_state(tensors["random.draws"])
    # A model that continues from a snapshot takes others.
    model.copies.wanted = True
