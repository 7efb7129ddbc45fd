"""``/v1/recommend``: lists for sessions."""

from __future__ import annotations

import asyncio

from ..recommendations.item_follower import FollowedItems
from .request_queue import BusyError, RequestQueue
from .requests import LARGEST_BODY, BadRequestError, read_body, read_query
from .responses import Many, Receive, Scope, Send, answer_of, send_json

BODY_SECONDS = 10.0
"""How long a body may take to come."""


class Recommend:
    """The endpoint, as an ASGI application.

    Parameters
    ----------
    queue
        Where requests wait.
    items
        The data of the items; None where there are none.

    """

    def __init__(self, queue: RequestQueue, items: FollowedItems | None = None) -> None:
        self._queue = queue
        self._items = items

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        items = self._items
        if items is not None and (why := items.unread) is not None:
            raise BusyError(why)
        data = None if items is None else items.data
        if scope["method"] == "POST":
            if scope["query_string"]:
                raise BadRequestError("a POST takes its parameters in its body, not in a query")
            requests, many = read_body(await read_whole_body(scope, receive), data)
        else:
            requests, many = [read_query(scope["query_string"], data)], False
        replies = [answer_of(reply) for reply in await self._queue.ask(requests)]
        await send_json(send, Many(replies) if many else replies[0])


async def read_whole_body(scope: Scope, receive: Receive, most: int = LARGEST_BODY) -> bytes:
    """Read a body that is neither too large nor too slow.

    Raises
    ------
    BadRequestError
        It is; or whoever sent it has gone.

    """
    too_large = f"the body is larger than {most:,} bytes: send less at once"
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise BadRequestError(too_large, 413)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                return bytes(message["body"])
            parts, length = [], 0
            while message["type"] == "http.request":
                parts.append(message["body"])
                length += len(message["body"])
                if length > most:
                    raise BadRequestError(too_large, 413)
                if not message.get("more_body"):
                    return b"".join(parts)
                message = await receive()
    except TimeoutError:
        raise BadRequestError(
            f"the body did not arrive within {BODY_SECONDS:.0f} seconds", 408
        ) from None
    raise BadRequestError("the body is incomplete")
