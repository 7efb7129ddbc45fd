"""The plan of a batch: what all ranks are told of it, from clicks with ids."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import GRU4RecConfig
from nextclick.models.recommender import Id
from nextclick.models.workers import Group, ShardedGRU4Rec
from nextclick.models.workers.buckets import buckets_of
from nextclick.models.workers.messages import Message, decode, encode
from nextclick.models.workers.plan import Plan
from nextclick.models.workers.step import Outcome
from tests.models.workers.shared import config

clicks = st.lists(
    st.tuples(st.integers(0, 5) | st.sampled_from(["a", "b"]), st.integers(0, 12)),
    min_size=1,
    max_size=60,
)


class Listening(Group):
    """A process alone that keeps what others would be told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Message, list[Any]]] = []

    def tell(self, kind: Message, arrays: Any = ()) -> None:
        """Keep a message, as the others would read it."""
        self.told.append(decode(encode(kind, arrays)))


def planned(
    stream: list[tuple[Id, int]], batch: int, **options: Any
) -> tuple[list[Plan], list[Plan]]:
    """Return the plans of a stream's batches as they are made, and as others are told them."""
    group = Listening()
    model = ShardedGRU4Rec(config(**options), group, device="cpu", seed=3)
    made: list[Plan] = []
    step = model._worker.step

    def note(plan: Plan) -> Outcome:
        made.append(plan)
        return step(plan)

    model._worker.step = note  # type: ignore[method-assign]
    for begin in range(0, len(stream), batch):
        part = stream[begin : begin + batch]
        model.test_then_learn([session for session, _ in part], [item for _, item in part])
    told = [Plan.of(arrays) for kind, arrays in group.told if kind is Message.STEP]
    return made, told


@settings(max_examples=40, deadline=None)
@given(clicks, st.integers(1, 20), st.sampled_from([0, 50]))
def test_the_others_are_told_the_plan_that_rank_0_follows(
    stream: list[tuple[Id, int]], batch: int, memory: int
) -> None:
    made, told = planned(stream, batch, memory=memory)
    assert len(made) == len(told) == -(-len(stream) // batch)
    for plan, other in zip(made, told, strict=True):
        for field in fields(Plan):
            one, same = getattr(plan, field.name), getattr(other, field.name)
            np.testing.assert_array_equal(one, same, err_msg=field.name)
            assert one.dtype == same.dtype, field.name


@settings(max_examples=60, deadline=None)
@given(clicks, st.integers(1, 20))
def test_a_plan_says_of_each_click_what_was_known_just_before_it(
    stream: list[tuple[Id, int]], batch: int
) -> None:
    plans, _ = planned(stream, batch)
    known: set[int] = set()
    begun: set[Id] = set()
    for at, plan in enumerate(plans):
        part = stream[at * batch : (at + 1) * batch]
        scored, items, unseen, new = [], [], [], []
        for place, (session, item) in enumerate(part):
            if session in begun:
                scored.append(place)
                items.append(len(known))
                unseen.append(item not in known)
            if item not in known:
                new.append(place)
            known.add(item)
            begun.add(session)
        order = np.argsort(plan.scored)
        assert plan.scored[order].tolist() == scored
        assert plan.items[order].tolist() == items
        assert plan.unseen[order].tolist() == unseen
        assert plan.new_clicks.tolist() == new
        assert len(plan.drawn) == len(new) * config().output_size
        assert plan.about.n_items == len(known)
        if new:
            assert plan.about.admitted == len(known) - len(new)


@settings(max_examples=30, deadline=None)
@given(clicks, st.integers(1, 20))
def test_a_plan_names_rows_slots_and_buckets_that_there_are(
    stream: list[tuple[Id, int]], batch: int
) -> None:
    plans, _ = planned(stream, batch)
    for at, plan in enumerate(plans):
        sessions = {session for session, _ in stream[at * batch : (at + 1) * batch]}
        assert sorted(plan.buckets.tolist()) == sorted(buckets_of(list(sessions)).tolist())
        for rows in (plan.steps, plan.moved_clicks, plan.targets, plan.negatives, plan.neighbours):
            assert ((rows >= 0) & (rows < plan.about.used)).all()
        assert (plan.slots >= 0).all()
        assert len(set(plan.slots.tolist())) == len(plan.slots) == len(sessions)


@settings(max_examples=15, deadline=None)
@given(clicks)
def test_a_session_keeps_its_slot_while_it_lives(stream: list[tuple[Id, int]]) -> None:
    plans, _ = planned(stream, 1)
    slot_of: dict[Id, int] = {}
    for (session, _), plan in zip(stream, plans, strict=True):
        assert plan.before.tolist() == [slot_of.get(session, -1)]
        (slot,) = plan.slots.tolist()
        assert slot_of.setdefault(session, slot) == slot
    assert len(set(slot_of.values())) == len(slot_of)


def test_an_item_that_leaves_the_catalogue_is_told_with_the_next_plan() -> None:
    group = Listening()
    model = ShardedGRU4Rec(config(), group, device="cpu", max_items=4)
    model.learn_many([1] * 4, [1, 2, 3, 4])
    model.learn_many([1] * 2, [5, 6])
    model.learn_many([1], [5])
    told = [Plan.of(arrays) for kind, arrays in group.told if kind is Message.STEP]
    assert [len(plan.evicted) for plan in told] == [0, 0, 2]


def test_what_is_told_of_a_batch_does_not_grow_with_the_catalogue() -> None:
    sizes = []
    for items in (100, 3000):
        group = Listening()
        model = ShardedGRU4Rec(GRU4RecConfig(hidden=4, n_negatives=8), group, device="cpu")
        model.learn_many([0] * items, list(range(items)))
        model.learn_many([1] * 20, list(range(20)))
        sizes.append(sum(array.nbytes for array in group.told[-1][1]))
    assert sizes[0] == sizes[1]
