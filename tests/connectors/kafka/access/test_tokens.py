"""OAUTHBEARER against a broker that takes tokens signed by nobody."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer

from nextclick.connectors.kafka.access.settings import client_settings, public_settings
from nextclick.connectors.kafka.access.subscription import parse_subscription
from nextclick.connectors.kafka.client import connect
from nextclick.connectors.kafka.source import KafkaSource
from nextclick.connectors.source import SourceError
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sources import FORM, record, take, until


def token(seconds: float = 3600.0, **claims: Any) -> str:
    """Write a token that expires, or has expired, so many seconds from now."""
    now = time.time()
    parts = [
        {"alg": "none"},
        {"sub": "clicks", "iat": min(now, now + seconds) - 60, "exp": now + seconds, **claims},
    ]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*texts, b""]).decode()


def settings(broker: Broker, **oauth: str) -> dict[str, Any]:
    assert broker.certificates is not None
    return client_settings(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "OAUTHBEARER",
            "ssl.cafile": str(broker.certificates.authority),
            **{f"sasl.oauth.token{name}": value for name, value in oauth.items()},
        }
    )


def failure(broker: Broker, **oauth: str) -> str:
    with pytest.raises(SourceError) as error:
        connect(
            KafkaConsumer,
            [str(broker.sasl)],
            {**settings(broker, **oauth), "bootstrap_timeout_ms": 1500},
        )
    return str(error.value)


def test_a_token_from_the_environment_opens_a_connection(
    secure_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_TOKEN", token())
    connect(
        KafkaConsumer, [str(secure_broker.sasl)], settings(secure_broker, **{"": "env:KAFKA_TOKEN"})
    ).close()


def test_what_is_wrong_with_a_token_is_told_and_the_token_is_not(
    secure_broker: Broker, tmp_path: Path
) -> None:
    old, odd, file = token(-10), token(sub=7), tmp_path / "token"
    found = failure(secure_broker, **{"": old})
    assert "the token from sasl.oauth.token expired at 20" in found
    assert old not in found
    # The broker finds no user in it. It may close the connection before its answer is read.
    found = failure(secure_broker, **{"": odd})
    assert re.search("the broker (refuses the token|closes the connection): check", found)
    assert "sasl.oauth.token" in found
    assert odd not in found
    file.write_text("\n")
    assert f"the token from {file} is no token" in failure(secure_broker, **{".file": str(file)})


def test_a_token_file_is_read_again_while_a_topic_is_read(
    secure_broker: Broker, topic: str, tmp_path: Path
) -> None:
    make_topic(secure_broker.address, topic)
    file = tmp_path / "token"
    file.write_text(token(8))
    opened = KafkaSource(
        parse_subscription(f"kafka://{secure_broker.sasl}/{topic}"),
        FORM,
        settings(secure_broker, **{".file": str(file)}),
    )
    with closing(opened):
        send(secure_broker.address, topic, [record(1)])
        assert take(opened, 1) == [1]
        # The broker asks for another token before this one has expired: none is there yet.
        until(lambda: f"the token from {file} expired" in str(opened.away), "no new token needed")
        file.write_text(token() + "\n")
        send(secure_broker.address, topic, [record(2)])
        assert take(opened, 1) == [2]
        until(lambda: opened.away is None, "still away")


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the name of a module of the user's with classes that give tokens."""
    (tmp_path / "our_tokens.py").write_text(
        "class Tokens:\n"
        "    def token(self):\n"
        f"        return {token()!r}\n"
        "    def extensions(self):\n"
        "        return {'logicalCluster': 'lkc-1'}\n"
        "class Broken:\n"
        "    def token(self):\n"
        "        raise OSError('the vault is closed')\n"
        "class Nothing:\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "our_tokens"
    sys.modules.pop("our_tokens", None)


def test_a_class_of_the_users_own_gives_tokens(secure_broker: Broker, own_module: str) -> None:
    named = {".provider": f"{own_module}:Tokens"}
    connect(KafkaConsumer, [str(secure_broker.sasl)], settings(secure_broker, **named)).close()
    found = failure(secure_broker, **{".provider": f"{own_module}:Broken"})
    assert "the token from our_tokens:Broken cannot be read: OSError: the vault is closed" in found


@pytest.mark.parametrize(
    ("oauth", "message"),
    [
        ({}, r"needs one of sasl\.oauth\.token, sasl\.oauth\.token\.file"),
        ({"token": "a", "token.file": __file__}, "needs one of"),
        ({"token.file": "/no/such/file"}, "no file that can be read"),
        ({"token": "env:NO_SUCH"}, "NO_SUCH is not set"),
        ({"token.provider": "our_tokens"}, "write package.module:Class"),
        ({"token.provider": "our_tokens:Missing"}, "cannot be used: AttributeError"),
        ({"token.provider": "no_such_module:A"}, "cannot be used: ModuleNotFoundError"),
        ({"token.provider": "our_tokens:Nothing"}, r"has no method token\(\)"),
    ],
)
def test_settings_that_give_no_token_are_refused(
    own_module: str, oauth: dict[str, str], message: str
) -> None:
    table = {"sasl.mechanism": "OAUTHBEARER", "security.protocol": "SASL_SSL"}
    with pytest.raises(SourceError, match=message):
        client_settings({**table, **{f"sasl.oauth.{name}": value for name, value in oauth.items()}})


def test_tokens_need_their_mechanism_and_amazons_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SourceError, match="OAUTHBEARER"):
        client_settings({"sasl.oauth.token": "abc"})
    iam = {"sasl.mechanism": "AWS_MSK_IAM", "security.protocol": "SASL_SSL"}
    with pytest.raises(SourceError, match="SASL_SSL"):
        client_settings({**iam, "security.protocol": "SASL_PLAINTEXT"})
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(SourceError, match="needs the package botocore: install it"):
        client_settings(iam)


def test_a_token_is_a_secret() -> None:
    shown = public_settings({"sasl": {"oauth": {"token": "s3cret"}}})
    assert shown == {"sasl.oauth.token": "***"}
    shown = public_settings({"sasl.oauth.token.file": "/run/token"})
    assert shown == {"sasl.oauth.token.file": "/run/token"}
