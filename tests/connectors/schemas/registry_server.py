"""A schema registry for the tests: it speaks the REST interface of Confluent's over TCP."""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from nextclick.connectors.schemas.registry import SchemaRegistry


class RegistryServer:
    """Serves schemas on a free port of this machine, once entered.

    Parameters
    ----------
    user, password
        Asked for by basic authentication, where given.
    certificate
        A file with a certificate and its key, for TLS.

    Attributes
    ----------
    requests
        The paths asked for.
    status
        Answered to all requests, where it is set.
    delay
        Seconds before each answer.
    old
        Whether it is of a version that knows nothing but Avro.

    """

    def __init__(self, user: str = "", password: str = "", certificate: Path | None = None) -> None:
        info = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._wanted = f"Basic {info}" if user else None
        self._certificate = certificate
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.schemas: dict[int, dict[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        self.requests: list[str] = []
        self.status: int | None = None
        self.delay = 0.0
        self.old = False

    @property
    def url(self) -> str:
        return f"http{'s' if self._certificate else ''}://localhost:{self._port}"

    def registry(self) -> SchemaRegistry:
        return SchemaRegistry(self.url)

    def add(self, schema: Any, kind: str = "AVRO", subject: str = "s", **more: Any) -> int:
        """Register a schema; return its id."""
        text = schema if isinstance(schema, str) and kind != "AVRO" else json.dumps(schema)
        return self.put(subject, {"schema": text, "schemaType": kind, **more})

    def put(self, subject: str, found: dict[str, Any]) -> int:
        if found.get("schemaType") == "AVRO":
            found = {name: value for name, value in found.items() if name != "schemaType"}
        number = next((n for n, one in self.schemas.items() if one == found), 0)
        number = number or len(self.schemas) + 70_001
        self.schemas[number] = found
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def start(self) -> None:
        """Serve, on the port of before if there was one."""
        self._server = ThreadingHTTPServer(("localhost", self._port), self._handler())
        self._server.daemon_threads = True
        self._port = self._server.server_port
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> RegistryServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def answer(self, path: str) -> tuple[int, Any]:
        if path == "/schemas/types" and not self.old:
            return 200, ["JSON", "PROTOBUF", "AVRO"]
        if match := re.fullmatch(r"/schemas/ids/(\d+)", path):
            return self._schema(int(match[1]))
        if match := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", path):
            versions = self.subjects.get(unquote(match[1]), [])
            if int(match[2]) > len(versions):
                return 404, {"error_code": 40402, "message": "Version not found."}
            number = versions[int(match[2]) - 1]
            status, found = self._schema(number)
            about = {"subject": unquote(match[1]), "version": int(match[2]), "id": number}
            return status, {**about, **found}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}

    def _schema(self, number: int) -> tuple[int, Any]:
        if number not in self.schemas:
            return 404, {"error_code": 40403, "message": f"Schema {number} not found"}
        found = self.schemas[number]
        return 200, found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                self._reply(lambda: server.answer(parts.path))

            def do_POST(self) -> None:
                found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                subject = unquote(urlsplit(self.path).path.split("/")[2])
                number = server.put(subject, found)
                version = server.subjects[subject].index(number) + 1
                about = {"subject": subject, "version": version, "id": number}
                self._reply(lambda: (200, {**found, **about}))

            def _reply(self, answer: Callable[[], tuple[int, Any]]) -> None:
                server.requests.append(self.path)
                time.sleep(server.delay)
                found: Any
                if server.status is not None:
                    status, found = server.status, {"error_code": server.status}
                elif server._wanted not in (None, self.headers["Authorization"]):
                    status, found = 401, {"error_code": 401, "message": "Unauthorized"}
                else:
                    status, found = answer()
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: Any) -> None:
                pass

        return Handler


def framed(number: int, data: bytes, indexes: bytes = b"") -> bytes:
    """Put the header of the wire format before a record."""
    return b"\0" + number.to_bytes(4, "big") + indexes + data
