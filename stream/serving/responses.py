"""What goes out over HTTP: answers and errors, as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

import msgspec

from .request_queue import Reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = (b"content-type", b"application/json")
NO_STORE = (b"cache-control", b"no-store")

Header = tuple[bytes, bytes]


class Item(msgspec.Struct):
    """An item of a list; the higher its score, the likelier the visitor clicks it next.

    Where the server has data of the items (``--items``), the item's fields follow.

    Where the lists of two models are merged, `by` is the model that it is from; only the scores of
    one model can be compared.
    """

    item: str | int
    score: float
    by: str | msgspec.UnsetType = msgspec.UNSET


class ModelAge(msgspec.Struct):
    """How up to date the model is that has answered.

    Parameters
    ----------
    clicks
        How many clicks it has learned.
    behind_clicks
        How many clicks have been read that it has not learned yet.
    behind_seconds
        How long ago it learned last; for a replica, how long ago its snapshot was taken.

    """

    clicks: int
    behind_clicks: int
    behind_seconds: float


class Recommended(msgspec.Struct, rename={"source": "from"}):
    """A list.

    Parameters
    ----------
    items
        Best first.
    source
        What the list goes by: the session as the engine knows it (``session``), the items of the
        request (``items``), or only what is recently ``popular``.
    model
        How up to date the model is.

    """

    items: list[Item]
    source: str
    model: ModelAge


class Many(msgspec.Struct):
    """Several lists, in the order of the requests."""

    answers: list[Recommended]


class Failure(msgspec.Struct):
    """What was wrong, in a sentence."""

    error: str


_encode = msgspec.json.Encoder().encode


def answer_of(reply: Reply) -> Recommended:
    """Return a reply as it goes out."""
    if reply.answer.popular:
        source = "popular"
    else:
        source = "session" if reply.request.items is None else "items"
    best, by = reply.answer.best, reply.answer.by
    if by:
        items = [Item(item, score, model) for (item, score), model in zip(best, by, strict=True)]
    else:
        items = [Item(item, score) for item, score in best]
    if reply.shown is not None:
        items = [_with_data(item, data) for item, data in zip(items, reply.shown, strict=True)]
    return Recommended(
        items,
        source,
        ModelAge(reply.learned, reply.behind, round(reply.age, 3)),
    )


def _with_data(item: Item, data: bytes) -> Item:
    """Return an item with its data, which are JSON already."""
    if not data:
        return item
    return cast(Item, msgspec.Raw(b"%b,%b}" % (_encode(item)[:-1], data)))


async def send_json(send: Send, content: Any, status: int = 200, *headers: Header) -> None:
    """Send what msgspec can write as JSON."""
    await send_bytes(send, _encode(content), status, JSON, *headers)


async def send_bytes(send: Send, body: bytes, status: int, *headers: Header) -> None:
    """Send an answer whole."""
    length = (b"content-length", b"%d" % len(body))
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [length, NO_STORE, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})
