from __future__ import annotations

import inspect
from typing import Any

import pytest

from nextclick.connectors import open_source
from nextclick.models import GRU4RecConfig
from nextclick.stream import CompareConfig, RunConfig
from nextclick.stream.config.declaration import declared
from nextclick.stream.config.model_options import descriptions, model_options
from nextclick.stream.config.options import ConfigError
from nextclick.stream.endpoints import open_configured_source


@pytest.mark.parametrize("kind", [RunConfig, CompareConfig])
def test_the_docstring_of_a_configuration_tells_every_option(kind: Any) -> None:
    described = descriptions(kind)
    for name, each in declared(kind).items():
        assert described[name] == " ".join(each.option.help.split())
    text = inspect.getdoc(kind) or ""
    assert text.index("Parameters\n---") < text.index("Raises\n---") < text.index("Examples\n---")


def test_every_option_of_the_model_has_help_values_and_default() -> None:
    options = {each.name: each for each in model_options()}
    assert list(options) == list(GRU4RecConfig.__struct_fields__)
    assert all(each.help.endswith((".", ":")) for each in options.values())
    assert options["cell"].values == "gru | lstm | rnn"
    assert (options["memory_boost"].values, options["memory_boost"].default) == ("bool", "true")
    assert options["feed_forward"].values == "list[int]"


@pytest.mark.parametrize(
    "given",
    [
        {"partitions": [1]},
        {"session_from": "key"},
        {"time_from": "record"},
        {"on_missing_offsets": "latest"},
    ],
)
def test_an_option_for_topics_is_refused_on_a_log(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"is for a topic, kafka://"):
        open_configured_source("sim:clicks=5", RunConfig(**given))


def test_a_list_is_kept_in_one_order() -> None:
    assert RunConfig(partitions=[2, 0, 2]).partitions == [0, 2]


def test_the_simulated_shop_knows_how_much_it_has_given() -> None:
    source: Any = open_source("sim:clicks=100")
    source.poll(25)
    assert source.share == 0.25
    endless: Any = open_source("sim:items=50")
    endless.poll(25)
    assert endless.share is None
