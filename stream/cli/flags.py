"""The flags that the commands which go through a stream have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..config.options import ConfigError


def option(panel: str, help: str, *names: str) -> Any:  # noqa: A002
    """Make a flag that takes a value, on a panel of the help."""
    return typer.Option(*names, help=help, rich_help_panel=panel)


def number(panel: str, help: str, *names: str) -> Any:  # noqa: A002
    """Make a flag that takes a whole number, on a panel of the help."""
    return typer.Option(
        *names, help=help, rich_help_panel=panel, parser=read_number, metavar="INTEGER"
    )


def read_number(text: str) -> Any:
    """Read a whole number; what is none stays as it is, to be refused as it is in a TOML file.

    Examples
    --------
    >>> read_number("64"), read_number("many")
    (64, 'many')

    """
    try:
        return int(text)
    except ValueError:
        return text


def switch(panel: str, help: str, name: str) -> Any:  # noqa: A002
    """Make a flag that takes none."""
    # Without the metavar typer would show it as one that takes a value.
    return typer.Option(name, help=help, rich_help_panel=panel, metavar="")


SOURCE, TOPIC, MODEL = "The source", "The source, where it is a topic", "Sessions and model"
SNAPSHOTS, OUTPUT, SERVE = "Snapshots", "What goes out", "Requests over HTTP"


Source = Annotated[
    str,
    typer.Argument(
        help="A log (delimited text, JSON Lines or Parquet; gzip or zstd), "
        "kafka://host:port/topic, - for JSON Lines on standard input, or "
        "sim:clicks=60000,seed=1 for the simulated shop."
    ),
]
Config = Annotated[Path | None, typer.Option(help="Options from a TOML file; flags override them.")]
Format = Annotated[
    str | None,
    option(SOURCE, "A published data set: yoochoose, diginetica, retailrocket, recbole."),
]
SessionColumn = Annotated[
    str | None,
    option(
        SOURCE, "Column of the session's id, by name or place (1, 2, …). \\[default: session_id]"
    ),
]
UserColumn = Annotated[
    str | None,
    option(SOURCE, "Column of the user's id, by name or place: sessions are cut by --gap."),
]
ItemColumn = Annotated[
    str | None, option(SOURCE, "Column of the item's id, by name or place. \\[default: item_id]")
]
TimeColumn = Annotated[
    str | None, option(SOURCE, "Column of the time, by name or place. \\[default: timestamp]")
]
TimeUnit = Annotated[str | None, option(SOURCE, "Unit of times given as numbers: s, ms, us or ns.")]
Sort = Annotated[bool, switch(SOURCE, "Read the whole log and sort it by time first.", "--sort")]
MaxClicks = Annotated[int | None, number(SOURCE, "Stop after so many clicks in all.")]
UntilEnd = Annotated[bool, switch(TOPIC, "Stop at the topic's end as it is now.", "--until-end")]
Partitions = Annotated[str | None, option(TOPIC, "Read these only, such as 0,2. \\[default: all]")]
SessionFrom = Annotated[
    str | None,
    option(TOPIC, "The session's id is a field or the record's key. \\[default: field]"),
]
TimeFrom = Annotated[
    str | None,
    option(TOPIC, "The time is a field or the record's timestamp. \\[default: field]"),
]
Idle = Annotated[
    str | None,
    option(
        TOPIC,
        "How long a click of a live topic waits for earlier ones of other partitions. "
        "\\[default: 200ms]",
    ),
]
OnMissingOffsets = Annotated[
    str | None,
    option(
        TOPIC,
        "Where to go on when the records at the position are gone: earliest or "
        "latest. \\[default: stop]",
    ),
]
Group = Annotated[
    str | None,
    option(TOPIC, "The group that offsets are committed to. \\[default: nextclick]"),
]
Gap = Annotated[
    str | None,
    option(MODEL, "Inactivity that ends a session. \\[default: 30m for users, else 1d]"),
]
Lateness = Annotated[
    str | None,
    option(MODEL, "How much older than its session a click may be. \\[default: 60s]"),
]
MaxAhead = Annotated[
    str | None,
    option(MODEL, "How far a click may be ahead of the stream. \\[default: 30d]"),
]
MaxSessions = Annotated[int | None, number(MODEL, "Bound on live sessions. \\[default: 100000]")]
MaxItems = Annotated[int | None, number(MODEL, "Bound on the catalogue. \\[default: 1000000]")]
Batch = Annotated[int | None, number(MODEL, "Clicks tested and learned at once. \\[default: 64]")]
Device = Annotated[str | None, option(MODEL, "auto, cpu or cuda. \\[default: auto]")]
Seed = Annotated[int | None, number(MODEL, "Of all that is random. \\[default: 0]")]
Snapshots = Annotated[
    str | None, option(SNAPSHOTS, "Folder for them; a run goes on from those it holds.")
]
SnapshotEvery = Annotated[
    str | None, option(SNAPSHOTS, 'Such as "60s" or "5000clicks". \\[default: 60s]')
]
KeepSnapshots = Annotated[
    int | None, number(SNAPSHOTS, "How many of the newest stay. \\[default: 3]")
]
Fresh = Annotated[bool, switch(SNAPSHOTS, "Start anew, though there are snapshots.", "--fresh")]
Json = Annotated[str | None, option(OUTPUT, "File for the figures, as a JSON object.")]
Report = Annotated[str | None, option(OUTPUT, "File for the page with the curves (.html).")]
DeadLetters = Annotated[
    str | None,
    option(
        OUTPUT,
        "File (JSON Lines) or kafka://host:port/topic for the records that cannot be used.",
    ),
]

ApiKey = Annotated[
    str | None,
    option(SERVE, "env:NAME: the variable with the key that requests must bring."),
]
AllowOrigins = Annotated[
    str | None,
    option(SERVE, "Pages of these origins may ask from a browser, such as https://shop.example."),
]


def given(values: dict[str, Any], *, without: tuple[str, ...]) -> dict[str, Any]:
    """Give the flags that were given, of a command's arguments.

    Parameters
    ----------
    values
        All arguments by name.
    without
        Those that are read otherwise.

    Examples
    --------
    >>> given({"batch": 32, "seed": None, "fresh": False, "model": []}, without=("model",))
    {'batch': 32}

    """
    flags = {
        name: value
        for name, value in values.items()
        # A flag that was not given is no wish for the contrary.
        if name not in (*without, "source", "config", "partitions")
        and value is not None
        and value is not False
    }
    if values.get("partitions") is not None:
        flags["partitions"] = parse_numbers(values["partitions"], "--partitions")
    return flags


def parse_numbers(text: str, option: str) -> list[int]:
    """Read whole numbers with commas between them, and put them in order, each once.

    Raises
    ------
    ConfigError
        They are no numbers.

    Examples
    --------
    >>> parse_numbers("2, 0", "--partitions")
    [0, 2]

    """
    try:
        return sorted({int(number) for number in text.split(",")})
    except ValueError:
        raise ConfigError(f"{option} {text!r}: write numbers with commas, such as 1,5") from None
