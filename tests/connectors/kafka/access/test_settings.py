from __future__ import annotations

import tomllib
from typing import Any

import pytest
from kafka import KafkaConsumer

from nextclick.connectors.kafka.access import settings as kafka_settings
from nextclick.connectors.kafka.access.settings import (
    client_settings,
    parse_address,
    public_settings,
)
from nextclick.connectors.kafka.client import connect
from nextclick.connectors.source import SourceError
from tests.brokers import PASSWORD, USER, Broker, free_port


def test_an_address_names_brokers_and_a_topic() -> None:
    address = parse_address("kafka://one,two:9093/my.topic-1_x")
    assert address == (["one:9092", "two:9093"], "my.topic-1_x")


@pytest.mark.parametrize(
    "spec",
    [
        *("kafka://", "kafka://host", "kafka:///topic", "kafka://host/", "kafka://h:x/t"),
        *("http://h/t", "kafka://h/a b", "kafka://h/..", "kafka://h,/t", "kafka://h/t/u"),
    ],
)
def test_what_is_no_address_is_an_error(spec: str) -> None:
    with pytest.raises(SourceError, match="kafka://host:port/topic"):
        parse_address(spec)


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(SourceError, match=r"sasl\.password") as error:
        parse_address("kafka://anna:s3cret@host:9092/topic")
    assert "s3cret" not in str(error.value)


def test_settings_have_kafkas_names_or_kafka_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "s3cret")
    table = tomllib.loads(
        'security.protocol = "SASL_SSL"\n"sasl.mechanism" = "PLAIN"\nsasl.username = "anna"\n'
        'sasl_plain_password = "env:KAFKA_PASSWORD"\nfetch_min_bytes = 5\n'
    )
    assert client_settings(table) == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "anna",
        "sasl_plain_password": "s3cret",
        "fetch_min_bytes": 5,
    }
    assert public_settings(table)["sasl_plain_password"] == "env:KAFKA_PASSWORD"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"security.protocl": "SSL"}, "did you mean 'security.protocol'"),
        ({"security.protocol": "TLS"}, "not one of PLAINTEXT"),
        ({"security.protocol": "SASL_SSL"}, "needs sasl.mechanism"),
        ({"sasl.mechanism": "MD5"}, "not one of PLAIN"),
        ({"sasl.password": "env:NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"sasl.password": 12345}, "must be a text"),
        ({"fetch.min.bytes": "many"}, "must be a whole number"),
        ({"fetch.min.bytes": True}, "must be a whole number"),
        ({"ssl.check.hostname": 1}, "must be true or false"),
        ({"ssl.cafile": "/not/there.pem"}, "no file that can be read"),
        ({"bootstrap.servers": "h:1"}, "in the address"),
        ({"group.id": "g"}, "--group"),
        ({"value.deserializer": "x"}, "cannot be set"),
        ({"client.id": "a", "client_id": "b"}, "twice"),
        ({"compression.type": "zst"}, r"compression.type: 'zst' is not one of none, gzip.*'zstd'"),
        ({"client.dns.lookup": "default"}, "not one of use_all_dns_ips"),
        ({"max.poll.records": 0}, "max.poll.records: 0 is not between 1 and 2,147,483,647"),
        ({"max.poll.records": 2**31}, "2147483648 is not between"),
        ({"linger.ms": -1}, "-1 is not between 0"),
        ({"retries": 0}, "0 is not between 1"),
        ({"max.in.flight.requests.per.connection": 6}, "not between 1 and 5"),
        ({"acks": "all"}, "always wait"),
        ({"proxy.url": "host:1080"}, "write http://host:port or socks5"),
    ],
)
def test_a_wrong_setting_is_an_error_with_the_remedy(table: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        client_settings(table)


def test_a_codec_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client_settings({"compression.type": "lz4"}) == {"compression_type": "lz4"}
    assert client_settings({"compression.type": "none"}) == {"compression_type": None}
    monkeypatch.setitem(kafka_settings.LIBRARIES, "lz4", (lambda: False, "lz4"))
    with pytest.raises(SourceError, match="needs the package lz4"):
        client_settings({"compression.type": "lz4"})


def test_settings_that_do_not_go_together_are_not_blamed_on_the_broker(broker: Broker) -> None:
    settings = client_settings({"heartbeat.interval.ms": 9000, "session.timeout.ms": 9000})
    with pytest.raises(SourceError, match=r"^\[kafka\]: these settings do not go together"):
        connect(KafkaConsumer, [broker.address], settings, group_id="g")


def test_secrets_are_not_shown() -> None:
    shown = public_settings(
        {"sasl": {"password": "s3cret"}, "ssl.key.password": "s3cret", "client.id": "me"}
    )
    assert shown == {"sasl.password": "***", "ssl.key.password": "***", "client.id": "me"}


def failure(address: str, settings: dict[str, Any]) -> str:
    with pytest.raises(SourceError) as error:
        connect(KafkaConsumer, [address], {"bootstrap_timeout_ms": 1200, **settings})
    assert address in str(error.value)
    return str(error.value)


def test_why_a_broker_is_not_reached_is_said() -> None:
    assert "nothing listens there" in failure(f"127.0.0.1:{free_port()}", {})
    assert "the host is not known" in failure("no-such-host.invalid:9092", {})


def test_tls_and_sasl_work_and_say_what_is_wrong(secure_broker: Broker) -> None:
    tls, sasl, certificates = secure_broker.tls, secure_broker.sasl, secure_broker.certificates
    assert tls is not None
    assert sasl is not None
    assert certificates is not None
    right = client_settings(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": USER,
            "sasl.password": PASSWORD,
            "ssl.cafile": str(certificates.authority),
        }
    )
    connect(KafkaConsumer, [sasl], right).close()
    only_tls = {"security_protocol": "SSL", "ssl_cafile": str(certificates.authority)}
    connect(KafkaConsumer, [tls], only_tls).close()

    # A broker may close the connection before its answer is read: either message has the remedy.
    assert "check sasl.username and sasl.password in [kafka]" in failure(
        sasl, {**right, "sasl_plain_password": "s3cret"}
    )
    assert "not signed by an authority" in failure(
        sasl, {**right, "ssl_cafile": str(certificates.stranger)}
    )
    assert "certificate is for another host" in failure(
        tls.replace("localhost", "127.0.0.1"), only_tls
    )
    assert "TLS" in failure(tls, {})
    assert "does not speak TLS" in failure(secure_broker.address, only_tls)


def test_a_sinks_own_table_holds_all_its_settings() -> None:
    table = {
        "security.protocol": "SSL",
        "recommendations": {"client.id": "writer"},
        "dead_letters.client.id": "letters",
    }
    assert client_settings(table) == {"security_protocol": "SSL"}
    own = {"client_id": "writer", "table": "[kafka.recommendations]"}
    assert client_settings(table, "recommendations") == own
    own = {"client_id": "letters", "table": "[kafka.dead_letters]"}
    assert client_settings(table, "dead_letters") == own
    assert client_settings({"client.id": "all"}, "dead_letters") == {"client_id": "all"}


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"clientid": "a"}, r"\[kafka\.recommendations\] clientid: there is no such setting"),
        ({"client.id": 3}, r"\[kafka\.recommendations\] client\.id: it must be a text"),
        ({"security.protocol": "SASL_SSL"}, r"\[kafka\.recommendations\].*needs sasl\.mechanism"),
        ({"sasl.mechanism": "OAUTHBEARER"}, r"\[kafka\.recommendations\].*needs one of"),
        ({"dead_letters": {"client.id": "a"}}, r"\[kafka\.recommendations\] dead_letters"),
    ],
)
def test_what_is_wrong_in_a_sinks_table_is_told_with_its_name(
    own: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        client_settings({"recommendations": own}, "recommendations")


def test_the_secrets_of_sinks_are_not_shown() -> None:
    shown = public_settings({"recommendations": {"sasl": {"password": "a", "oauth.token": "b"}}})
    assert set(shown.values()) == {"***"}


def test_a_setting_given_again_under_its_name_overrides_the_one_before() -> None:
    assert client_settings({"client": {"id": "file"}, "client.id": "environment"}) == {
        "client_id": "environment"
    }
