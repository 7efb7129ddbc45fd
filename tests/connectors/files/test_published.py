"""Small files made up in the forms that data sets are published in."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors.decoding.log_format import log_format
from nextclick.connectors.open import open_source
from tests.connectors.files.logs import reasons, told


def jsons(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


REES46 = """event_time,event_type,product_id,category_id,category_code,brand,price,\
user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde
2019-10-01 00:00:01 UTC,view,3900821,2053013552326770905,appliances,aqua,33.2,55,9333dfbd
2019-10-01 00:00:02 UTC,cart,3900821,2053013552326770905,,aqua,33.2,55,9333dfbd
2019-10-01 00:00:03 UTC,view,1,2053013552326770905,,,33.2,55,
"""
OTTO = jsons(
    {
        "session": 7,
        "events": [
            {"aid": 11, "ts": 1661724000278, "type": "clicks"},
            {"aid": 12, "ts": 1661724000378, "type": "carts"},
            {"aid": 13, "ts": 1661724000478, "type": "clicks"},
        ],
    },
    {"session": 8, "events": [{"aid": 11, "ts": 1661724000300, "type": "clicks"}]},
    {"session": 9, "events": []},
    {"session": 10},
)
MIND = (
    "1\tU1\t11/11/2019 9:05:58 AM\tN106403 N71977\tN129416-0 N26703-1 N120089-1\n"
    "2\tU2\t11/11/2019 12:05:58 AM\t\tN1-0\n"
    "3\tU2\t11/11/2019 1:05:58 PM\t\tN26703-1\n"
    "4\tU3\tyesterday\t\tN26703-1\n"
)
TRACKS = {"objects": [{"type": "track", "id": 5}, {"type": "track", "id": 6, "playstart": 300}]}
MUSIC = (
    f'event.session\t287144\t1390231051\t{{"numtracks":2}}\t{json.dumps(TRACKS)}\n'
    "event.session\t287145\t1390231050\t{}\tbroken\n"
)
REVIEWS = jsons(
    {"reviewerID": "A1", "asin": "0151004714", "overall": 5.0, "unixReviewTime": 1382659200},
    {"reviewerID": "A1", "asin": "0151004715", "overall": 5.0, "unixReviewTime": 1382572800},
    {"reviewerID": "A2", "overall": 5.0, "unixReviewTime": 1382572800},
)
REVIEWS_2023 = jsons(
    {"user_id": "AE", "asin": "B1", "parent_asin": "B0", "timestamp": 1588687728923, "rating": 4.0}
)
GLOBO = """user_id,session_id,session_start,session_size,click_article_id,click_timestamp,\
click_environment
0,1506825423271737,1506825423000,2,234853,1506826828020,4
0,1506825423271737,1506825423000,2,157541,1506826858020,4
1,1506825426267738,1506825426000,2,119592,1506826827284,4
"""
ADRESSA = jsons(
    {"eventId": 1, "userId": "cx:a", "time": 1483225227, "id": "f9", "url": "http://x/f9"},
    {"eventId": 2, "userId": "cx:a", "time": 1483225202, "url": "http://x/"},
)

FILES: list[tuple[str, str, str, list[tuple[object, object, float]], dict[str, int]]] = [
    (
        "otto",
        "train.jsonl",
        OTTO,
        [(7, 11, 1661724000.278), (8, 11, 1661724000.3), (7, 13, 1661724000.478)],
        # A cart, and two sessions without events.
        {"filtered": 3},
    ),
    (
        "mind",
        "behaviors.tsv",
        MIND,
        [
            ("U1", "N26703", 1573463158.0),
            ("U1", "N120089", 1573463158.0),
            ("U2", "N26703", 1573477558.0),
        ],
        {"no_item": 1, "too_few_columns": 1},
    ),
    (
        "30music",
        "sessions.idomaar",
        MUSIC,
        [("287144", "5", 1390231051.0), ("287144", "6", 1390231351.0)],
        {"too_few_columns": 1},
    ),
    (
        "movielens",
        "ratings.csv",
        "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n1,29,3.5,1112484676\n1,,1,1\n",
        [("1", "29", 1112484676.0), ("1", "2", 1112486027.0)],
        {"no_item": 1},
    ),
    (
        "movielens-1m",
        "ratings.dat",
        "1::1193::5::978300760\n1::661::3::978302109\n1:914:3\n",
        [("1", "1193", 978300760.0), ("1", "661", 978302109.0)],
        {"too_few_columns": 1},
    ),
    (
        "movielens-100k",
        "u.data",
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        [("196", "242", 881250949.0), ("186", "302", 891717742.0)],
        {},
    ),
    (
        "amazon",
        "Books_5.json",
        REVIEWS,
        [("A1", "0151004715", 1382572800.0), ("A1", "0151004714", 1382659200.0)],
        {"no_item": 1},
    ),
    ("amazon-2023", "All_Beauty.jsonl", REVIEWS_2023, [("AE", "B0", 1588687728.923)], {}),
    (
        "amazon-2023",
        "All_Beauty.csv",
        "user_id,parent_asin,rating,timestamp\nAE,B0,4.0,1588687728923\n",
        [("AE", "B0", 1588687728.923)],
        {},
    ),
    (
        "amazon-ratings",
        "Books.csv",
        "0001713353,A1C6M8LCIX4M6M,5.0,1123804800\n0001713353,A1,5.0,1112140800\n",
        [
            ("A1", "0001713353", 1112140800.0),
            ("A1C6M8LCIX4M6M", "0001713353", 1123804800.0),
        ],
        {},
    ),
    (
        "globo",
        "clicks_hour_000.csv",
        GLOBO,
        [
            ("1506825426267738", "119592", 1506826827.284),
            ("1506825423271737", "234853", 1506826828.02),
            ("1506825423271737", "157541", 1506826858.02),
        ],
        {},
    ),
    ("adressa", "20170101", ADRESSA, [("cx:a", "f9", 1483225227.0)], {"no_item": 1}),
    (
        "session-rec",
        "rsc15-clicks_train_full.0.txt",
        "SessionId\tTime\tItemId\n2\t1396780000.5\t9\n1\t1396770000.0\t8\n",
        [("1", "8", 1396770000.0), ("2", "9", 1396780000.5)],
        {},
    ),
]


def clicks_of(
    source: Any, limit: int = 2
) -> tuple[list[tuple[object, object, float]], dict[str, int]]:
    polls = []
    while (polled := source.poll(limit)) is not None:
        polls.append(polled)
    source.close()
    sessions, items, times, _ = told(polls)
    return list(zip(sessions, items, times, strict=True)), dict(reasons(polls))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("preset", "name", "text", "clicks", "rejected"),
    FILES,
    ids=[f"{preset} {name}" for preset, name, *_ in FILES],
)
@pytest.mark.parametrize("packed", ["", ".gz", "in a folder"])
def test_published_files_are_read_unchanged(
    tmp_path: Path,
    preset: str,
    name: str,
    text: str,
    clicks: list[tuple[object, object, float]],
    rejected: dict[str, int],
    packed: str,
) -> None:
    path = tmp_path / (name + packed.replace("in a folder", ""))
    path.write_bytes(gzip.compress(text.encode()) if packed == ".gz" else text.encode())
    source = open_source(tmp_path if packed == "in a folder" else path, log_format(preset))
    assert (source.gap is None) == (preset in ("otto", "30music", "globo", "session-rec"))
    assert clicks_of(source) == (clicks, rejected)


ARCHIVES = {
    "movielens": ("ml-25m/ratings.csv", ["ml-25m/movies.csv", "ml-25m/tags.csv", "ml-25m/README"]),
    "movielens-1m": ("ml-1m/ratings.dat", ["ml-1m/movies.dat", "ml-1m/users.dat", "ml-1m/README"]),
    "movielens-100k": ("ml-100k/u.data", ["ml-100k/u.item", "ml-100k/u1.base", "ml-100k/README"]),
    "mind": ("behaviors.tsv", ["news.tsv", "entity_embedding.vec", "relation_embedding.vec"]),
    "globo": ("clicks/clicks_hour_000.csv", ["articles_metadata.csv", "clicks_sample.csv"]),
    "otto": ("otto-recsys-train.jsonl", ["otto-recsys-test.jsonl"]),
    "30music": ("relations/sessions.idomaar", ["relations/events.idomaar"]),
}
"""Files of sets as they are distributed, and what lies beside them."""


@pytest.mark.parametrize("preset", ARCHIVES)
@pytest.mark.parametrize("unpacked", [False, True])
def test_of_what_is_distributed_the_preset_reads_the_clicks_alone(
    tmp_path: Path, preset: str, unpacked: bool
) -> None:
    name, beside = ARCHIVES[preset]
    ((text, clicks, rejected),) = [(t, c, r) for p, _, t, c, r in FILES if p == preset]
    for each in [name, *beside]:
        path = tmp_path / "set" / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if each == name else "1,2,3\nsomething else\n")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "set")
    source = open_source(tmp_path / "set" if unpacked else archive, log_format(preset))
    assert clicks_of(source) == (clicks, rejected)


@pytest.mark.parametrize(
    ("preset", "name", "text", "clicks", "rejected"),
    FILES,
    ids=[f"{preset} {name}" for preset, name, *_ in FILES],
)
def test_every_line_of_a_published_file_is_accounted_for(
    tmp_path: Path,
    preset: str,
    name: str,
    text: str,
    clicks: list[tuple[object, object, float]],
    rejected: dict[str, int],
) -> None:
    (tmp_path / name).write_text(text)
    read, counts = clicks_of(open_source(tmp_path / name, log_format(preset)))
    several = {"otto": 2, "mind": 1, "30music": 1}.get(preset, 0)
    header = preset in ("movielens", "globo", "session-rec") or name == "All_Beauty.csv"
    assert len(read) + sum(counts.values()) == len(text.splitlines()) - header + several
    assert (read, counts) == (clicks, rejected)


def test_rees46_is_read_unchanged(tmp_path: Path) -> None:
    (tmp_path / "2019-Oct.csv").write_text(REES46)
    source = open_source(tmp_path / "2019-Oct.csv", log_format("rees46"))
    expected = [("72d76fde", "44600062", 1569888000.0), ("9333dfbd", "3900821", 1569888001.0)]
    assert clicks_of(source) == (expected, {"not_a_click": 1, "no_session": 1})


def test_a_published_log_resumes_and_may_be_an_archive(tmp_path: Path) -> None:
    (tmp_path / "otto").mkdir()
    (tmp_path / "otto" / "train.jsonl").write_text(OTTO)
    archive = shutil.make_archive(str(tmp_path / "otto"), "zip", tmp_path / "otto")
    whole, _ = clicks_of(open_source(archive, log_format("otto")))
    source = open_source(tmp_path / "otto" / "train.jsonl", log_format("otto"))
    first = source.poll(1)
    source.close()
    assert first is not None
    resumed = open_source(archive, log_format("otto"))
    resumed.seek(first.position)
    assert clicks_of(resumed)[0] == whole[1:]


def test_published_json_of_any_other_form_is_counted(tmp_path: Path) -> None:
    odd = ["[]", "{}", '{"session":1,"events":[{"aid":1}]}', "\xff", '{"session":1', "", "1e999"]
    (tmp_path / "train.jsonl").write_text(OTTO + "\n".join(odd) + "\n", encoding="latin-1")
    clicks, rejected = clicks_of(open_source(tmp_path / "train.jsonl", log_format("otto")))
    assert len(clicks) == 3
    assert rejected == {"filtered": 6, "bad_json": 3, "blank": 1}
