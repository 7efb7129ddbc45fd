from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from nextclick.stream.config.options import build
from nextclick.stream.config.run import RunConfig

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_in_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    recall = float(re.findall(r"Recall@20: ([\d.]+)", shown)[0].rstrip("."))
    assert recall > 0.5
    assert shown.count("(") == 3


def test_the_configuration_in_the_readme_is_one() -> None:
    (example,) = blocks("toml")
    assert build(RunConfig, tomllib.loads(example)) != RunConfig()


def test_every_page_that_the_readme_names_is_there() -> None:
    for page in re.findall(r"\]\((\S+?)\)", README):
        assert (Path(__file__).parents[2] / page.partition("#")[0]).exists(), page
