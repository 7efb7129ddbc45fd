from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.stream.serving.requests import (
    MOST_ITEMS,
    MOST_RECOMMENDED,
    BadRequestError,
    Request,
    read_body,
    read_query,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
IDS = TEXTS | st.integers(-(2**62), 2**62)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def test_an_address_says_what_is_wanted() -> None:
    request = read_query(b"session=anna%20b&k=3&exclude=session&without=a,b%2Cc&among=x")
    assert request == Request(
        session="anna b", k=3, exclude="session", without=["a", "b,c"], among=["x"]
    )


def test_nothing_given_is_a_request_for_anybody() -> None:
    assert read_query(b"") == read_query(b"&") == read_body(b"{}")[0][0] == Request()


@given(texts=st.lists(TEXTS.filter(lambda text: "," not in text), min_size=1, max_size=5))
def test_texts_come_through_an_address(texts: list[str]) -> None:
    query = urlencode({"items": ",".join(texts)}, safe=",")
    assert read_query(query.encode()).items == ([] if texts == [""] else texts)


@given(ids=st.lists(IDS, max_size=5), session=IDS, many=st.booleans())
def test_ids_come_through_a_body(ids: list[str | int], session: str | int, many: bool) -> None:
    given = {"session": session, "without": ids}
    body = json.dumps({"requests": [given, given]} if many else given)
    requests, listed = read_body(body.encode())
    assert listed == many
    assert requests == [Request(session=session, without=ids)] * (1 + many)


def test_an_id_may_be_called_like_a_field() -> None:
    assert read_body(b'{"session": "requests"}') == ([Request(session="requests")], False)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (b"sesion=1", "did you mean 'session'"),
        (b"k=ten", "k must be a whole number"),
        (b"k=0", "k: expected int >= 1"),
        (b"k=%d" % (MOST_RECOMMENDED + 1), f"k: expected int <= {MOST_RECOMMENDED}"),
        (b"k=" + b"9" * 400, "k: expected int"),
        (b"k=1&k=2", "k is given twice"),
        (b"session", "session has no value"),
        (b"session=%ff", "not valid UTF-8"),
        (b"session=a&items=b", "not both"),
        (b"exclude=all", "exclude"),
        (b"session=" + b"x" * 1025, "session: expected str of length <= 1024"),
        (b"items=" + b",".join([b"x"] * (MOST_ITEMS + 1)), "items"),
    ],
)
def test_a_wrong_address_is_told_where(query: bytes, words: str) -> None:
    with pytest.raises(BadRequestError, match=words.replace("(", "\\(")) as told:
        read_query(query)
    assert told.value.status == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "expected object, got array"),
        (b'{"session": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "the body"),
        (b'{"items": ' + b"[" * 100_000, "items"),
        (b'{"session": null, "k": 1.5}', "k: expected int, got float"),
        (b'{"items": [true]}', r"items\[0\]: expected"),
        (b'{"items": "hat"}', "items: expected array"),
        (b'{"session": 1e400}', "the body"),
        (b'{"session": %s}' % (b"9" * 50), "session"),
        (b'{"session": "\\ud800"}', "the body"),
        (b'{"sesion": "a"}', "unknown field sesion"),
        (b'{"requests": []}', "requests: expected array of length >= 1"),
        (b'{"requests": [{}], "k": 3}', "unknown field k"),
        (b'{"requests": [{}, {"k": 0}]}', r"requests\[1\]\.k: expected int >= 1"),
        (b'{"requests": [{}, {"session": 1, "items": []}]}', r"requests\[1\]: give a session"),
    ],
)
def test_a_wrong_body_is_told_where(body: bytes, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        read_body(body)


@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    for read in (read_query, read_body):
        with suppress(BadRequestError):
            read(body)
