"""An option declared in one line has a flag, help, a variable, a line of TOML and bounds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from nextclick.stream.cli.app import app as nextclick
from nextclick.stream.cli.flags import ServiceOptions, command
from nextclick.stream.cli.help import Command
from nextclick.stream.config.declaration import MODEL, declared, option
from nextclick.stream.config.options import ConfigError, parse_duration
from nextclick.stream.config.run import RunConfig


class Extended(RunConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run with more options, each in one line."""

    warmth: Annotated[int, option("How warm it is.", MODEL, ge=1, le=9, fixed=True)] = 3
    share: Annotated[float, option("A share.", MODEL, ge=0, le=1)] = 0.5
    pause: Annotated[str | float, option("A pause.", MODEL, parse=parse_duration)] = "5s"
    mode: Annotated[Literal["slow", "fast"], option("A mode.", MODEL)] = "slow"
    loud: Annotated[bool, option("Be loud.", MODEL)] = False
    names: Annotated[list[str], option("Some names.", MODEL)] = msgspec.field(default_factory=list)


def run(*arguments: str, **environ: str) -> Any:
    """Return the configuration that the command is given, or raise what it raises."""
    found: list[Any] = []
    app = typer.Typer(pretty_exceptions_enable=False)

    @command(Extended, ServiceOptions)
    def take(config: Extended) -> None:
        """Take a configuration."""
        found.append(config)

    app.command("take", cls=Command)(take)
    variables = {f"NEXTCLICK_{name.upper()}": value for name, value in environ.items()}
    result = CliRunner().invoke(app, list(arguments), env=variables)
    if arguments == ("--help",):
        return result.output
    if result.exception is not None:
        raise result.exception
    return found[0]


def test_it_has_a_flag_a_variable_and_a_line_of_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("warmth = 4\n")
    assert run().warmth == 3
    assert run("--warmth", "7").warmth == 7
    assert run(warmth="6").warmth == 6
    assert run("--config", str(path)).warmth == 4
    assert run(config=str(path)).warmth == 4


def test_flags_override_variables_and_these_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("warmth = 4\nloud = true\n[model]\nhidden = 8\nwindow = 2\nalpha = 0.1\n")
    config = run("--config", str(path), warmth="6", model="window=3 alpha=0.2")
    assert (config.warmth, config.loud) == (6, True)
    assert (config.model.hidden, config.model.window, config.model.alpha) == (8, 3, 0.2)
    over = ["--config", str(path), "--warmth", "7", "--no-loud", "--model", "alpha=0.3"]
    config = run(*over, warmth="6", loud="yes", model="window=3 alpha=0.2")
    assert (config.warmth, config.loud) == (7, False)
    assert (config.model.hidden, config.model.window, config.model.alpha) == (8, 3, 0.3)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("pause", "1.5h", "1.5h"),
        ("share", "0.25", 0.25),
        ("share", "1", 1.0),
        ("mode", "fast", "fast"),
        ("names", "a, b", ["a", "b"]),
        ("partitions", "2,0", [0, 2]),
        ("loud", "TRUE", True),
        ("loud", "off", False),
        ("loud", "0", False),
        ("warmth", "", 3),
        ("item_column", "2", "2"),
        ("kafka", "security.protocol=SSL acks=1", {"security.protocol": "SSL", "acks": 1}),
    ],
)
def test_every_kind_of_value_can_come_from_the_environment(
    name: str, text: str, value: Any
) -> None:
    assert getattr(run(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("warmth", "many", "NEXTCLICK_WARMTH: expected int, got str ('many')"),
        ("warmth", "0", "NEXTCLICK_WARMTH must be at least 1, not 0"),
        ("share", "1.5", "NEXTCLICK_SHARE must be at most 1, not 1.5"),
        ("pause", "soon", "NEXTCLICK_PAUSE: 'soon' is not a duration"),
        ("mode", "idle", "NEXTCLICK_MODE: expected one of slow, fast, got 'idle'"),
        ("loud", "perhaps", "NEXTCLICK_LOUD: expected bool, got str ('perhaps')"),
        ("partitions", "a", "NEXTCLICK_PARTITIONS 'a': write numbers with commas"),
        ("model", "hiden=8", "NEXTCLICK_MODEL: there is no option 'hiden'; is it 'hidden'?"),
        ("model", "hidden=0", "NEXTCLICK_MODEL: hidden must be at least 1"),
        ("model", "hidden", "NEXTCLICK_MODEL 'hidden': write name=value"),
        ("model", 'hidden="8', "NEXTCLICK_MODEL 'hidden=\"8': a quote is not closed"),
        ("exactly_once", "1", "(--exactly-once is from NEXTCLICK_EXACTLY_ONCE)"),
    ],
)
def test_an_error_names_the_variable(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        run(**{name: text})
    assert message in str(raised.value)


def test_a_flag_that_overrides_a_variable_is_not_blamed_on_it() -> None:
    with pytest.raises(ConfigError) as raised:
        run("--exactly-once", exactly_once="1")
    assert "NEXTCLICK_EXACTLY_ONCE" not in str(raised.value)


def test_its_bounds_are_checked_from_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("warmth = 10\n")
    for make in (
        lambda: Extended(warmth=10),
        lambda: run("--warmth", "10"),
        lambda: run("--config", str(path)),
    ):
        with pytest.raises(ConfigError, match="--warmth must be at most 9, not 10"):
            make()


def test_its_help_shows_the_default_and_the_choices() -> None:
    shown = " ".join(run("--help").replace("│", " ").split())
    assert "--warmth INTEGER How warm it is. [default: 3]" in shown
    assert "--mode slow|fast A mode. [default: slow]" in shown
    assert "--loud Be loud." in shown


def test_a_required_option_may_come_from_the_environment(tmp_path: Path) -> None:
    out = tmp_path / "clicks.csv"
    environ = {"NEXTCLICK_CLICKS": "5", "NEXTCLICK_OUT": str(out)}
    assert CliRunner().invoke(nextclick, ["simulate"], env=environ).exit_code == 0
    assert len(out.read_text().splitlines()) == 6


def test_a_variable_that_is_nearly_an_option_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTCLICK_BACTH", "8")
    monkeypatch.setenv("NEXTCLICK_TEST_KAFKA", "noida")
    monkeypatch.setenv("NEXTCLICK_WINDOW", "8")  # Of another command.
    arguments = ["simulate", "--clicks", "5", "--out", str(tmp_path / "clicks.csv")]
    nextclick(arguments, standalone_mode=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "note: there is no option NEXTCLICK_BACTH; is it NEXTCLICK_BATCH?"


@pytest.mark.parametrize("name", ["rate=1", "negatives=5", "kinship=0.1"])
def test_a_former_name_of_an_option_is_answered_with_the_new_one(name: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f"[model]\n{name}\n")
    for arguments in (["--model", name], ["--config", str(path)]):
        with pytest.raises(ConfigError, match=r"it is now called '(learning|n_neg|neighbour)"):
            run(*arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nhiden = 1", r"run\.toml.*\[model\].*'hiden'.*'hidden'"),
        ("[model]\nalpha = 'high'", r"run\.toml.*\[model\].*'alpha'.*expected float, got str"),
        (
            "learner = 'markov'\n[model]\nfollower = 5",
            r"run\.toml, table \[model\], model markov: .*'follower'; is it 'followers'",
        ),
    ],
)
def test_a_mistake_in_a_files_model_is_told_with_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        run("--config", str(path))


def test_every_option_has_help_and_a_panel() -> None:
    for each in declared(RunConfig).values():
        assert each.option.help.endswith("."), each.name
        assert each.option.panel, each.name


@pytest.mark.parametrize("name", ["run", "compare"])
def test_the_help_shows_about_ten_options_first(name: str) -> None:
    shown = CliRunner().invoke(nextclick, [name, "--help"]).output
    first = shown.partition("─ Options ─")[2].partition("╰")[0]
    assert 8 <= len(re.findall(r"^│ --", first, re.MULTILINE)) <= 12
    assert shown.index("─ Options ─") < shown.index("─ Source ─") < shown.index("─ Output ─")


def test_the_options_of_the_model_are_shown() -> None:
    result = CliRunner().invoke(nextclick, ["run", "--help-model"])
    assert result.exit_code == 0
    assert "learning_rate (float) [default: 0.02]\n    Learning rate of the netw" in result.output


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("nextclick re", {"replay", "recommend"}),
        ("nextclick run x --device ", {"auto", "cpu", "cuda"}),
        ("nextclick run x --snapshot", {"--snapshots", "--snapshot-every"}),
    ],
)
def test_a_shell_completes_commands_flags_and_choices(words: str, found: set[str]) -> None:
    environ = {
        **os.environ,
        "_NEXTCLICK_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    start = "import sys; sys.argv = ['nextclick']; from nextclick.stream.__main__ import main"
    done = subprocess.run(
        [sys.executable, "-c", f"{start}; main()"], env=environ, capture_output=True, check=False
    )
    assert set(done.stdout.decode().split()) == found, done.stderr
