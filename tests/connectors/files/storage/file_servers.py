"""Servers on loopback that logs are read from: a plain web server, and one that speaks S3."""

from __future__ import annotations

import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape


class FileServer(ThreadingHTTPServer):
    """Serves the files of a folder.

    Parameters
    ----------
    folder
        The folder.
    ranges
        Whether requests for a part of a file are answered.
    handler
        Answers the requests.

    Attributes
    ----------
    cut_after
        Bytes of an answer after which the connection breaks, once for each element.
    password
        What the header ``Authorization`` must hold, if anything.

    """

    def __init__(
        self, folder: Path, ranges: bool, handler: type[BaseHTTPRequestHandler] | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), handler or Files)
        self.folder = folder
        self.ranges = ranges
        self.cut_after: list[int] = []
        self.password: str | None = None
        self.asked: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up."""


class Files(BaseHTTPRequestHandler):
    """Answers with the files of a folder."""

    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}")
        if self.server.password and self.server.password != self.headers.get("Authorization"):
            self.answer(401, b"")
            return
        path = self.server.folder / urllib.parse.unquote(self.path.partition("?")[0]).lstrip("/")
        if not path.is_file():
            self.answer(404, b"")
            return
        self.file(path.read_bytes())

    def file(self, data: bytes) -> None:
        asked = self.headers.get("Range")
        if not asked or not self.server.ranges:
            self.answer(200, data)
            return
        start, _, end = asked.removeprefix("bytes=").partition("-")
        first, last = int(start), min(int(end or len(data)), len(data) - 1)
        if first >= len(data):
            self.answer(416, b"")
            return
        part = data[first : last + 1]
        self.answer(206, part, {"Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        for name, value in {"ETag": '"1"', **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.server.cut_after.pop(0) if self.server.cut_after else None
        self.wfile.write(data[:cut])
        if cut is not None:
            self.wfile.flush()
            time.sleep(0.05)
            self.close_connection = True
            self.connection.close()

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


class Bucket(Files):
    """Answers as S3 does for a bucket that is a folder: objects by ranges, and listings."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        asked = urllib.parse.parse_qs(query)
        self.server.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}")
        if "list-type" in asked:
            self.answer(200, self.listing(path.strip("/"), asked.get("prefix", [""])[0], asked))
            return
        found = self.server.folder / urllib.parse.unquote(path).lstrip("/")
        if not found.is_file():
            code = b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>"
            self.answer(200 if found.is_dir() and path.count("/") == 1 else 404, code)
            return
        self.file(found.read_bytes())

    def listing(self, bucket: str, prefix: str, asked: dict[str, list[str]]) -> bytes:
        folder = self.server.folder / bucket
        keys = [
            path.relative_to(folder).as_posix()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.relative_to(folder).as_posix().startswith(prefix)
        ]
        keys = keys[: int(asked.get("max-keys", ["1000"])[0])]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z"
            f"</LastModified><Size>{(folder / key).stat().st_size}</Size></Contents>"
            for key in keys
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(keys)}"
            f"</KeyCount><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        ).encode()


@contextmanager
def serving(
    folder: Path, ranges: bool = True, handler: type[BaseHTTPRequestHandler] | None = None
) -> Iterator[tuple[FileServer, str]]:
    """Serve a folder; return the server and its address."""
    server = FileServer(folder, ranges, handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
