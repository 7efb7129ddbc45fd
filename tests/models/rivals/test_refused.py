"""What no model takes: refused by a sentence, and it has changed nothing."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from nextclick.models import State
from nextclick.models.base import CheckedModel
from nextclick.models.rivals import RIVALS
from nextclick.models.rivals.gru4rec.variants import network_alone
from tests.models.rivals.every import NAMES, make
from tests.models.rivals.learned import drive, stream
from tests.models.rivals.neural.test_contract import same

every_model = pytest.mark.parametrize("name", NAMES)

BAD_IDS: list[Any] = [
    None, True, 2.0, math.nan, b"hat", ["hat"], ("hat", 1), {"hat": 1}, 10**1024, "x" * 1025,
    np.float32(2), np.bool_(1), object(),
]  # fmt: skip
BAD_COUNTS: list[Any] = [-1, True, 2.0, "2", None, math.nan]
BAD_TIMES: list[Any] = [math.nan, math.inf, None, "now", True, np.datetime64("2020-01-01")]
BAD_SEQUENCES: list[Any] = ["abc", b"abc", None, 7, {"a": 1, "b": 2, "c": 3}, {"a", "b", "c"}]
BAD_COLUMNS: list[Any] = [
    "123", b"123", 7, 2.5, {"a": 1.0}, {1.0, 2.0, 3.0}, [1.0, 2.0], [1.0] * 4, [1.0, math.inf, 2.0],
    [1.0, -math.inf, 2.0], [1.0, "2", 3.0], [1.0, True, 3.0], [1.0, datetime.datetime.now(), 2.0],
    np.zeros((3, 1)), np.array([1.0, np.inf, 2.0]), np.zeros(3, "datetime64[s]"), np.zeros(3, bool),
]  # fmt: skip
"""What is no column of three times."""
BATCH = ["test_then_learn", "test", "learn_many", "recommend_after"]
GOOD = (["s1", "new", "s2"], [3, "x", 5])


@st.composite
def bad_batches(draw: st.DrawFn) -> tuple[str, list[Any], dict[str, Any]]:
    """Draw a method of a model, and arguments that it must refuse."""
    method = draw(st.sampled_from(BATCH))
    columns: list[Any] = [list(column) for column in GOOD]
    more: dict[str, Any] = {}
    which, place = draw(st.integers(0, 1)), draw(st.integers(0, 2))
    fault = draw(st.sampled_from(["id", "length", "sequence", "k", "time", "times"]))
    if fault == "k" and method != "learn_many":
        more["k"] = draw(st.sampled_from(BAD_COUNTS))
    elif fault == "time" and method in ("test_then_learn", "learn_many"):
        more["time"] = draw(st.sampled_from(BAD_TIMES))
    elif fault == "times":
        more["times"] = draw(st.sampled_from(BAD_COLUMNS))
    elif fault == "sequence":
        columns[which] = draw(st.sampled_from(BAD_SEQUENCES))
    elif fault == "length":
        columns[which] = columns[which][: draw(st.integers(0, 2))]
    else:
        columns[which][place] = draw(st.sampled_from(BAD_IDS))
        if draw(st.booleans()):
            columns[which] = iter(columns[which])
    return method, columns, more


def other_calls(model: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    for value in BAD_IDS:
        yield model.recommend, ([3, value],)
        yield model.forget, (["s1", value],)
        yield model.knows, (value,)
        yield model.learn_one, (value, 3)
        yield model.learn_one, ("s1", value)
    for value in BAD_TIMES:
        yield model.learn_one, ("s1", 3, value)
    for value in [*BAD_COUNTS, 0]:
        yield model.recommend, ([3], value)
        yield model.recommend_after, (["s1"], [3], value)
    for value in BAD_SEQUENCES[:4]:
        yield model.recommend, (value,)
        yield model.forget, (value,)


def taught(name: str) -> Any:
    model = make(name)
    drive(model, stream(120), 16)
    return model


@every_model
@given(st.lists(bad_batches(), min_size=5, max_size=10))
@settings(max_examples=2, deadline=None)
def test_a_refused_batch_has_changed_nothing(name: str, calls: list[Any]) -> None:
    model, untouched = taught(name), taught(name)
    before = model.state()
    for method, columns, more in calls:
        with pytest.raises((TypeError, ValueError)):
            getattr(model, method)(*columns, **more)
    same(model.state(), before)
    more_clicks = stream(60, seed=3)
    assert drive(model, more_clicks, 16) == drive(untouched, more_clicks, 16)
    same(model.state(), untouched.state())


@every_model
def test_every_other_method_refuses_what_is_no_id_or_count(name: str) -> None:
    model = taught(name)
    before = model.state()
    for method, arguments in other_calls(model):
        with pytest.raises((TypeError, ValueError)):
            method(*arguments)
    same(model.state(), before)


@every_model
def test_arrays_and_columns_are_learned_as_lists_are_and_can_be_stored(name: str) -> None:
    sessions, items = stream(96)
    model, plain = make(name), make(name)
    forms = [np.array, pa.array, tuple, iter]
    for start in range(0, 96, 16):
        part = slice(start, start + 16)
        form = forms[start // 16 % 4]
        time = np.float64(start // 100 * 86_400.0)
        found = model.test_then_learn(form(sessions[part]), form(items[part]), np.int64(3), time)
        expected = plain.test_then_learn(sessions[part], items[part], 3, float(time))
        assert found.ranks.tolist() == expected.ranks.tolist()
        assert found.recommended == expected.recommended
    assert model.recommend(np.array(items[:4]), np.int32(2)) == plain.recommend(items[:4], 2)
    model.forget(np.array(sessions[:3]))
    plain.forget(sessions[:3])
    state = model.state()
    stored = State(load(save(state.arrays)), json.loads(json.dumps(state.values)))
    same(stored, plain.state())


@every_model
def test_times_are_taken_and_asking_with_them_changes_nothing(name: str) -> None:
    sessions, items = stream(96)
    times = np.arange(96) * 7.0
    model, other = make(name), make(name)
    model.learn_many(sessions[:48], items[:48], times=times[:48])
    other.learn_many(sessions[:48], items[:48], -math.inf, list(times[:48]))
    before = model.state()
    model.test(sessions[48:], items[48:], 3, times[48:])
    model.recommend_after(sessions[48:], items[48:], 3, times[48:])
    same(model.state(), before)
    for each in (model, other):
        each.test_then_learn(sessions[48:], items[48:], 3, -math.inf, times[48:])
        each.learn_one("s1", 3, 700.0)
    same(model.state(), other.state())


@every_model
def test_more_may_be_asked_for_than_there_are_items(name: str) -> None:
    model = taught(name)
    assert len(model.recommend([1], 10**30)) <= model.n_items
    assert model.test(["s1"], [1], 10**30).recommended == model.test(["s1"], [1], 100).recommended


@every_model
def test_a_batch_of_nothing_is_no_fault(name: str) -> None:
    model = taught(name)
    assert len(model.test_then_learn([], []).ranks) == 0
    assert model.recommend_after([], []) == []


def test_no_model_has_a_public_method_without_the_checks() -> None:
    public = [method for method in vars(CheckedModel) if not method.startswith("_")]
    for kind in RIVALS.values():
        assert issubclass(kind, CheckedModel)
        for above in kind.__mro__[: kind.__mro__.index(CheckedModel)]:
            own = {"state", "n_items", "FIXED", "OPTIONAL", "name", "largest_batch"}
            assert not (set(public) - own) & set(vars(above)), above


def damaged(state: State) -> Iterator[State]:
    """States with a part missing, cut off, of another type, or out of bounds."""
    for name in list(state.arrays):
        array = state.arrays[name]
        without = {other: kept for other, kept in state.arrays.items() if other != name}
        yield State(without, state.values)
        yield State({**without, name: np.zeros(array.shape, np.float16)}, state.values)
        yield State({**without, name: array[None]}, state.values)
    yield State({**state.arrays, "more": np.zeros(3)}, state.values)
    for value in state.values:
        kept = {other: of for other, of in state.values.items() if other != value}
        yield State(state.arrays, kept)


@every_model
def test_a_state_that_lacks_something_is_refused_and_changes_nothing(name: str) -> None:
    model, other = taught(name), make(name)
    drive(other, stream(80, seed=7), 16)
    before = model.state()
    for state in damaged(other.state()):
        with pytest.raises(ValueError, match="fit"):
            model.restore(state)
    same(model.state(), before)
    model.restore(other.state())
    same(model.state(), other.state())


@every_model
def test_the_state_of_another_model_is_refused_and_changes_nothing(name: str) -> None:
    model = taught(name)
    before = model.state()
    refused = 0
    for other in NAMES:
        state = taught(other).state()
        if state.arrays.keys() - {"served."} != before.arrays.keys():
            with pytest.raises(ValueError, match=f"{model.name}: restore"):
                model.restore(state)
            refused += 1
    assert refused
    same(model.state(), before)


@pytest.mark.parametrize("value", [None, {}, "state", b"", 3])
def test_restore_takes_only_a_state(value: Any) -> None:
    with pytest.raises(TypeError, match="restore takes"):
        make("gru4rec").restore(value)


INDEXED = {
    "sessions.windows": 1 << 20,
    "sessions.kept": 99,
    "recall.log": 1 << 40,
    "recall.items": 1 << 20,
    "recall.places": 1 << 20,
    "recall.own": 1 << 20,
}
SIZED = ("popularity.sums", "popularity.dropped")


@pytest.mark.parametrize("array", INDEXED)
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_that_compiled_loops_go_by_are_checked_when_restored(array: str, sign: int) -> None:
    model = taught("gru4rec")
    before = model.state()
    state = model.state()
    state.arrays[array] = np.full_like(state.arrays[array], sign * INDEXED[array])
    with pytest.raises(ValueError, match="do not fit together"):
        model.restore(state)
    same(model.state(), before)


@pytest.mark.parametrize("array", [*INDEXED, *SIZED])
def test_arrays_that_compiled_loops_go_through_are_checked_for_their_length(array: str) -> None:
    model = taught("gru4rec")
    before = model.state()
    shorter = State({**before.arrays, array: before.arrays[array][:-1]}, before.values)
    with pytest.raises(ValueError, match="do not fit together"):
        model.restore(shorter)
    same(model.state(), before)


@pytest.mark.parametrize("length", [0, 64])
def test_sums_of_too_few_rows_are_refused_when_restored(length: int) -> None:
    model = taught("gru4rec")
    before = model.state()
    for counts in (before.arrays["popularity.counts"], before.arrays["popularity.counts"][:1]):
        cut = {name: before.arrays[name][:length] for name in SIZED}
        with pytest.raises(ValueError, match="do not fit together"):
            model.restore(
                State({**before.arrays, **cut, "popularity.counts": counts}, before.values)
            )
    same(model.state(), before)


def test_options_that_do_not_fit_the_machine_are_refused_by_name() -> None:
    kinds: dict[str, Any] = dict(RIVALS)
    for options in ({"hidden": 10**9}, {"window": 10**12}, {"n_negatives": 10**12}):
        (option,) = options
        with pytest.raises(ValueError, match=f"{option}=.* of memory at least"):
            kinds["gru4rec-lstm"](**options, device="cpu")
    assert network_alone({"hidden": 10**9}).hidden == 10**9
    for name, option in (("sasrec", "size"), ("bpr-mf", "window"), ("fpmc", "n_negatives")):
        with pytest.raises(ValueError, match=f"{option}=.* of memory at least"):
            kinds[name](**{option: 10**12}, device="cpu")
    with pytest.raises(ValueError, match=r"kept=.* of memory at least"):
        kinds["vsknn"](kept=10**14)
    with pytest.raises(ValueError, match=r"keep=.* of memory at least"):
        kinds["gru4rec-retrained"](keep=10**14, device="cpu")
