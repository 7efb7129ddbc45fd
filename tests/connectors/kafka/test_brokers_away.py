"""What a source tells of its brokers, to those who watch it."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import pytest
from kafka.net.inet import KafkaNetSocket

from nextclick.connectors import KafkaSource
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sources import record, source, until


def read_on(opened: KafkaSource) -> KafkaSource:
    assert opened.poll(1, 0.1) is not None
    return opened


def test_a_broker_that_dies_and_comes_back_is_seen(apache_broker: Broker, topic: str) -> None:
    address = apache_broker.address
    make_topic(address, topic)
    with closing(source(address, topic, until_end=False)) as opened:
        polled = opened.poll(1, 0.1)
        assert opened.brokers_connected == 1
        assert opened.stalls() == {"brokers": 0.0}
        apache_broker.kill()
        until(lambda: read_on(opened).stalls()["brokers"] > 3, "no stall is seen")
        assert opened.brokers_connected == 0
        apache_broker.start()
        until(lambda: read_on(opened).away is None, "the broker is not seen again")
        assert opened.stalls() == {"brokers": 0.0}
        assert opened.brokers_connected == 1
    assert polled is not None


def test_a_broker_that_hangs_with_its_connections_open_counts_as_away(
    apache_broker: Broker, topic: str
) -> None:
    make_topic(apache_broker.address, topic)
    with closing(source(apache_broker.address, topic, until_end=False)) as opened:
        opened.poll(1, 0.1)
        apache_broker.pause()
        until(lambda: read_on(opened).away is not None, "nobody says that the broker hangs")
        assert opened.brokers_connected == 0
        assert opened.stalls()["brokers"] > 3
        apache_broker.resume()
        until(lambda: read_on(opened).away is None, "the broker is not seen again")
        assert opened.brokers_connected == 1


def test_while_no_broker_answers_no_socket_is_left_open(
    apache_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(apache_broker.address, topic)
    with closing(source(apache_broker.address, topic, until_end=False)) as opened:
        opened.poll(1, 0.1)
        # Kept here, so that the garbage collector closes none.
        made: list[socket.socket] = []
        make = KafkaNetSocket.socket

        def make_and_keep(self: KafkaNetSocket, *kind: int) -> socket.socket:
            made.append(make(self, *kind))
            return made[-1]

        apache_broker.kill()
        monkeypatch.setattr(KafkaNetSocket, "socket", make_and_keep)
        until(lambda: read_on(opened) is opened and len(made) > 5, "nobody tries to connect")
        # One may be under way.
        assert sum(one.fileno() != -1 for one in made) <= 1
    apache_broker.start()


def test_a_click_of_a_topic_says_when_it_came(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    began = time.monotonic()
    send(broker.address, topic, [record(1), record(2)])
    with closing(source(broker.address, topic)) as opened:
        opened.poll(1, 30.0)
        read = time.monotonic()
        waited = opened.poll(1, 30.0)
        assert waited is not None
        # It came with the first one, and was polled after it.
        assert began < (waited.arrived or 0.0) < read
