from __future__ import annotations

import numpy as np
import pytest
import torch

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.rivals.gru4rec.frozen import GRU4RecFrozen
from tests.models.rivals.learned import drive, make, stream


def online() -> OnlineGRU4Rec:
    config = GRU4RecConfig(hidden=8, window=4, n_negatives=16, memory=0)
    return OnlineGRU4Rec(config, seed=1, device="cpu", dtype="float64")


def test_until_the_warm_up_ends_it_is_the_online_model() -> None:
    clicks = stream(96)
    assert drive(make("gru4rec-frozen"), clicks, 16) == drive(online(), clicks, 16)


def test_after_the_warm_up_nothing_learned_changes_and_no_item_enters() -> None:
    model = make("gru4rec-frozen", warm_up=100)
    drive(model, stream(112), 16)  # The batch in which the warm-up ends is learned whole.
    before, catalogue = model.state(), model.n_items
    drive(model, stream(64, seed=3, items=40), 16)
    model.learn_many(["a", "a"], ["x", "x"])
    after = model.state()
    for name, array in before.arrays.items():
        if name.startswith("model."):
            np.testing.assert_array_equal(array, after.arrays[name], err_msg=name)
    assert model.n_items == catalogue


def test_sessions_go_on_where_they_were_when_learning_ended() -> None:
    """Windows of all lengths, and sessions of which no click was in the last batch."""
    first, second = make("gru4rec-frozen", warm_up=112), online()
    clicks = stream(112, sessions=30)
    drive(first, clicks, 16)
    drive(second, clicks, 16)
    known = set(second.vocabulary.state()[0]["items"])
    sessions, items = stream(60, seed=2, sessions=40)
    chosen = [place for place, item in enumerate(items) if item in known]
    rest = [sessions[place] for place in chosen], [items[place] for place in chosen]
    one, other = first.test(*rest, k=5), second.test(*rest, k=5)
    assert one.scored.tolist() == other.scored.tolist()
    assert one.ranks.tolist() == other.ranks.tolist()
    assert one.scored.sum() > 40
    for found, expected in zip(one.recommended, other.recommended, strict=True):
        assert dict(found) == pytest.approx(dict(expected), rel=1e-9)


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_a_later_item_is_a_miss_and_a_step_without_an_embedding(batch: int) -> None:
    """By hand: one step of the cell a click, over the whole session."""
    model = make("gru4rec-frozen", warm_up=1)
    drive(model, stream(200), 200)
    assert isinstance(model, GRU4RecFrozen)
    sessions, items = stream(64, seed=4, sessions=3, items=30)
    sessions = [f"later {session}" for session in sessions]
    found = drive(model, (sessions, items), batch)
    network, table = model.model.network, model.model.items.embedding.values
    rows = model.model.vocabulary.rows_of(items).tolist()
    states: dict[object, torch.Tensor] = {}
    expected = []
    for session, row in zip(sessions, rows, strict=True):
        state = states.get(session)
        if state is None:
            expected.append(-1)
            state = torch.zeros(1, network.width, dtype=torch.float64)
        elif row == 0:
            expected.append(0)
        else:
            scores = table[1 : model.n_items + 1] @ network.output(state)[0]
            expected.append(int((scores >= scores[row - 1] - 1e-12).sum()))
        states[session] = network.step(table[row][None], state).detach()
    assert found == expected
    assert 0 in expected
    assert max(expected) > 1


def test_a_warm_up_is_at_least_one_click() -> None:
    with pytest.raises(ValueError, match="warm_up must be at least 1, not 0"):
        make("gru4rec-frozen", warm_up=0)
