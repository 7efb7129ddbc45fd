"""Each option of run and compare, given wrongly from Python, from a TOML file and by flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from nextclick.stream import run
from nextclick.stream.cli.app import app
from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.config.declaration import declared, flag, option_in, shape
from nextclick.stream.config.options import ConfigError, build, load_toml
from nextclick.stream.config.run import RunConfig, StreamConfig

KINDS: list[type[StreamConfig]] = [RunConfig, CompareConfig]
COMMANDS = {
    "run": "nextclick.stream.runner.run",
    "compare": "nextclick.stream.comparison.compare.compare",
}
"""What carries out a command."""

FIELDS = [
    pytest.param(kind, field, id=f"{kind.__name__}.{field.name}")
    for kind in KINDS
    for field in msgspec.structs.fields(kind)
]
WHOLE = [
    pytest.param(kind, field, id=f"{kind.__name__}.{field.name}")
    for kind in KINDS
    for field in msgspec.structs.fields(kind)
    if shape(field.type) == "whole" or (shape(field.type) == "list" and "int" in str(field.type))
]
# Each as Python has it, and as it is written in TOML.
VALUES: list[tuple[Any, str]] = [
    (0, "0"),
    (-1, "-1"),
    (10**30, "1" + "0" * 30),
    (1e300, "1e300"),
    (float("nan"), "nan"),
    (float("inf"), "inf"),
    (True, "true"),
    ("", '""'),
    ("many", '"many"'),
    ([], "[]"),
    ([1, "a"], '[1, "a"]'),
    ({"x": {"y": 1}}, "{x = {y = 1}}"),
]


def required(kind: type[StreamConfig], field: str) -> dict[str, Any]:
    """What a configuration cannot do without, besides this field."""
    return {"models": {"gru4rec": {}}} if kind is CompareConfig and field != "models" else {}


def outcome(make: Any) -> str:
    """What a person reads, without the place; nothing where all is well."""
    try:
        make()
    except ConfigError as error:
        sentence = str(error).partition(": ")[2] if ": '" in str(error) else str(error)
        return sentence.partition("there is no option")[1] or sentence
    return ""


def sentence(kind: type[StreamConfig], given: dict[str, Any]) -> str | None:
    """The messages about options that are given from Python."""
    try:
        kind(**given)
    except ConfigError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_from_python_and_from_a_file_the_same_is_said(
    kind: type[StreamConfig], field: msgspec.structs.FieldInfo, tmp_path: Path
) -> None:
    path = tmp_path / "options.toml"
    for value, toml in VALUES:
        own = required(kind, field.name)
        path.write_text(f"{field.name} = {toml}\n", encoding="utf-8")
        from_python = outcome(lambda: kind(**own, **{field.name: value}))  # noqa: B023
        from_file = outcome(lambda: build(kind, {**own, **load_toml(path, kind)}))  # noqa: B023
        assert from_python == from_file, (field.name, value)


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_date_is_no_value_of_an_option(
    kind: type[StreamConfig], field: msgspec.structs.FieldInfo, tmp_path: Path
) -> None:
    path = tmp_path / "options.toml"
    path.write_text(f"{field.name} = 2020-01-01T00:00:00\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=field.name):
        load_toml(path, kind)


@pytest.mark.parametrize(("kind", "field"), WHOLE)
def test_every_whole_number_has_bounds(
    kind: type[StreamConfig], field: msgspec.structs.FieldInfo
) -> None:
    limits = option_in(field.type)
    assert limits is not None
    assert limits.ge is not None, f"declare the bounds of {field.name}"
    assert limits.most is not None
    for number in (limits.ge - 1, limits.most + 1):
        value: Any = [number] if "list" in str(field.type) else number
        with pytest.raises(ConfigError, match=f"^{flag(field.name)} must be at (least|most)"):
            kind(**{**required(kind, field.name), field.name: value})


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize("text", ["0", "-1", "1" + "0" * 30, "9" * 5000, "1e3", "many", "nan", "-"])
def test_flags_say_what_python_says(
    command: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = KINDS[command == "compare"]

    def stop(*given: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(COMMANDS[command], stop)
    for field in declared(kind).values():
        if field.shape not in ("whole", "text"):
            continue
        number = field.shape == "whole" and text.lstrip("-").isdecimal()
        value: Any = int(text) if number and len(text) < 4000 else text
        own = required(kind, field.name)
        arguments = [command, "sim:clicks=9", f"{flag(field.name)}={text}"]
        arguments += ["--models=gru4rec"] if own else []
        result = CliRunner().invoke(app, arguments)
        said = sentence(kind, {**own, field.name: value})
        if field.shape == "whole" and isinstance(value, str):
            said = f"{flag(field.name)} {value!r:.80}: write a whole number"
        if said is None:
            assert isinstance(result.exception, ZeroDivisionError), result.exception
        else:
            assert str(result.exception) == said


@pytest.mark.parametrize(
    "option", ["--model=x", "--model=hidden=", "--model=hiden=8", "--memory=a"]
)
def test_a_wrong_option_of_the_model_is_told(option: str) -> None:
    result = CliRunner().invoke(app, ["run", "sim:clicks=9", option])
    assert isinstance(result.exception, ConfigError)


@pytest.mark.parametrize("field", ["max_sessions", "max_items", "keep_snapshots", "seed", "k"])
def test_the_largest_value_that_is_allowed_works(field: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        field: declared(RunConfig)[field].option.most,
        "device": "cpu",
        "model": {"hidden": 8, "n_negatives": 16},
        "recommendations": tmp_path / "best.jsonl",
    }
    assert run("sim:clicks=80", RunConfig(**options))["learned"] == 80
