"""Checks of a model of one's own against the contract that every model meets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from nextclick.models import BatchResult, Recommender, State
from nextclick.models.recommender import Id

__all__ = ["check_recommender"]

K = 5
"""Length of the lists that are asked for."""

CLICKS, BATCH = 128, 16
"""Clicks of the stream, and of a batch."""


def check_recommender(make: Callable[[], Recommender]) -> None:
    """Check that a model meets the contract of `nextclick.models.Recommender`.

    The checks drive it over a short stream of clicks with sessions and items named by texts and
    whole numbers. The engine relies on all of it: what a click is scored with, what a test leaves
    behind, what a snapshot holds.

    Parameters
    ----------
    make
        Makes a model, each time anew and alike: its class, or a function without arguments.

    Raises
    ------
    AssertionError
        It does not; the message names the method and what it should do.

    Examples
    --------
    >>> from nextclick.models.rivals import RIVALS
    >>> check_recommender(RIVALS["markov"])

    """
    for check in CHECKS:
        check(make)


def _stream(seed: int = 0) -> tuple[list[Id], list[Id]]:
    """Return sessions and items that repeat, with names of both kinds, new ones along the way."""
    draw = np.random.default_rng(seed)
    places = np.arange(CLICKS)
    sessions = places // 40 * 3 + draw.integers(4, size=CLICKS)
    items = np.minimum(draw.geometric(0.15, CLICKS), 3 + places // 8)
    return (
        [f"session {number}" if number % 2 else number for number in sessions.tolist()],
        [number if number % 3 else f"item {number}" for number in items.tolist()],
    )


def _batches(start: int = 0, stop: int = CLICKS) -> list[tuple[list[Id], list[Id]]]:
    sessions, items = _stream()
    return [(sessions[at : at + BATCH], items[at : at + BATCH]) for at in range(start, stop, BATCH)]


def _driven(make: Callable[[], Recommender], stop: int = CLICKS // 2) -> Recommender:
    """Return a model that has learned the beginning of the stream."""
    model = make()
    for sessions, items in _batches(0, stop):
        model.test_then_learn(sessions, items)
    return model


def _rest(model: Recommender) -> list[Any]:
    """Drive a model over the rest of the stream, and return what it said of each batch."""
    found = []
    for sessions, items in _batches(CLICKS // 2):
        found.append(_plain(model.test_then_learn(sessions, items, K)))
    return found


def _plain(result: BatchResult) -> Any:
    lists = [[item for item, _ in best] for best in result.recommended]
    return result.scored.tolist(), result.ranks.tolist(), lists


def _facts(state: State) -> Any:
    return {name: array.tolist() for name, array in state.arrays.items()}, state.values


def _same(one: Any, other: Any) -> bool:
    """Whether two states are equal, numbers that are none included."""
    return repr(one) == repr(other)


def check_methods(make: Callable[[], Recommender]) -> None:
    """Check that a model has a name, and every method of the contract."""
    model = make()
    wanted = [name for name in vars(Recommender) if not name.startswith("_")]
    missing = [name for name in (*wanted, "name") if not hasattr(model, name)]
    assert not missing, f"the model has no {', '.join(missing)}"
    assert isinstance(model.name, str), f"name is a text, not {model.name!r}"
    assert model.n_items == 0, f"a new model knows no items, but n_items is {model.n_items}"
    result = model.test_then_learn([], [], K)
    assert not len(result.ranks), "test_then_learn of an empty batch returns no ranks"
    assert model.recommend([]) == [], "recommend returns an empty list for an empty session"
    assert model.recommend(["unheard of"]) == [], "recommend ignores items that it does not know"


def check_shapes(make: Callable[[], Recommender]) -> None:
    """Check that results have an entry for each click: whether it is scored, and its rank."""
    model, seen, known = make(), set[Id](), set[Id]()
    for sessions, items in _batches():
        result = model.test_then_learn(sessions, items, K)
        scored, ranks = np.asarray(result.scored), np.asarray(result.ranks)
        assert scored.shape == (len(items),), "scored has an entry for every click"
        assert scored.dtype == np.bool_, f"scored holds truth values, not {scored.dtype}"
        assert ranks.shape == (len(items),), "ranks has an entry for every click"
        assert ranks.dtype == np.int64, f"ranks are int64, not {ranks.dtype}"
        assert len(result.recommended) == len(items), "recommended has a list for every click"
        for at, (session, item) in enumerate(zip(sessions, items, strict=True)):
            _check_click(result, at, session in seen, item, known)
            seen.add(session)
            known.add(item)
        assert 0 <= model.n_items <= len(known), (
            f"n_items is how many items are known, of {len(known)} so far, not {model.n_items}"
        )


def _check_click(result: BatchResult, at: int, expected: bool, item: Id, known: set[Id]) -> None:
    rank, best = int(result.ranks[at]), result.recommended[at]
    has = "has" if expected else "has no"
    assert bool(result.scored[at]) == expected, (
        f"a click is scored exactly if its session has a click before it: this one {has} one"
    )
    if not expected:
        assert rank == 0, f"the rank of a click that is not scored is 0, not {rank}"
        assert not len(best), "the list of a click that is not scored is empty"
        return
    if item not in known:
        assert rank == 0, f"the rank of an item never seen before is 0 (a miss), not {rank}"
    assert rank >= 0, f"a rank is 1 or more, and 0 for a miss, not {rank}"
    _check_list(best, known, "test_then_learn")
    items = [other for other, _ in best]
    if 0 < rank <= K:
        assert item in items, f"an item at rank {rank} is among the {K} best, which it is not"
    if item in items:
        place = items.index(item) + 1
        assert rank >= place, (
            f"an item at place {place} of the list has at least that rank, not {rank}: ties count "
            "against the model"
        )


def _check_list(best: list[tuple[Id, float]], known: set[Id], method: str) -> None:
    items, scores = [item for item, _ in best], [score for _, score in best]
    assert len(items) <= K, f"{method} lists {len(items)} items where {K} were asked for"
    assert len(set(items)) == len(items), f"{method} lists an item twice"
    odd = [item for item in items if item not in known]
    assert not odd, f"{method} lists {odd[0]!r}, which nobody has clicked: ids come back as given"
    assert scores == sorted(scores, reverse=True), f"{method} lists the best score first"


def check_tests_change_nothing(make: Callable[[], Recommender]) -> None:
    """Check that tests leave no trace, and that they score as `test_then_learn` does."""
    model = _driven(make)
    before = _facts(model.state())
    sessions, items = _batches(CLICKS // 2)[0]
    tested = _plain(model.test(sessions, items, K))
    assert _same(_facts(model.state()), before), "test changes nothing, but the state has changed"
    known = set(_stream()[1])
    for best in model.recommend_after(sessions, items, K):
        _check_list(best, known, "recommend_after")
    assert _same(_facts(model.state()), before), "recommend_after changes nothing, but it has"
    _check_list(model.recommend(items[:3], K), known, "recommend")
    assert _same(_facts(model.state()), before), "recommend changes nothing, but it has"
    learned = _plain(model.test_then_learn(sessions, items, K))
    assert tested == learned, "test scores as test_then_learn does, but the results differ"


def check_no_future(make: Callable[[], Recommender]) -> None:
    """Check that a click's score depends on nothing that comes after it."""
    model = _driven(make)
    sessions, items = _batches(CLICKS // 2)[0]
    whole = model.test(sessions, items, K)
    for end in (1, BATCH // 2):
        part = model.test(sessions[:end], items[:end], K)
        assert np.array_equal(part.ranks, whole.ranks[:end]), (
            "the rank of a click depends on clicks after it: a click is scored with what was "
            "learned before its batch, and with its session as it stood before the click"
        )


def check_learning(make: Callable[[], Recommender]) -> None:
    """Check that `learn_many` learns as `test_then_learn` does, the same each time."""
    one, other = _driven(make), _driven(make)
    assert _same(_facts(one.state()), _facts(other.state())), (
        "two models that were made and driven alike have other states: take randomness from a "
        "generator with a seed"
    )
    sessions, items = _batches(CLICKS // 2)[0]
    one.test_then_learn(sessions, items)
    other.learn_many(sessions, items)
    following = _batches(CLICKS // 2)[1]
    same = _plain(one.test(*following, K)) == _plain(other.test(*following, K))
    assert same, "learn_many learns what test_then_learn does, but the next scores differ"


def check_snapshots(make: Callable[[], Recommender]) -> None:
    """Check that a restored model goes on to the last digit, from a copy that JSON can hold."""
    model = _driven(make)
    state = model.state()
    before = repr(_facts(state))
    try:
        values = json.loads(json.dumps(state.values))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"the values of a state are of JSON's types: {error}") from error
    through = State({name: np.array(array) for name, array in state.arrays.items()}, values)
    expected = _rest(model)
    assert repr(_facts(state)) == before, "state returns copies, but learning has changed them"
    restored = make()
    restored.restore(through)
    assert _rest(restored) == expected, (
        "a restored model goes on as the one whose state it was, but the results differ: state "
        "must hold all that the next click depends on, random generators included"
    )
    assert _same(_facts(restored.state()), _facts(model.state())), (
        "a restored model goes on as the one whose state it was, but the states differ"
    )


def check_forgetting(make: Callable[[], Recommender]) -> None:
    """Check that a session that is forgotten begins anew, and unknown ones are ignored."""
    model = make()
    model.learn_many(["a", "b"], [1, 2])
    model.forget(["a", "never seen"])
    scored = np.asarray(model.test(["a", "b"], [1, 2]).scored).tolist()
    assert scored == [False, True], (
        "the first click after forget begins a session, so it is not scored, and other sessions "
        f"go on; scored is {scored}"
    )


CHECKS = (
    check_methods,
    check_shapes,
    check_tests_change_nothing,
    check_no_future,
    check_learning,
    check_snapshots,
    check_forgetting,
)
"""All checks, in order."""
