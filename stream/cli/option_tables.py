"""The tables of options in the documentation, made of the declarations.

``python -m nextclick.stream.cli.option_tables docs`` writes each table anew, between the lines
``<!-- options run: Snapshots -->``, which names a command and a panel of its help or options, and
``<!-- /options -->``. ``<!-- options model -->`` is the table of the model's options.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from ..comparison.config import CompareConfig
from ..config.declaration import Declared, declared
from ..config.model_options import model_options
from ..config.options import ConfigError, Options
from ..config.run import RunConfig
from .compare import CompareFlags
from .flags import FileOptions
from .recommend import RecommendConfig
from .replay import ReplayConfig
from .run import RunFlags
from .serve import ServeConfig
from .simulate import SimulateConfig

COMMANDS: dict[str, tuple[type[Options], ...]] = {
    "run": (RunConfig, RunFlags),
    "compare": (CompareConfig, CompareFlags),
    "replay": (ReplayConfig,),
    "serve": (ServeConfig, FileOptions),
    "recommend": (RecommendConfig,),
    "simulate": (SimulateConfig,),
}

TABLE = re.compile(
    r"(?P<begin><!-- options (?P<command>\w+)(?:: (?P<which>[^>]+?))? -->\n)"
    r".*?(?P<end><!-- /options -->)",
    re.DOTALL,
)


def renewed(page: str) -> str:
    """Return a page with its tables as the declarations have them.

    Raises
    ------
    ConfigError
        A table names a command, a panel or an option that is not there.

    """
    return TABLE.sub(
        lambda found: found["begin"] + _table(found["command"], found["which"]) + found["end"],
        page,
    )


def _table(command: str, which: str | None) -> str:
    if command == "model":
        head = ["option", "value", "default", "what it is"]
        rows = [
            [f"`{each.name}`", each.values, f"`{each.default}`", each.help.replace("``", "`")]
            for each in model_options()
        ]
        return _written(head, rows)
    if command not in COMMANDS:
        raise ConfigError(f"there is no command {command!r}")
    options = [each for kind in COMMANDS[command] for each in declared(kind).values()]
    head = ["option", "default", "what it is", "fixed"]
    return _written(head, [_row(each) for each in _chosen(options, which)])


def _chosen(options: list[Declared], which: str | None) -> list[Declared]:
    if which is None:
        return options
    if panel := [each for each in options if each.option.panel == which]:
        return panel
    by_name = {each.name: each for each in options}
    try:
        return [by_name[name] for name in which.split()]
    except KeyError as error:
        raise ConfigError(f"there is no option and no panel {error}") from error


def _row(declared: Declared) -> list[str]:
    typed = f"{declared.flag} {declared.shown_value}".rstrip()
    name = f"`{typed}`" if declared.option.flag else f"`[{declared.name}]`"
    names = "".join(f"`{short}`, " for short in declared.option.names)
    default = f"`{declared.shown_default}`" if declared.shown_default else ""
    fixed = declared.option.fixed and not declared.option.changeable
    return [names + name, default, declared.option.help, "yes" if fixed else ""]


def _written(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in r] for r in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Write the tables of pages anew; with ``--check`` return 1 where one is out of date."""
    parser = argparse.ArgumentParser(description="Write the options' tables of pages anew.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders with pages, or pages")
    parser.add_argument("--check", action="store_true", help="change nothing")
    given = parser.parse_args()
    stale = 0
    for folder in given.folders:
        for path in sorted(folder.rglob("*.md")) if folder.is_dir() else [folder]:
            page = path.read_text(encoding="utf-8")
            if (made := renewed(page)) != page:
                stale += 1
                print(f"{path} {'is out of date' if given.check else 'written anew'}")
                if not given.check:
                    path.write_text(made, encoding="utf-8")
    return 1 if given.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
