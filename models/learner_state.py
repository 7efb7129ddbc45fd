"""What a learner's snapshot holds, and how it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .recommender import State, prefixed, within

if TYPE_CHECKING:
    from .learner import OnlineGRU4Rec


def copy_of(model: OnlineGRU4Rec) -> State:
    """Copy all that a learner's next click depends on."""
    copies = model.copies
    copies.begin()
    sessions, kept = model.sessions.state(copies)
    counts, popularity = model.popularity.state(copies)
    catalogue, by_item = model.vocabulary.state()
    used = model.vocabulary.used
    tensors = {
        **{f"network.{name}": copies.of(w) for name, w in model.network.named_parameters()},
        **{f"memory.{place}": copies.of(m) for place, m in enumerate(model.trainer.memories)},
        **prefixed("items.", model.items.state(used, copies)),
        **prefixed("sessions.", kept),
        **prefixed("popularity.", counts),
        "random.initial": model._initial.get_state(),
        "random.draws": model._draws.get_state(),
    }
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    arrays |= prefixed("catalogue.", by_item)
    if model.memory:
        arrays |= prefixed("recall.", model.memory.state(model.sessions.held, used, copies))
    values = {
        "catalogue": catalogue,
        "born": model.items.born,
        "sessions": sessions,
        "popularity": popularity,
    }
    return State(arrays, values)


@torch.no_grad()
def put_back(model: OnlineGRU4Rec, state: State) -> None:
    """Give a learner of the same configuration what `copy_of` copied."""
    arrays, values = state.arrays, state.values
    # Copies: what takes them back keeps some as they are.
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    for name, weight in model.network.named_parameters():
        weight.copy_(tensors[f"network.{name}"])
    for place, memory in enumerate(model.trainer.memories):
        memory.copy_(tensors[f"memory.{place}"])
    model.items.restore(within("items.", tensors), values["born"])
    model.vocabulary.restore(values["catalogue"], within("catalogue.", arrays))
    model.sessions.restore(values["sessions"], within("sessions.", tensors))
    model.popularity.restore(within("popularity.", tensors), values["popularity"])
    if model.memory:
        model.memory.restore(within("recall.", arrays))
    model._initial.set_state(tensors["random.initial"])
    model._draws.set_state(tensors["random.draws"])
