from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.rivals import RIVALS
from nextclick.stream.config.learners import check_names, names, shared_by, struct_of
from nextclick.stream.config.model_factory import make_models
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
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
    assert (network.config.hidden, network.config.memory) == (8, 0)


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
    assert model.n_items == 0


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


class Passing(Recent):
    """Passes on what it does not know to the class above."""

    def __init__(self, *, better: float = 0.5, **options: Any) -> None:
        super().__init__(**options)
        self.better = better


class Lesson(msgspec.Struct, forbid_unknown_fields=True):
    size: int = 10


class Studious(Recent):
    """Passes it on to a struct."""

    options = Lesson

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        self.lesson = msgspec.convert(options, Lesson)
        super().__init__(seed=seed)


class Network(OnlineGRU4Rec):
    """Passes it on to the configuration."""

    def __init__(
        self,
        *,
        max_sessions: int = 9,
        max_items: int = 9,
        seed: int = 0,
        device: str = "cpu",
        **options: Any,
    ) -> None:
        super().__init__(
            msgspec.convert(options, GRU4RecConfig),
            max_sessions=max_sessions,
            max_items=max_items,
            seed=seed,
            device=device,
        )


def options_of(kind: Any) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct_of(kind))}


def test_options_are_found_wherever_they_are_passed_on_to() -> None:
    assert options_of(Passing) == {"better": float, "worse": int}
    assert set(shared_by(Passing)) == {"max_sessions", "max_items", "seed"}
    assert options_of(Studious) == {"size": int}
    assert options_of(Network) == {
        field.name: field.type for field in msgspec.structs.fields(GRU4RecConfig)
    }
    assert set(shared_by(Network)) == {"max_sessions", "max_items", "seed", "device", "dtype"}


def test_options_arrive_wherever_they_are_passed_on_to(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[str, Any] = {"passing": Passing, "studious": Studious, "network": Network}
    for name, kind in kinds.items():
        monkeypatch.setitem(RIVALS, name, kind)
    made: dict[str, Any] = dict(
        make_models(
            {
                "passing": {"worse": 2, "better": 1},
                "studious": {"size": 3},
                "network": {"window": 2},
            },
            CONFIG,
        )
    )
    assert (made["passing"].worse, made["passing"].better) == (2, 1.0)
    assert made["studious"].lesson == Lesson(3)
    assert made["network"].config.window == 2
    for name, option, near in (
        ("passing", "wrose", "worse"),
        ("studious", "sice", "size"),
        ("network", "hiden", "hidden"),
    ):
        with pytest.raises(ConfigError, match=f"model {name}: .* {option!r}; is it {near!r}"):
            make_models({name: {option: 1}}, CONFIG)


def test_a_model_takes_part_with_several_settings() -> None:
    made: dict[str, Any] = dict(
        make_models(
            {
                "gru4rec-network": {"hidden": 4},
                "big": {"kind": "gru4rec-network", "hidden": 8},
                "worse": {"kind": "recent", "worse": 2},
            },
            CONFIG,
        )
    )
    assert (made["gru4rec-network"].config.hidden, made["big"].config.hidden) == (4, 8)
    assert made["worse"].worse == 2


def test_a_class_of_the_users_own_is_a_model_by_its_name_or_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "our_models.py").write_text(
        "from tests.small_models import Recent\n"
        "class Own(Recent):\n"
        "    def __init__(self, worse: int = 1, *, max_items: int, seed: int = 0):\n"
        "        super().__init__(worse=worse, max_items=max_items)\n"
        "        self.seed = seed\n"
        "class Holder:\n"
        "    class Inner(Recent):\n"
        "        pass\n"
        "NOT_A_CLASS = 3\n"
        "class NoModel:\n"
        "    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = dict(
        make_models(
            {
                "our_models:Own": {"kind": "our_models:Own"},
                "mine": {"kind": "our_models:Own", "worse": 3},
                "inner": {"kind": "our_models:Holder.Inner"},
                "itself": {"kind": Recent, "worse": 4},
            },
            CONFIG,
        )
    )
    assert [model.worse for model in made.values()] == [1, 3, 0, 4]
    assert made["mine"].seed == 3
    for kind, message in (
        ("our_models", "no model 'our_models'"),
        ("our_models:", "write package.module:Class"),
        (":Own", "write package.module:Class"),
        ("no_such_module:Own", "cannot be used: ModuleNotFoundError"),
        ("our_models:Missing", "cannot be used: AttributeError"),
        ("our_models:NOT_A_CLASS", "is no class"),
        ("our_models:NoModel", "is no model: it has no n_items, test_then_learn"),
    ):
        with pytest.raises(ConfigError, match=message):
            make_models({"mine": {"kind": kind}}, CONFIG)
    with pytest.raises(ConfigError, match=r"model mine.*no option 'wrose'; is it 'worse'"):
        make_models({"mine": {"kind": "our_models:Own", "wrose": 3}}, CONFIG)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"big": {"hidden": 3}}, "no model 'big'"),
        ({"big": {"kind": "gru4rek"}}, "model big: there is no model 'gru4rek'; is it 'gru4rec'"),
        ({"big": {"kind": 3}}, "model big: kind is the name of a model, not 3"),
        ({"a/b": {"kind": "recent"}}, "'a/b' cannot name a model"),
        ({"": {"kind": "recent"}}, "'' cannot name a model"),
        ({"x" * 81: {"kind": "recent"}}, "cannot name a model: use at most 80"),
        ({"big": {"kind": "recent", "wrose": 1}}, "model big, model recent: .*is it 'worse'"),
        ({"big": {"kind": "gru4rec", "hiden": 1}}, "model big: there is no option 'hiden'"),
    ],
)
def test_a_mistake_in_a_variant_names_it(models: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_models(models, CONFIG)
