from __future__ import annotations

from typing import Any

import pytest

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from tests.models.rivals.learned import DAY, drive, make, stream


def by_hand(sessions: list[Any], items: list[Any], epochs: int, batch: int) -> OnlineGRU4Rec:
    """A model trained from scratch, several times over the clicks."""
    config = GRU4RecConfig(hidden=8, window=4, n_negatives=16, memory=0)
    model = OnlineGRU4Rec(config, seed=1, device="cpu", dtype="float64")
    for epoch in range(epochs):
        model.forget(sessions)
        assert not len(model.sessions), epoch
        for start in range(0, len(items), batch):
            part = slice(start, start + batch)
            model.learn_many(sessions[part], items[part])
    return model


def test_before_the_first_day_has_ended_it_knows_nothing() -> None:
    model = make("gru4rec-retrained")
    sessions, items = stream(100)
    ranks = drive(model, (sessions, items), 20)
    assert set(ranks) == {0, -1}
    assert model.n_items == 0
    assert model.recommend_after(sessions[:2], items[:2]) == [[], []]


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("keep", [60, 1000])
def test_when_a_day_has_ended_it_is_trained_from_scratch_on_what_is_kept(
    epochs: int, keep: int
) -> None:
    model = make("gru4rec-retrained", epochs=epochs, keep=keep)
    sessions, items = stream(300)
    for day in range(3):
        part = slice(day * 100, day * 100 + 100)
        model.learn_many(sessions[part], items[part], day * DAY + 5)
    # Two days have ended; what the third had is not learned yet.
    first = max(0, 200 - keep)
    plain = by_hand(sessions[first:200], items[first:200], epochs, 16)
    assert model.n_items == plain.n_items
    known = [item for item in items if plain.knows(item)]
    found, expected = (one.test(["new"] * 50, known[:50], k=5) for one in (model, plain))
    assert found.ranks.tolist() == expected.ranks.tolist()
    for mine, other in zip(found.recommended, expected.recommended, strict=True):
        assert dict(mine) == pytest.approx(dict(other), rel=1e-9)


def test_live_sessions_go_on_and_forgotten_ones_come_back_as_others() -> None:
    model = make("gru4rec-retrained", epochs=1)
    model.learn_many(["a", "a", "b"], ["x", "y", "z"], 0.0)
    model.forget(["a"])
    model.learn_many(["a", "b"], ["z", "x"], 0.0)
    model.learn_many([], [], DAY)
    plain = by_hand(["a1", "a1", "b", "a2", "b"], ["x", "y", "z", "z", "x"], 1, 16)
    found, expected = (
        model.recommend_after(["a", "b"], ["x", "y"]),
        plain.recommend_after(["a2", "b"], ["x", "y"]),
    )
    for mine, other in zip(found, expected, strict=True):
        assert dict(mine) == pytest.approx(dict(other), rel=1e-9)
    assert model.test(["a", "b", "a1"], ["x"] * 3).scored.tolist() == [True, True, False]


def test_a_live_session_whose_clicks_are_not_kept_stays_live() -> None:
    model = make("gru4rec-retrained", keep=2)
    model.learn_many(["a", "b", "b", "b"], ["x", "y", "z", "y"], 0.0)
    model.learn_many([], [], DAY)
    assert model.test(["a", "b"], ["y", "y"]).scored.tolist() == [True, True]


@pytest.mark.parametrize(
    ("every", "times", "trained"),
    [
        ("day", [0.0, DAY - 1, DAY, DAY, 2 * DAY - 1, 7 * DAY], [0, 0, 2, 2, 2, 5]),
        # The epoch's first Monday is its fifth day.
        ("week", [0.0, 4 * DAY - 1, 4 * DAY, 10 * DAY, 11 * DAY - 1, 11 * DAY], [0, 0, 2, 2, 2, 5]),
        ("day", [5 * DAY, 0.0, 5 * DAY, -float("inf"), 6 * DAY - 1, 6 * DAY], [0, 0, 0, 0, 0, 5]),
    ],
)
def test_it_is_trained_when_a_day_or_a_week_of_event_time_has_ended(
    every: str, times: list[float], trained: list[int]
) -> None:
    """Each batch brings a new item, so the catalogue shows how many batches are learned."""
    model = make("gru4rec-retrained", every=every, epochs=1)
    known = []
    for number, time in enumerate(times):
        model.learn_many([number], [number], time)
        known.append(model.n_items)
    assert known == trained


def test_the_sessions_numbers_are_bounded() -> None:
    model = make("gru4rec-retrained", max_sessions=4)
    for session in range(100):
        model.learn_many([session], ["x"], 0.0)
    assert len(model._numbers) <= 9  # type: ignore[attr-defined]
    model.learn_many([], [], DAY)
    assert model.test([98, 99, 1], ["x"] * 3).scored.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": "hour"}, "every must be day or week, not 'hour'"),
        ({"keep": 0}, "keep must be at least 1, not 0"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch": 0}, "batch must be at least 1, not 0"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("gru4rec-retrained", **options)
