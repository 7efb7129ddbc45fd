"""A log that grows, read with everything that a finished one is read with."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors import FollowedLog, LogSource, log_format, open_source
from nextclick.connectors.clicks import Position
from nextclick.connectors.source import SourceError

LISTS: dict[str, Any] = {
    "session_column": "visit.id",
    "item_column": "shown[].sku",
    "time_column": "at",
    "where": "kind = 'view'",
    "event_id": "shown[].id",
}


def record(number: int) -> str:
    shown = [{"sku": f"i{number}-{at}", "id": f"{number} {at}"} for at in range(number % 4)]
    kind = "view" if number % 5 else "other"
    record = {"visit": {"id": number % 3}, "shown": shown, "at": 1.7e12 + number, "kind": kind}
    return json.dumps(record) + "\n"


QUOTED = [
    "session_id,item_id,timestamp\n",
    *(
        f'anna,"item\n{number}",{number}\n' if number % 3 else f"anna,item,{number}\n"
        for number in range(12)
    ),
]


def texts(source: Any, limit: int = 64) -> tuple[list[Any], list[Position]]:
    """Read until nothing comes any more; return the clicks and the position after each poll."""
    found: list[Any] = []
    positions: list[Position] = []
    while (clicks := source.poll(limit)) is not None and (len(clicks) or clicks.rejected):
        ids = clicks.events or [None] * len(clicks)
        found += zip(clicks.sessions, clicks.items, clicks.times.tolist(), ids, strict=True)
        found += [one.reason for one in clicks.rejected]
        positions.append(json.loads(json.dumps(clicks.position)))
    return found, positions


def written(path: Path, pieces: list[str], options: dict[str, Any]) -> tuple[list[Any], Any]:
    """Write a log piece by piece while it is followed; return the clicks and the last position."""
    path.write_text("".join(pieces[:2]))
    found: list[Any] = []
    with closing(FollowedLog(path, log_format(**options))) as source:
        for number in range(2, len(pieces) + 1):
            found += texts(source)[0]
            with path.open("a") as log:
                log.write("".join(pieces[number : number + 1]))
        found += texts(source)[0]
        clicks = source.poll(1)
        assert clicks is not None
        return found, clicks.position


@pytest.mark.parametrize(
    ("name", "lines", "options"),
    [
        ("clicks.jsonl", [record(number) for number in range(12)], LISTS),
        ("clicks.csv", QUOTED, {}),
    ],
)
def test_it_gives_the_clicks_and_the_positions_of_the_finished_log(
    tmp_path: Path, name: str, lines: list[str], options: dict[str, Any]
) -> None:
    path = tmp_path / name
    whole = "".join(lines)
    pieces = [
        *lines[:2],
        *(whole[at : at + 11] for at in range(len("".join(lines[:2])), len(whole), 11)),
    ]
    found, position = written(path, pieces, options)
    with closing(LogSource(path, log_format(**options))) as source:
        expected, positions = texts(source)
    for kind in (tuple, str):
        assert [one for one in found if isinstance(one, kind)] == [
            one for one in expected if isinstance(one, kind)
        ]
    assert position == positions[-1]
    with closing(FollowedLog(path, log_format(**options))) as source:
        assert texts(source, 1)[1] != []


@pytest.mark.parametrize("follow", [True, False])
def test_it_resumes_inside_a_record(tmp_path: Path, follow: bool) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text("".join(record(number) for number in range(1, 12)))
    form = log_format(**LISTS)
    with closing(open_source(path, form, follow=True)) as source:
        whole, positions = texts(source, 1)
    assert any("part" in position for position in positions)
    assert all(position["unit"] == "ms" for position in positions)
    clicks = [one for one in whole if isinstance(one, tuple)]
    for number, position in enumerate(positions, 1):
        with closing(open_source(path, form, follow=follow)) as source:
            source.seek(position)
            assert [one for one in texts(source)[0] if isinstance(one, tuple)] == clicks[number:]


def test_its_unit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text(record(1))
    with closing(FollowedLog(path, log_format(**LISTS))) as source:
        texts(source)
        assert any("milliseconds" in note for note in source.warnings)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["a.csv", "b.csv"], "--follow is for one log, and several are named"),
        ("*.csv", r"--follow is for one log, and \*.csv is a pattern"),
        (".", "is a folder: name one log file in it"),
        ("s3://bucket/a.csv", "--follow is for a log on this machine"),
        (["a.csv", "http:clicks.jsonl"], "http:clicks.jsonl is read alone"),
    ],
)
def test_one_log_on_this_machine_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(QUOTED[0] + "anna,hat,1\n")
    with pytest.raises(SourceError, match=message):
        open_source(named, follow="http" not in str(named))
