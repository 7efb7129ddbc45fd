"""Logs in object stores and on web servers."""

from __future__ import annotations

import fnmatch
import io
import re
import time
from contextlib import closing
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs

from ...source import SourceError
from .disk_copy import DiskCopy
from .log_file import Bytes, LogFile

ADDRESS = re.compile(r"(s3|gs|gcs|https?)://", re.IGNORECASE)

BUFFER = 4 << 20
"""Bytes that one request to an object store fetches, at least."""

GS_RETRIES = "retry_limit_seconds=60"
"""How long pyarrow tries again what failed in Google's store, as it is written in an address."""

WAITS = (0.5, 2.0, 5.0)
"""Seconds before each further attempt to read on from a web server."""

CREDENTIALS = {
    "s3": "credentials, region and endpoint are those of AWS's own tools: AWS_ACCESS_KEY_ID, "
    "AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL or ~/.aws; s3://anonymous@bucket/… for "
    "public data",
    "gs": "credentials are those of Google's own tools: GOOGLE_APPLICATION_CREDENTIALS or gcloud "
    "auth application-default login; gs://anonymous@bucket/… for public data",
}
"""Where the credentials of a store come from."""


def is_remote(spec: str) -> bool:
    """Whether a source is an address in an object store or on a web server.

    Examples
    --------
    >>> is_remote("s3://bucket/clicks.csv"), is_remote("http:clicks.jsonl")
    (True, False)

    """
    return ADDRESS.match(spec) is not None


def without_secrets(spec: str) -> str:
    """Return an address without its query, which may hold a signature; other names as they are.

    Examples
    --------
    >>> without_secrets("https://shop.example/clicks.csv?signature=abc")
    'https://shop.example/clicks.csv'

    """
    return spec.partition("?")[0] if is_remote(spec) else spec


def remote_files(spec: str) -> tuple[list[LogFile], bool]:
    """Return the files at an address, and whether it is a folder or a pattern.

    Raises
    ------
    SourceError
        There are none, or the store cannot be reached.

    """
    shown = without_secrets(spec)
    user = urlsplit(spec).netloc.rpartition("@")[0]
    if user not in ("", "anonymous"):
        scheme, _, rest = spec.partition("://")
        raise SourceError(
            f"{scheme}://…@{rest.partition('@')[2].partition('?')[0]}: an address is kept in "
            "snapshots and reports, so it must not hold credentials: leave them out, and give them "
            "in the environment, or for a web server in ~/.netrc"
        )
    scheme = spec.partition("://")[0].lower()
    if scheme.startswith("http"):
        if urlsplit(spec).path.endswith("/") or not urlsplit(spec).path:
            raise SourceError(f"{shown} is no file: a web server lists none, name each log")
        return [WebFile(spec)], False
    try:
        return _stored_files(spec, "s3" if scheme == "s3" else "gs")
    except (OSError, pa.ArrowException) as error:
        raise _unreachable(shown, error) from error


def _stored_files(spec: str, scheme: str) -> tuple[list[LogFile], bool]:
    address, query, rest = spec.partition("?")
    pattern = re.search(r"[*\[]", address)
    # A pattern is looked for in the folder before it.
    base = address[: address.rindex("/", 0, pattern.start())] if pattern else address
    if scheme == "gs" and "retry_limit_seconds" not in rest:
        # By default it tries for a quarter of an hour before it says what is wrong.
        query, rest = "?", f"{rest}&{GS_RETRIES}" if rest else GS_RETRIES
    system, path = pyarrow.fs.FileSystem.from_uri(base.rstrip("/") + query + rest)
    info = system.get_file_info(path)
    if info.type == pyarrow.fs.FileType.File:
        return [StoredFile(system, path, scheme, info.size)], False
    if info.type == pyarrow.fs.FileType.NotFound:
        raise SourceError(f"{address}: there is no such file or folder")
    below = system.get_file_info(pyarrow.fs.FileSelector(path, recursive=True))
    files: list[LogFile] = []
    for each in below:
        inside = each.path.removeprefix(path).strip("/")
        hidden = any(part[0] in "._" for part in inside.split("/") if part)
        wanted = _matches(inside, address[len(base) :].strip("/")) if pattern else not hidden
        if each.type == pyarrow.fs.FileType.File and wanted:
            files.append(StoredFile(system, each.path, scheme, each.size))
    if not files and pattern:
        raise SourceError(f"no file matches {address}")
    return files, True


def _matches(inside: str, pattern: str) -> bool:
    """Whether a path matches a pattern, in which only ``**`` stands for several folders."""
    if "**" in pattern:
        return fnmatch.fnmatchcase(inside, pattern.replace("**/", "*"))
    parts, wanted = inside.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


class StoredFile(LogFile):
    """A file in an object store, read by ranges of its bytes.

    Parameters
    ----------
    system
        The store, as a file system of Arrow.
    path
        Bucket and key.
    scheme
        ``s3`` or ``gs``.
    size
        Its bytes.

    """

    rereads_cheaply = False

    def __init__(self, system: Any, path: str, scheme: str, size: int | None) -> None:
        super().__init__(f"{scheme}://{path}", path.rpartition("/")[2])
        self._system = system
        self._path = path
        self._size = size

    def open(self) -> Bytes:
        """Open it to be read from its start."""
        return cast("Bytes", io.BufferedReader(_Ranges(self.open_anywhere(), str(self)), BUFFER))

    def open_anywhere(self) -> Any:
        """Open it to be read at any place."""
        try:
            return self._system.open_input_file(self._path)
        except FileNotFoundError as error:
            raise SourceError(f"{self}: there is no such file") from error
        except (OSError, pa.ArrowException) as error:
            raise _unreachable(str(self), error) from error

    def size(self) -> int | None:
        """Return its bytes."""
        return self._size


class _Remote(io.RawIOBase):
    """A file of a library as one of Python, read at any place."""

    def __init__(self, file: Any, shown: str) -> None:
        super().__init__()
        self._file = file
        self._shown = shown

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return cast("int", self._file.seek(offset, whence))

    def tell(self) -> int:
        return cast("int", self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Ranges(_Remote):
    """A file of Arrow as one of Python, whose faults are sentences."""

    def readinto(self, buffer: Any) -> int:
        try:
            return cast("int", self._file.readinto(buffer))
        except (OSError, pa.ArrowException) as error:
            # No damage of the file: what follows is there, and must not be left out.
            raise _unreachable(self._shown, error, "cannot be read further") from error


def _unreachable(shown: str, error: Exception, what: str = "cannot be reached") -> SourceError:
    scheme = shown.partition("://")[0].lower()
    remedy = CREDENTIALS.get("gs" if scheme.startswith("g") else scheme)
    why = re.sub(r"\s+", " ", str(error) or type(error).__name__)[:400].rstrip(". ")
    return SourceError(f"{shown} {what} ({why})" + (f": {remedy}" if remedy else ""))


class WebFile(LogFile):
    """A file on a web server, read by fsspec.

    Parameters
    ----------
    url
        The address.

    """

    rereads_cheaply = False

    def __init__(self, url: str) -> None:
        super().__init__(without_secrets(url), unquote(urlsplit(url).path.rpartition("/")[2]))
        self._url = url
        self._size: int | None = None
        self._system = _web()
        self._copy: DiskCopy | None = None

    def open(self) -> Bytes:
        """Open it to be read from its start, in one request."""
        return cast("Bytes", io.BufferedReader(_Download(self), 1 << 16))

    def open_anywhere(self) -> Any:
        """Open it to be read at any place: by ranges of bytes, or as a copy on the disk."""
        if self._copy is None:
            file = self.request(self._system.open, self._url, block_size=BUFFER)
            if self._has_ranges(file):
                return pa.PythonFile(_Web(file, str(self)), mode="r")
            file.close()
            with closing(self.open()) as stream:
                self._copy = DiskCopy(stream.read)
        return pa.OSFile(self._copy.path)

    def _has_ranges(self, file: Any) -> bool:
        """Whether the server answers requests for a part of a file."""
        if not file.seekable() or not file.size:
            return False
        try:
            file.seek(file.size - 1)
            self.request(file.read, 1)
        except SourceError as error:
            if isinstance(error.__cause__, ValueError):
                return False
            raise
        file.seek(0)
        return True

    def stream(self, start: int) -> Any:
        """Return what follows the first `start` bytes, as a stream."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        file = self.request(self._system.open, self._url, block_size=0, headers=headers)
        if start and file.r.status != 206:  # Partial content.
            left = start
            while left and (data := file.read(min(left, BUFFER))):
                left -= len(data)
        return file

    def request(self, call: Any, *arguments: Any, **options: Any) -> Any:
        """Make a request; its failure is a sentence."""
        try:
            return call(*arguments, **options)
        except Exception as error:  # Of the client's many kinds.
            # The client takes any failure for a file that is not there.
            status = getattr(error.__cause__ or error, "status", None)
            if status == 404 or (isinstance(error, FileNotFoundError) and not error.__cause__):
                raise SourceError(f"{self}: the server has no such file (404)") from error
            why = f"the server answers {status}" if status else _sentence(error.__cause__ or error)
            remedy = "; a name and password are read from ~/.netrc" if status == 401 else ""
            raise SourceError(f"{self} cannot be reached: {why}{remedy}") from error

    def size(self) -> int | None:
        """Return its bytes; None where the server does not tell."""
        if self._size is None:
            self._size = self.request(self._system.info, self._url).get("size") or -1
        return self._size if self._size > 0 else None


class _Download(io.RawIOBase):
    """What a web server sends, asked for again from where the connection broke."""

    def __init__(self, file: WebFile) -> None:
        super().__init__()
        self._web_file = file
        self._stream = file.stream(0)
        self._at = 0

    def readinto(self, buffer: Any) -> int:
        for wait in (*WAITS, None):
            try:
                if self._stream is None:
                    self._stream = self._web_file.stream(self._at)
                data: bytes = self._stream.read(len(buffer))
            except Exception as error:
                self._drop()
                if wait is None:
                    raise SourceError(
                        f"{self._web_file} cannot be read further: {_sentence(error)}; a run "
                        "with --snapshots goes on from its last one when it is started again"
                    ) from error
                time.sleep(wait)
                continue
            buffer[: len(data)] = data
            self._at += len(data)
            return len(data)
        raise AssertionError

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None


class _Web(_Remote):
    """A file of fsspec whose faults are sentences."""

    def read(self, size: int = -1) -> bytes:
        try:
            return cast("bytes", self._file.read(size))
        except Exception as error:
            raise SourceError(f"{self._shown} cannot be read: {_sentence(error)}") from error


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _web() -> Any:
    """Return fsspec's client of web servers."""
    try:
        import aiohttp
        import fsspec
    except ModuleNotFoundError as error:
        raise SourceError(
            "logs on web servers need more packages: pip install 'nextclick[http]'"
        ) from error
    # Without a bound on the whole: a log may take hours to learn. Proxies and ~/.netrc count.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    return fsspec.filesystem("http", client_kwargs={"timeout": timeout, "trust_env": True})
