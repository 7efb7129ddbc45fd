"""How fast each form of a log is read: ``python -m benchmarks.speed.reading`` prints a table.

Each form is written once and read by polls of 64, in clicks a second of processor time. With
``--against TREE`` another checkout reads those that it knows in turns with this one, and the
table shows the medians of both, and of their ratios.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from nextclick.connectors import log_format, open_source

START = 1_700_000_000
REPOSITORY = Path(__file__).parents[2]

Row = tuple[str, int, int]
"""A session, an item, and seconds since 1970."""


def rows(count: int) -> Iterator[Row]:
    """Yield made-up clicks."""
    for number in range(count):
        yield f"s{number // 4 * 7919 % 100_003}", number * 31 % 20_011, START + number // 3


def iso(seconds: int) -> str:
    """Return a time as ISO 8601 writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.277Z")


def csv(line: Callable[[Row], str]) -> Callable[[Path, int], None]:
    """Return what writes a CSV."""

    def write(path: Path, count: int) -> None:
        lines = (line(row) + "\n" for row in rows(count))
        path.write_text("session_id,item_id,timestamp\n" + "".join(lines))

    return write


def jsons(record: Callable[[Row], object]) -> Callable[[Path, int], None]:
    """Return what writes JSON Lines."""

    def write(path: Path, count: int) -> None:
        path.write_text("".join(json.dumps(record(row)) + "\n" for row in rows(count)))

    return write


def parquet(time_of: Callable[[int], object]) -> Callable[[Path, int], None]:
    """Return what writes Parquet."""

    def write(path: Path, count: int) -> None:
        sessions, items, times = zip(*rows(count), strict=True)
        columns = [pa.array(sessions), pa.array(items), pa.array(list(map(time_of, times)))]
        pq.write_table(pa.table(columns, ["session_id", "item_id", "timestamp"]), path)

    return write


def plain(session: str, item: int, timestamp: object) -> dict[str, object]:
    """Return a click as JSON has it."""
    return {"session_id": session, "item_id": item, "timestamp": timestamp}


def lists(path: Path, count: int) -> None:
    """Write sessions of four clicks, one a line."""
    lines, events = [], []
    for session, item, seconds in rows(count):
        events.append({"aid": item, "ts": seconds * 1000, "type": "clicks"})
        if len(events) == 4:
            lines.append(json.dumps({"session": session, "events": events}) + "\n")
            events = []
    path.write_text("".join(lines))


FORMS: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "CSV": ("a.csv", csv(lambda row: f"{row[0]},{row[1]},{row[2]}.277")),
    "CSV, ISO times": ("b.csv", csv(lambda row: f"{row[0]},{row[1]},{iso(row[2])}")),
    "CSV, ids quoted": ("c.csv", csv(lambda row: f'"{row[0]}","{row[1]}",{row[2]}')),
    "CSV, all quoted": ("d.csv", csv(lambda row: f'"{row[0]}","{row[1]}","{row[2]}"')),
    "CSV, all quoted, ISO": ("e.csv", csv(lambda row: f'"{row[0]}","{row[1]}","{iso(row[2])}"')),
    "JSON": ("f.jsonl", jsons(lambda row: plain(row[0], row[1], row[2] + 0.277))),
    "JSON, ISO times": ("g.jsonl", jsons(lambda row: plain(row[0], row[1], iso(row[2])))),
    "JSON, numbers as text": ("h.jsonl", jsons(lambda row: plain(row[0], row[1], str(row[2])))),
    "Parquet": ("i.parquet", parquet(lambda seconds: seconds + 0.277)),
    "Parquet, ISO times": ("j.parquet", parquet(iso)),
    "Parquet, numbers as text": ("k.parquet", parquet(str)),
}
"""Forms that need no option; the name of their file, and what writes it."""

_EVENT: dict[str, Any] = {
    "session_column": "user.id",
    "item_column": "event.item.id",
    "time_column": "ts",
}


def _nested(row: Row) -> dict[str, object]:
    seconds = row[2]
    event = {"id": seconds * 7 + row[1], "kind": "view", "item": {"id": row[1], "price": 9.5}}
    return {"user": {"id": row[0]}, "event": event, "ts": seconds}


def _identified(row: Row) -> dict[str, object]:
    return {**plain(*row), "event_type": "view", "event_id": f"{row[1]}-{row[2]}"}


NESTED = ("l.jsonl", jsons(_nested))
FLAT = ("m.jsonl", jsons(_identified))

MORE: dict[str, tuple[dict[str, Any], tuple[str, Callable[[Path, int], None]]]] = {
    "JSON, fields by path": (_EVENT, NESTED),
    "JSON, --where": ({"where": "event_type in ('view', 'cart')"}, FLAT),
    "JSON, --event-id": ({"event_id": "event_id"}, FLAT),
    "JSON, paths, --where and --event-id": (
        {**_EVENT, "where": "event.kind = 'view' and event.item.price > 1", "event_id": "event.id"},
        NESTED,
    ),
    "JSON, a list of four": (
        {
            "session_column": "session",
            "item_column": "events[].aid",
            "time_column": "events[].ts",
        },
        ("n.jsonl", lists),
    ),
    "CSV, --where": (
        {"where": "item_id >= 0"},
        ("a.csv", csv(lambda row: f"{row[0]},{row[1]},{row[2]}.277")),
    ),
}
"""Forms that need options, which older checkouts may not know."""


def read(path: str, options: dict[str, Any]) -> tuple[int, float]:
    """Read a log; return its clicks, and the seconds of processor time that they took."""
    began = time.process_time()
    source = open_source(path, log_format(**options))
    count = 0
    while (polled := source.poll(64)) is not None:
        count += len(polled)
    return count, time.process_time() - began


def serve() -> None:
    """Read the logs that standard input names; print what each took."""
    for line in sys.stdin:
        path, options = json.loads(line)
        print(json.dumps(read(path, options)), flush=True)


class Reader:
    """A process that reads logs with a checkout's code.

    Parameters
    ----------
    tree
        The checkout; None for the code that is installed.
    folder
        Where the checkout's packages are linked.

    """

    def __init__(self, tree: Path | None, folder: Path) -> None:
        environment = dict(os.environ)
        if tree is not None:
            package = folder / "nextclick"
            package.mkdir()
            (package / "__init__.py").touch()
            for name in ("connectors", "models", "stream"):
                (package / name).symlink_to(tree.resolve() / name)
            environment["PYTHONPATH"] = f"{folder}:{REPOSITORY}"
        command = [sys.executable, "-c", "import benchmarks.speed.reading as r; r.serve()"]
        self._process = subprocess.Popen(
            command,
            cwd=folder if tree is not None else REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, path: Path, options: dict[str, Any]) -> tuple[int, float]:
        """Return the clicks of a log, and the seconds of processor time that they took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([str(path), options]), file=self._process.stdin, flush=True)
        count, seconds = json.loads(self._process.stdout.readline())
        return count, seconds

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main(
    against: Annotated[Path | None, typer.Option(help="Another checkout to compare with.")] = None,
    clicks: int = 50_000,
    rounds: int = 9,
    only: Annotated[str, typer.Option(help="Forms whose names contain this.")] = "",
) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        readers = [Reader(None, folder)]
        if against is not None:
            readers.append(Reader(against, folder))
        print("| form | clicks/s |" + (" before | new time / old |" if against else ""))
        print("| --- | ---: |" + (" ---: | ---: |" if against else ""))
        forms: list[tuple[str, dict[str, Any], tuple[str, Callable[[Path, int], None]], bool]] = [
            *((name, {}, file, True) for name, file in FORMS.items()),
            *((name, options, file, False) for name, (options, file) in MORE.items()),
        ]
        for name, options, (file, write), known in forms:
            if only not in name:
                continue
            write(folder / file, clicks)
            times: list[list[float]] = [[] for _ in readers]
            asked = readers if known else readers[:1]
            for number in range(rounds + 1):
                turn = list(zip(asked, times, strict=False))
                for reader, own in turn if number % 2 else turn[::-1]:
                    count, seconds = reader.read(folder / file, options)
                    assert count == clicks
                    if number:  # The first round warms up.
                        own.append(seconds)
            cells = [f"{clicks / statistics.median(own):,.0f}" if own else "" for own in times]
            if against is not None:
                ratios = [new / old for new, old in zip(*times, strict=False)]
                cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
        for reader in readers:
            reader.close()


if __name__ == "__main__":
    typer.run(main)
