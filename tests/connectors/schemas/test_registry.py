"""Asking a schema registry, and what is not right with it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors import SchemaRegistry, SourceError, registry_settings
from nextclick.connectors.decoding.values import UnusableError
from nextclick.connectors.schemas.framing import SchemaDecoder
from nextclick.connectors.schemas.settings import public_registry_settings
from tests.certificates import make_certificates
from tests.connectors.schemas.registry_server import RegistryServer, framed


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer("anna", "secret-word") as started:
        yield started


def asked(server: RegistryServer, **table: Any) -> SchemaRegistry:
    return SchemaRegistry(server.url, registry_settings(table))


def test_a_user_and_a_password_are_sent(
    server: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = server.add("string")
    monkeypatch.setenv("REGISTRY_PASSWORD", "secret-word")
    right = asked(server, username="anna", password="env:REGISTRY_PASSWORD")
    right.check()
    assert right.schema(number).text == '"string"'
    asked(server, **{"basic.auth.user.info": "anna:secret-word"}).check()
    for wrong in (asked(server), asked(server, username="anna", password="other-word")):
        with pytest.raises(SourceError, match=r"status 401.*\[registry\]") as caught:
            wrong.check()
        with pytest.raises(SourceError):
            wrong.schema(number)
        assert "-word" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    table = {"username": "anna", "password": "12345", "ssl": {"password": "67890"}}
    assert "12345" not in repr(registry_settings({"username": "anna", "password": "12345"}))
    shown = public_registry_settings(table)
    assert shown == {"username": "anna", "password": "***", "ssl.password": "***"}
    assert public_registry_settings({"token": "env:TOKEN"}) == {"token": "env:TOKEN"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"pasword": "x"}, "pasword: there is no such setting"),
        ({"password": "x"}, "needs username"),
        ({"username": 3}, "must be a text"),
        ({"username": "a", "token": "b"}, "one of them"),
        ({"ssl.cafile": "/nowhere"}, "no file that can be read"),
        ({"token": "env:NOT_SET_AT_ALL"}, "NOT_SET_AT_ALL is not set"),
    ],
)
def test_wrong_settings_are_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        registry_settings(table)


@pytest.mark.parametrize("url", ["localhost:8081", "ftp://host", "http://", "http://h?x=1", ""])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="--schema-registry"):
        SchemaRegistry(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(SourceError, match=r"\[registry\]") as caught:
        SchemaRegistry("http://anna:secret-word@localhost:8081")
    assert "word@" not in str(caught.value)


def test_a_registry_that_is_not_there_is_an_error_when_it_is_first_asked() -> None:
    with RegistryServer() as server:
        url = server.url
    with pytest.raises(SourceError, match="nothing listens there"):
        SchemaRegistry(url).check()


def test_another_service_is_no_registry() -> None:
    with RegistryServer() as server:
        with pytest.raises(SourceError, match="no schema registry"):
            SchemaRegistry(f"{server.url}/other").schema(1)
        server.status = 302
        with pytest.raises(SourceError):
            SchemaRegistry(server.url).schema(1)


def test_the_next_address_is_asked_where_one_does_not_answer() -> None:
    with RegistryServer() as gone:
        first = gone.url
    with RegistryServer() as server:
        number = server.add("string")
        assert SchemaRegistry(f"{first},{server.url}").schema(number).kind == "AVRO"


def test_a_registry_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextclick.connectors.schemas.registry.AWAY", 0.1)
    with RegistryServer() as server:
        number = server.add("string")
        registry = server.registry()
        for restart in (False, True):
            decoder = SchemaDecoder(registry)
            if restart:
                server.stop()
            else:
                server.status = 503
            found: list[Any] = []
            data = framed(number, b"\x06hat")
            thread = threading.Thread(target=lambda: found.append(decoder.decode(data)))  # noqa: B023
            thread.start()
            while registry.away is None:
                thread.join(0.02)
                assert not found
            assert "waiting for the schema registry" in registry.notes[0]
            server.status = None
            if restart:
                server.start()
            thread.join(30)
            assert found == ["hat"]
            assert registry.away is None
        assert "unavailable 2 times" in registry.notes[0]


def test_a_registry_that_is_too_slow_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextclick.connectors.schemas.registry.AWAY", 0.0)
    monkeypatch.setattr("nextclick.connectors.schemas.registry.TIMEOUT", 0.3)
    with RegistryServer() as server:
        number = server.add("string")
        server.delay = 1.0
        registry = server.registry()
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(registry.schema(number)))
        thread.start()
        while registry.away is None:
            thread.join(0.02)
        assert "it does not answer" in registry.away
        server.delay = 0.0
        monkeypatch.setattr("nextclick.connectors.schemas.registry.TIMEOUT", 10.0)
        thread.join(30)
        assert [schema.text for schema in found] == ['"string"']


def test_an_older_registry_is_told_from_another_service() -> None:
    with RegistryServer() as server:
        server.old = True
        server.registry().check()
        with pytest.raises(SourceError, match="no schema registry"):
            SchemaRegistry(f"{server.url}/other").check()


def test_closing_ends_the_waiting() -> None:
    with RegistryServer() as server:
        server.status = 500
        registry = server.registry()
        threading.Timer(0.2, registry.close).start()
        with pytest.raises(SourceError, match="closed"):
            registry.schema(1)


def test_an_unknown_id_is_refused_and_asked_for_again_only_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RegistryServer() as server:
        decoder = SchemaDecoder(server.registry())
        for _ in range(3):
            with pytest.raises(UnusableError) as caught:
                decoder.decode(framed(70_001, b"\x06hat"))
            assert caught.value.reason == "unknown_schema"
        assert len(server.requests) == 1
        server.add("string")
        monkeypatch.setattr("nextclick.connectors.schemas.framing.ASK_AGAIN", 0.0)
        assert decoder.decode(framed(70_001, b"\x06hat")) == "hat"


def test_json_after_the_header_and_kinds_that_are_not_known() -> None:
    with RegistryServer() as server:
        decoder = SchemaDecoder(server.registry())
        number = server.add('{"type": "object"}', "JSON")
        assert decoder.decode(framed(number, b'{"a": [1]}')) == {"a": [1]}
        for data, reason in ((b"{", "bad_json"), (b'"\xff"', "not_utf8"), (b"", "bad_json")):
            with pytest.raises(UnusableError) as caught:
                decoder.decode(framed(number, data))
            assert caught.value.reason == reason
        with pytest.raises(UnusableError, match="THRIFT"):
            decoder.decode(framed(server.add("x", "THRIFT"), b""))


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0", b'{"item_id": 1}'])
def test_bytes_without_the_header_are_not_framed(data: bytes) -> None:
    with RegistryServer() as server, pytest.raises(UnusableError) as caught:
        SchemaDecoder(server.registry()).decode(data)
    assert caught.value.reason == "not_framed"


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [("AVRO", "fastavro", "avro"), ("PROTOBUF", "grpc_tools", "protobuf")],
)
def test_a_missing_package_is_an_error_that_names_the_extra(
    kind: str, package: str, extra: str
) -> None:
    program = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        "from nextclick.connectors import SourceError\n"
        "from nextclick.connectors.schemas.framing import SchemaDecoder\n"
        "from tests.connectors.schemas.registry_server import RegistryServer, framed\n"
        "with RegistryServer() as server:\n"
        f"    number = server.add('string', {kind!r})\n"
        "    try:\n"
        "        SchemaDecoder(server.registry()).decode(framed(number, b''))\n"
        "    except SourceError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"pip install 'nextclick[{extra}]'" in done.stdout, done.stderr


def test_nothing_is_imported_for_schemas_unless_they_are_read() -> None:
    program = (
        "import sys, nextclick.stream.runner\n"
        "print({'fastavro', 'grpc_tools', 'grpc'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "fastavro" not in done.stdout
    assert "grpc" not in done.stdout
    assert done.returncode == 0, done.stderr


def test_over_tls_the_authority_must_be_trusted(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certificates")
    with RegistryServer(certificate=made.broker) as server:
        number = server.add("string")
        asked(server, **{"ssl.cafile": str(made.authority)}).schema(number)
        for wrong in (asked(server), asked(server, ssl={"cafile": str(made.stranger)})):
            with pytest.raises(SourceError, match=r"not trusted here .*ssl\.cafile"):
                wrong.check()
        with pytest.raises(SourceError, match="the schema registry at"):
            SchemaRegistry(server.url.replace("https", "http")).check()
        with pytest.raises(SourceError, match=r"ssl\.cafile, ssl\.certfile"):
            asked(server, **{"ssl.cafile": str(tmp_path / "certificates" / "authority.key")})
