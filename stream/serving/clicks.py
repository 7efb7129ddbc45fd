"""``/v1/clicks``: clicks that a site sends, recorded where the engine reads them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool

from nextclick.connectors import ClickError, FullError, Recorder, RecordError

from .app import Endpoint
from .meter import PostMeter
from .openapi import failures, ref, response
from .recommend import read_whole_body
from .request_queue import BusyError
from .requests import LONGEST_ID, BadRequestError
from .responses import Failure, Receive, Scope, Send, send_json

PATH = "/v1/clicks"

LARGE = 1 << 14
"""Bytes of a body from which on it is read on another thread than the others are served on."""

LONGEST_WAIT = 10.0
"""Seconds that clicks may take to be recorded."""

NO_LOG = (
    "this engine takes no clicks over HTTP: run nextclick run http:clicks.jsonl --serve 8080, or "
    "a source that is one topic, kafka://host:port/topic"
)
NOT_THESE_TOPICS = (
    "this engine takes no clicks over HTTP, as it reads several topics, a pattern of topics, or "
    "fields by path: write them to a topic that it reads"
)
WITH_SCHEMA = (
    "this engine takes no clicks over HTTP: the records of its topic have a schema "
    "(--schema-registry), so write them by a producer that knows it"
)
REPLICA = (
    "a replica takes no clicks: send them to the engine, nextclick run http:clicks.jsonl --serve "
    "8080"
)


class Posted(msgspec.Struct):
    """What became of clicks that were sent.

    Parameters
    ----------
    recorded
        How many were recorded: they are durable.
    repeated
        How many were not, as a click with the same ``event_id`` was recorded before.

    """

    recorded: int
    repeated: int


class Clicks:
    """The endpoint, as an ASGI application.

    Parameters
    ----------
    recorder
        Records the clicks; None: there is nowhere to record them.
    meter
        Counts them.
    refusal
        Why there is nowhere.

    """

    def __init__(
        self, recorder: Recorder | None, meter: PostMeter | None = None, refusal: str = NO_LOG
    ) -> None:
        self._recorder = recorder
        self._meter = meter
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request once its clicks are durable."""
        body = await read_whole_body(scope, receive)
        if self._recorder is None:
            raise BadRequestError(self._refusal, 409)
        if scope["query_string"]:
            raise BadRequestError("clicks are sent in the body, not in a query")
        began = time.perf_counter()
        try:
            if len(body) < LARGE:
                clicks = self._recorder.form.read(body, time.time())
            else:
                clicks = await run_in_threadpool(self._recorder.form.read, body, time.time())
            async with asyncio.timeout(LONGEST_WAIT):
                recorded = await asyncio.wrap_future(self._recorder.record(clicks))
        except ClickError as error:
            raise BadRequestError(str(error)) from error
        except TimeoutError:
            raise BusyError(
                f"the clicks were not recorded within {LONGEST_WAIT:.0f} seconds, and perhaps are "
                "later: send them again with the same event_id"
            ) from None
        except FullError as error:
            await send_json(send, Failure(str(error)), 507)
            return
        except RecordError as error:
            raise BusyError(str(error)) from error
        if self._meter is not None:
            seconds = time.perf_counter() - began
            self._meter.observe(recorded.written, recorded.known, seconds)
        await send_json(send, Posted(recorded.written, recorded.known))


def clicks_endpoint(
    recorder: Recorder | None, meter: PostMeter | None = None, refusal: str = NO_LOG
) -> Endpoint:
    """Return the endpoint, with its description."""
    operations = None if recorder is None else _operations(recorder)
    return Endpoint(PATH, Clicks(recorder, meter, refusal), ("POST",), operations)


def _operations(recorder: Recorder) -> dict[str, Any]:
    form = recorder.form
    ids = [{"type": "string", "maxLength": LONGEST_ID, "minLength": 1}, {"type": "integer"}]
    times = [{"type": "number"}, {"type": "string"}]
    time_text = "A number or an ISO 8601 date; by default the time of the server."
    event = "Names this click: one sent again with the same is not recorded again."
    click = {
        "type": "object",
        "properties": {
            form.session: {"anyOf": ids},
            form.item: {"anyOf": ids},
            form.time: {"anyOf": times, "description": time_text},
            "event_id": {"anyOf": ids, "description": event},
        },
        "required": [form.session, form.item],
        "additionalProperties": True,
    }
    many = {"type": "array", "items": click, "minItems": 1}
    named = {"type": "object", "properties": {"clicks": many}, "required": ["clicks"]}
    counts = {"recorded": {"type": "integer"}, "repeated": {"type": "integer"}}
    answer = {"type": "object", "properties": counts, "required": list(counts)}
    return {
        "post": {
            "summary": "Record one click or several",
            "operationId": "recordClicks",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"oneOf": [click, many, named]}}},
            },
            "responses": {
                "200": response("They are durable, and the engine reads them.", answer),
                "507": response("There is no room left on the disk.", ref(Failure)),
            }
            | failures(400, 401, 408, 413, 503),
        }
    }
