from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.decoding.json_lines import JsonLinesDecoder
from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.source import SourceError
from nextclick.connectors.submitted_clicks import MOST_CLICKS, ClickError, ClickForm

FORM = ClickForm(LogFormat())


@pytest.mark.parametrize("path", ["payload.id", "items[].id", "header:item", "a+b"])
def test_fields_by_path_are_refused(path: str) -> None:
    with pytest.raises(SourceError, match="have plain fields"):
        ClickForm(LogFormat(item=path))
    assert ClickForm(LogFormat(session="key")).session == "key"


CLICK = {"session_id": "anna", "item_id": 17, "timestamp": 3}


def read(value: Any) -> list[tuple[Any, ...]]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    found = FORM.read(body, now=1.25)
    assert all(json.loads(click.line) and b"\n" not in click.line for click in found)
    return [(click.session, click.time, click.event) for click in found]


@pytest.mark.parametrize("value", [CLICK, [CLICK], {"clicks": [CLICK]}])
def test_one_click_a_list_and_a_named_list_are_read(value: Any) -> None:
    assert read(value) == [("anna", 3.0, None)]
    assert read(json.dumps(value, indent=2).encode()) == [("anna", 3.0, None)]


def test_a_click_may_have_a_field_named_clicks() -> None:
    assert read({**CLICK, "clicks": 3}) == [("anna", 3.0, None)]


def test_a_click_without_a_time_has_that_of_the_server() -> None:
    click = {"session_id": 1, "item_id": 2}
    assert read([click, CLICK]) == [(1, 1.25, None), ("anna", 3.0, None)]


def test_dates_and_event_ids_are_read() -> None:
    click = {**CLICK, "timestamp": "1970-01-01T00:00:07Z", "event_id": "x"}
    assert read(click) == [("anna", 7.0, "x")]


def test_further_fields_are_kept_to_the_last_digit() -> None:
    body = b'{"session_id":1,"item_id":2,"price":1.10,"n":123456789012345678901234567890,"a":[ ]}'
    (click,) = FORM.read(body, now=1.25)
    assert click.line == body[:-1] + b',"timestamp":1.250}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"3", "neither a click"),
        (b"[]", "is empty"),
        (b'{"clicks": []}', "is empty"),
        (b'{"clicks": {}}', "must be a list"),
        (b"{}", "no 'session_id'"),
        (b'[{"session_id": 1, "item_id": 2}, 3]', r"clicks\[1\]: .*not a JSON object"),
        (
            b'{"session_id": 1.5, "item_id": 2}',
            "'session_id' is 1.5: an id is a text",
        ),
        (b'{"session_id": 1, "item_id": ""}', "'item_id' is empty"),
        (b'{"session_id": 1, "item_id": 2, "timestamp": null}', "leave the field out"),
        (b'{"session_id": 1, "item_id": 2, "timestamp": "soon"}', "neither a number nor"),
        (b'{"session_id": 1, "item_id": 2, "timestamp": 1e12}', "is it in seconds"),
        (b'{"session_id": 1, "item_id": 2, "event_id": []}', "event_id must be"),
        (b'{"session_id": 1, "item_id": 2} {}', "not valid JSON"),
        (b'{"session_id": 1, "item_id": 2, "x": "\n"}', "not valid JSON"),
        (b'{"session_id": 1, "item_id": "\xff"}', "not valid UTF-8"),
        (json.dumps({**CLICK, "item_id": "x" * 1025}).encode(), "1,024 are allowed"),
        (json.dumps({**CLICK, "event_id": "x" * 1025}).encode(), "event_id is too long"),
        (json.dumps([CLICK] * (MOST_CLICKS + 1)).encode(), "10,000 are allowed at once"),
    ],
)
def test_what_is_no_click_is_refused_with_a_sentence(body: bytes, message: str) -> None:
    with pytest.raises(ClickError, match=message):
        FORM.read(body, now=1.25)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("session_id", "item_id", "timestamp", "event_id", "clicks"), JSON),
)


@given(
    body=st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | FIELDS.map(lambda value: json.dumps(value).encode())
    | st.lists(FIELDS).map(lambda value: json.dumps(value, indent=1).encode())
)
def test_whatever_is_sent_is_refused_or_is_a_line_that_the_source_reads(body: bytes) -> None:
    try:
        found = FORM.read(body, now=1.25)
    except ClickError:
        return
    decoder = JsonLinesDecoder(LogFormat(), "log")
    for click in found:
        assert b"\n" not in click.line
        session, _, time = decoder.decode_line(click.line)
        assert (session, time) == (click.session, click.time)
