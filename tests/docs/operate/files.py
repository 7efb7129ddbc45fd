"""The files that run nextclick in containers, as data."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer
import yaml
from typer.testing import CliRunner

from nextclick.stream.cli.flags import ServiceOptions, command
from nextclick.stream.config.run import RunConfig

ROOT = Path(__file__).parents[3]
OPERATE = ROOT / "operate"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OBJECTS: dict[str, Any] = {
    each["kind"]: each for each in yaml.safe_load_all((OPERATE / "kubernetes.yaml").read_text())
}
POD: dict[str, Any] = OBJECTS["StatefulSet"]["spec"]["template"]
CONTAINER: dict[str, Any] = POD["spec"]["containers"][0]
PROMETHEUS: dict[str, Any] = yaml.safe_load((OPERATE / "prometheus.yaml").read_text())


def steps() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with what follows it."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = text.replace("\\\n", " ").splitlines()
    split = [line.strip().partition(" ") for line in joined if line.strip()]
    return [(word, rest.strip()) for word, _, rest in split]


def step(word: str) -> str:
    """Return what follows the last instruction of a kind."""
    return [rest for each, rest in steps() if each == word][-1]


def environment() -> dict[str, str]:
    """Return the variables of the image."""
    return dict(re.findall(r"(\w+)=(\S+)", step("ENV")))


def mounts(service: str) -> dict[str, str]:
    """Return the paths in a service's container, each with the file or volume that is there."""
    split = [volume.split(":") for volume in SERVICES[service].get("volumes", [])]
    return {parts[1]: parts[0] for parts in split}


def configured(words: list[str], **variables: str) -> tuple[str, RunConfig]:
    """Return the source and the options of a command ``run ...``, read as the program does."""
    assert words[0] == "run", shlex.join(words)
    found: list[tuple[str, RunConfig]] = []
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    @command(RunConfig, ServiceOptions)
    def take(source: str, config: RunConfig) -> None:
        """Take a configuration."""
        found.append((source, config))

    result = CliRunner().invoke(app, words[1:], env=variables)
    if result.exception is not None:
        raise result.exception
    return found[0]
