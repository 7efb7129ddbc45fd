from __future__ import annotations

import json

import numpy as np

from nextclick.connectors import Id
from nextclick.models import Answer, Query, State
from nextclick.stream.recommendations.interleaving import Interleaving, ShownLists
from tests.stream.recommendations.visitors import Beside, Guess, items_of, visit

SEEDS = 100


def test_of_two_equal_models_neither_is_preferred_more_often_than_the_interval_promises() -> None:
    alarms = 0
    for seed in range(SEEDS):
        one, other = Guess("one", 0.6, 2 * seed), Guess("other", 0.6, 2 * seed + 1)
        found = visit(one, other, seed).results()
        assert found["wins"] + found["losses"] > 100
        alarms += not found["low"] <= 0.5 <= found["high"]
    # 5 % of 100 are 5, with a standard deviation of 2.2.
    assert alarms <= 12


def test_of_a_good_and_a_bad_model_the_good_one_is_preferred() -> None:
    results = []
    for seed in range(SEEDS):
        good, bad = Guess("good", 0.9, 2 * seed), Guess("bad", 0.4, 2 * seed + 1)
        found = visit(good, bad, seed).results()
        assert found["low"] > 0.5
        results.append(found)
        turned = visit(Guess("bad", 0.4, seed), Guess("good", 0.9, seed + 1000), seed).results()
        assert turned["high"] < 0.5
    wins, losses = (sum(found[key] for found in results) for key in ("wins", "losses"))
    held = [found["low"] <= wins / (wins + losses) <= found["high"] for found in results]
    assert sum(held) >= 0.9 * SEEDS


def test_a_model_against_itself_wins_half() -> None:
    wins, lists = 0, 0
    for seed in range(40):
        found = visit(Guess("one", 0.8, seed), Guess("same", 0.8, seed), seed).results()
        wins, lists = wins + found["wins"], lists + found["wins"] + found["losses"]
    assert abs(wins / lists - 0.5) < 4 * 0.5 / np.sqrt(lists)


def ask(interleaving: Interleaving, service: Guess, *queries: Query) -> list[Answer]:
    return interleaving.served(queries, service.recommend_each(queries))


def fixed(name: str, best: list[int]) -> Guess:
    """Return a model that recommends the same to everybody."""
    model = Guess(name, 1.0, 0)
    pairs: list[tuple[Id, float]] = [(item, 1 / place) for place, item in enumerate(best, 1)]
    answers = lambda queries: [Answer(pairs[: query.k]) for query in queries]  # noqa: E731
    model._recommend_each = answers  # type: ignore[method-assign]
    return model


def test_a_list_asked_for_again_is_the_same_and_the_next_one_has_other_coins() -> None:
    service = fixed("one", [1, 2, 3, 4, 5, 6])
    interleaving = Interleaving("one", Beside(fixed("other", [11, 12, 13, 14, 15, 16])), seed=3)
    lists = []
    for _ in range(20):
        again = [ask(interleaving, service, Query(7, k=6))[0] for _ in range(2)]
        assert again[0] == again[1]
        # Asked together with others, and for fewer items, too.
        short = ask(interleaving, service, Query(8, k=6), Query(7, k=3))[1]
        assert short.best == again[0].best[:3]
        lists.append(tuple(items_of(again)[0]))
        interleaving.learn([7], [99], [])
    assert len(set(lists)) > 4
    # Clicks that were read and are not learned yet count as they do when they are learned.
    (early,) = ask(interleaving, service, Query(7, items=[1, 2], k=6))
    interleaving.learn([7, 7], [1, 2], [])
    assert ask(interleaving, service, Query(7, k=6)) == [early]


def test_each_item_names_the_model_that_it_is_from() -> None:
    service = fixed("one", [1, 2, 3])
    interleaving = Interleaving("one", Beside(fixed("other", [11, 12, 13])))
    (answer,) = ask(interleaving, service, Query(7, k=4))
    assert len(answer.best) == 4
    for (item, _), by in zip(answer.best, answer.by, strict=True):
        assert by == ("other" if int(item) > 10 else "one")
    assert sorted(answer.by) == ["one", "one", "other", "other"]


def test_only_the_next_click_after_a_list_decides_it() -> None:
    service = fixed("one", [1, 2])
    interleaving = Interleaving("one", Beside(fixed("other", [11, 12])))
    interleaving.learn([7], [5], [])
    ask(interleaving, service, Query(7, k=2))
    interleaving.learn([8], [1], [])  # Another session, which was shown nothing.
    assert interleaving.results()["ties"] == 0
    interleaving.learn([7, 7], [50, 1], [])  # The second click comes too late.
    counts = {"shown": 1, "wins": 0, "losses": 0, "ties": 1}
    assert interleaving.results() == {
        "model": "other",
        **counts,
        "preference": None,
        "low": None,
        "high": None,
    }
    for clicked, result in ((1, "wins"), (11, "losses")):
        ask(interleaving, service, Query(7, k=2))
        interleaving.learn([7], [clicked], [])
        assert interleaving.results()[result] == 1
    ask(interleaving, service, Query(7, k=2))
    interleaving.learn([], [], [7])  # It ends without a click.
    assert interleaving.results()["ties"] == 1


def test_lists_between_clicks_of_one_batch_are_decided_by_the_click_after_each() -> None:
    service = fixed("one", [1, 2])
    interleaving = Interleaving("one", Beside(fixed("other", [11, 12])))
    ask(interleaving, service, Query(7, items=[5], k=2))
    ask(interleaving, service, Query(7, items=[5, 1], k=2))
    interleaving.learn([7, 7, 7], [5, 1, 11], [])
    found = interleaving.results()
    assert (found["wins"], found["losses"], found["ties"]) == (1, 1, 0)


def test_lists_that_only_one_model_could_make_are_not_counted() -> None:
    service, other = fixed("one", [1, 2]), fixed("other", [11, 12])
    interleaving = Interleaving("one", Beside(other))
    popular = Answer([(5, 1.0)], popular=True)
    own = Answer([(1, 1.0)])
    queries = [Query(7, k=2), Query(k=2, items=[1])]
    # A visitor of whom nothing is known, and one whose clicks come with the request.
    assert interleaving.served(queries, [popular, own]) == [popular, own]
    other._recommend_each = lambda queries: [Answer() for _ in queries]  # type: ignore[method-assign]
    assert ask(interleaving, service, Query(7, k=2))[0].by == []
    interleaving.learn([7], [1], [])
    assert interleaving.results()["shown"] == interleaving.results()["wins"] == 0


def test_where_the_other_model_fails_the_model_in_service_answers_alone() -> None:
    service, other = fixed("one", [1, 2]), fixed("other", [11, 12])

    def fail(queries: list[Query]) -> list[Answer]:
        raise FloatingPointError("a score is not a number")

    other._recommend_each = fail  # type: ignore[method-assign]
    beside = Beside(other)
    interleaving = Interleaving("one", beside)
    for _ in range(2):
        assert items_of(ask(interleaving, service, Query(7, k=2))) == [[1, 2]]
    assert isinstance(beside.failure, FloatingPointError)
    assert interleaving.results()["shown"] == 0


def test_a_model_that_gives_too_few_lists_is_dropped() -> None:
    service, other = fixed("one", [1, 2]), fixed("other", [11, 12])
    other._recommend_each = lambda queries: []  # type: ignore[method-assign]
    beside = Beside(other)
    interleaving = Interleaving("one", beside)
    assert items_of(ask(interleaving, service, Query(7, k=2))) == [[1, 2]]
    assert "0 lists instead of 1" in str(beside.failure)


def test_it_goes_on_from_a_snapshot_with_the_lists_that_were_shown() -> None:
    service, other = fixed("one", [1, 2, 3]), fixed("other", [11, 12, 1])
    whole, part = (Interleaving("one", Beside(other)) for _ in range(2))
    draw = np.random.default_rng(0)
    for step in range(300):
        session = int(draw.integers(12))
        item, asks = int(draw.choice([1, 2, 3, 11, 12, 50])), draw.random() < 0.7
        ended = [int(draw.integers(12))] if draw.random() < 0.1 else []
        answers = []
        for one in (whole, part):
            answers.append(ask(one, service, Query(session, k=3)) if asks else [])
            one.learn([session], [item], ended)
        assert answers[0] == answers[1]
        if step % 7 == 0:
            resumed = Interleaving("one", Beside(other))
            resumed.restore(State({}, json.loads(json.dumps(part.state().values))))
            part = resumed
    assert part.results() == whole.results()
    assert whole.results()["wins"] > 20 < whole.results()["losses"]


def test_remembered_lists_are_bounded() -> None:
    shown = ShownLists(most=100)
    for session in range(1000):
        shown.show(session, 1, dict.fromkeys(range(10), 0))
    assert [session for session, *_ in shown.values()] == list(range(990, 1000))
    shown.show(990, 2, {1: 0})
    shown.show(5, 1, dict.fromkeys(range(80), 0))
    # The session that was shown a list last is kept longest.
    assert {session for session, *_ in shown.values()} == {990, 5}
    shown.forget([5, 990, 7])
    assert shown.values() == []
