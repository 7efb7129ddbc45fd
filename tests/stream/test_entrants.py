from __future__ import annotations

from typing import Any

import pytest

from nextclick.models import OnlineGRU4Rec
from nextclick.models.rivals import RIVALS
from nextclick.stream.config import RunConfig
from nextclick.stream.entrants import check_names, make_models, names
from nextclick.stream.options import ConfigError
from tests.small_models import Recent

CONFIG = RunConfig(device="cpu", max_sessions=10, batch=4, max_items=7, seed=3)


@pytest.fixture(autouse=True)
def recent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RIVALS, "recent", Recent)


def test_every_model_is_made_with_its_options_and_the_shared_bounds() -> None:
    made = make_models({"recent": {"worse": 2}, "gru4rec-network": {"hidden": 8}}, CONFIG)
    assert list(made) == ["recent", "gru4rec-network"]
    recent, network = made.values()
    assert isinstance(recent, Recent)
    assert recent.worse == 2
    assert isinstance(network, OnlineGRU4Rec)
    assert (network.recipe.hidden, network.recipe.memory) == (8, 0)


def test_the_shared_bounds_go_to_those_who_take_them() -> None:
    taken: dict[str, Any] = {}

    class Bounded(Recent):
        def __init__(self, *, max_sessions: int, max_items: int, seed: int) -> None:
            taken.update(max_sessions=max_sessions, max_items=max_items, seed=seed)
            super().__init__()

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RIVALS, "bounded", Bounded)
        make_models({"bounded": {}}, CONFIG)
    # A session that was pushed out is forgotten after its batch.
    assert taken == {"max_sessions": 14, "max_items": 7, "seed": 3}


@pytest.mark.parametrize("name", names())
def test_every_model_there_is_can_be_made(name: str) -> None:
    (model,) = make_models({name: {}}, CONFIG).values()
    assert model.catalogue == 0


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"gru4rek": {}}, r"no model 'gru4rek'; is it 'gru4rec'\? There are gru4rec, gru4rec-net"),
        ({"zzz": {}}, r"no model 'zzz'\. There are gru4rec, .*recent"),
        ({"gru4rec": {"hiden": 8}}, "model gru4rec: there is no option 'hiden'; is it 'hidden'"),
        ({"gru4rec": {"hidden": "big"}}, "model gru4rec: .*'hidden'.*'big'"),
        ({"gru4rec": {"window": 0}}, "model gru4rec: window must be at least 1, not 0"),
        ({"recent": {"wrose": 1}}, "model recent: there is no option 'wrose'; is it 'worse'"),
        ({"recent": {"worse": "very"}}, "model recent: worse: Expected `int`.*'very'"),
        ({"recent": {"worse": -1}}, "model recent: worse must not be negative, but is -1"),
        ({"recent": {"seed": 1}}, "model recent: there is no option 'seed'"),
    ],
)
def test_a_mistake_names_the_model_and_the_remedy(models: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_models(models, CONFIG)


def test_known_names_pass() -> None:
    check_names(names())
