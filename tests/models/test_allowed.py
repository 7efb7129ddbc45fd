"""What a list may hold: only what is allowed, and of that the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nextclick.connectors import open_source
from nextclick.models import Query
from nextclick.models.queries import Catalogue
from nextclick.models.recommender import Id
from tests.models.rivals.every import NAMES, make

ITEMS = 30


class Some:
    """The items that are not among these."""

    def __init__(self, barred: set[Id]) -> None:
        self.barred = barred

    def __contains__(self, item: Id) -> bool:
        return item not in self.barred

    def rows(self, catalogue: Catalogue) -> NDArray[np.bool_]:
        mask = np.ones(len(catalogue.admissions), np.bool_)
        mask[catalogue.rows_of(list(self.barred))] = False
        return mask


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Any:
    made = make(request.param)
    source = open_source(f"sim:clicks=600,items={ITEMS},seed=1")
    while (clicks := source.poll(50)) is not None:
        made.test_then_learn(clicks.sessions, clicks.items, times=clicks.times)
    return made


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_lists_after_clicks_are_the_best_of_what_is_allowed(model: Any, share: float) -> None:
    draw = np.random.default_rng(7)
    # One click each is on an item that is new, and barred or not.
    barred: set[Id] = {item for item in range(ITEMS) if draw.random() < share} | {"new 1"}
    clicks = [("a", 3), ("b", 5), ("a", "new 1"), ("c", "new 2"), ("a", 9), ("c", 2), ("b", 5)]
    sessions, items = [one for one, _ in clicks], [item for _, item in clicks]
    before = model.state()
    whole = model.recommend_after(sessions, items, ITEMS + 9)
    found = model.recommend_allowed(sessions, items, Some(barred), 6)
    for own, best in zip(whole, found, strict=True):
        assert [item for item, _ in best] == [item for item, _ in own if item not in barred][:6]
        scores = dict(own)
        assert [score for _, score in best] == pytest.approx([scores[item] for item, _ in best])
    after = model.state()
    assert before.values == after.values
    assert all(np.array_equal(before.arrays[name], after.arrays[name]) for name in before.arrays)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_answers_are_the_best_of_what_is_allowed(model: Any, share: float) -> None:
    draw = np.random.default_rng(5)
    barred: set[Id] = {item for item in range(ITEMS) if draw.random() < share}
    wanted: list[dict[str, Any]] = [
        {"items": [3, 7]},
        {"items": [3, 7], "among": list(range(9))},
        {},
    ]
    for asked in wanted:
        whole = model.recommend_each([Query(**asked, k=ITEMS)])[0]
        answer = model.recommend_each([Query(**asked, k=6, allowed=Some(barred))])[0]
        assert answer.popular == whole.popular
        allowed = [item for item, _ in whole.best if item not in barred]
        assert [item for item, _ in answer.best] == allowed[:6]


def test_what_is_no_allowed_is_refused(model: Any) -> None:
    with pytest.raises(TypeError, match="allowed must be an Allowed"):
        model.recommend_each([Query(allowed={1, 2})])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="allowed must be an Allowed"):
        model.recommend_allowed(["a"], [1], [1, 2])
