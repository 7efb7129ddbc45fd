"""What every request passes: its id, the key, and what becomes of its errors."""

from __future__ import annotations

import hmac
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Container, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from .request_queue import BusyError
from .requests import BadRequestError
from .responses import App, Failure, Header, Receive, Scope, Send, send_json

LONGEST_REQUEST_ID = 128

log = logging.getLogger(__name__)


class Guard:
    """Stands before an application.

    Parameters
    ----------
    app
        The application.
    key
        What requests must bring as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``; None:
        nothing.
    keyless
        The paths that need no key.
    observe
        Told of each request its path, status, and the seconds until its answer was given.

    """

    def __init__(
        self,
        app: App,
        key: str | None = None,
        keyless: Container[str] = (),
        observe: Callable[[str, int, float], None] = lambda path, status, seconds: None,
    ) -> None:
        self._app = app
        self._key = None if key is None else key.encode()
        self._keyless = keyless
        self._observe = observe
        self._process = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return
        began, status = time.perf_counter(), 0
        number = (b"x-request-id", self._request_id(scope))

        async def send_numbered(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], number]
            await send(message)

        try:
            if not (self._key is None or scope["path"] in self._keyless or self._allowed(scope)):
                raise _NoKeyError
            # With an app in the scope starlette raises its errors instead of answering them.
            scope["app"] = self
            await self._app(scope, receive, send_numbered)
        except Exception as error:
            code, sentence, headers = _told(error)
            if code == 500:
                log.error("request %s: %s", number[1].decode(), error, exc_info=error)
            if not status:
                await send_json(send_numbered, Failure(sentence), code, *headers)
        finally:
            self._observe(scope["path"], status, time.perf_counter() - began)

    def _request_id(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and 0 < len(value) <= LONGEST_REQUEST_ID:
                if all(33 <= byte < 127 for byte in value):
                    return bytes(value)
                break
        return f"{self._process}-{next(self._numbers)}".encode()

    def _allowed(self, scope: Scope) -> bool:
        """Whether a request brings the key."""
        assert self._key is not None
        for name, value in scope["headers"]:
            given = None
            if name == b"x-api-key":
                given = value
            elif name == b"authorization" and value[:7].lower() == b"bearer ":
                given = value[7:].strip()
            if given is not None and hmac.compare_digest(given, self._key):
                return True
        return False


class _NoKeyError(Exception):
    """A request brings no key, or a wrong one."""


def _told(error: Exception) -> tuple[int, str, list[Header]]:
    """Return the status of an error, its message, and headers."""
    if isinstance(error, BadRequestError):
        # What is left of a body that was not read must not be taken for a request.
        close = [(b"connection", b"close")] if error.status in (408, 413) else []
        return error.status, str(error), close
    if isinstance(error, HTTPException):
        where = "not found" if error.status_code == 404 else error.detail
        allowed = (error.headers or {}).get("Allow")
        more = f": it takes {allowed}" if allowed else ": /openapi.json lists the paths"
        headers = [(b"allow", allowed.encode())] if allowed else []
        return error.status_code, f"{where[:1].lower()}{where[1:]}{more}", headers
    if isinstance(error, _NoKeyError):
        sentence = "a key is needed: send it as Authorization: Bearer KEY"
        return 401, sentence, [(b"www-authenticate", b"Bearer")]
    if isinstance(error, BusyError):
        return 503, str(error), [(b"retry-after", b"1")]
    if isinstance(error, FloatingPointError):
        return 503, str(error), []
    return 500, "internal error: see the server's log", []
