from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from tests.brokers import ApacheBroker, Broker, BrokerError, NoidaBroker
from tests.suite_broker import SuiteBroker, any_broker, kafka_home, wanted_broker

# No test asserts a time, hypothesis' own included: a busy machine is not a fault.
settings.register_profile("nextclick", deadline=None)
settings.load_profile("nextclick")

# A shell that starts this in the background lets it, and all that it starts, ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The models of the tests are small: threads would only wait for each other.
torch.set_num_threads(1)

NUMBERS = itertools.count(1)

TESTS = Path(__file__).parent

LEAVING = 60.0
"""Seconds that a client may take to leave brokers that do not answer."""


def pytest_configure() -> None:
    """Stop at once where the environment asks for a broker that cannot be had."""
    try:
        wanted_broker()
        kafka_home()
    except BrokerError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(tryfirst=True)  # Before xdist reads the groups.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a broker, and name the groups that each run in one worker.

    The broker tests mostly wait: two workers run them, each with brokers of its own, while others
    compute. The tests that use what is made once for their file form a group for each file.
    """
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if {"suite_broker", "spare_broker", "make_broker"} & names:
            item.add_marker(pytest.mark.broker)
            half = "stream" if item.path.is_relative_to(TESTS / "stream") else "connectors"
            item.add_marker(pytest.mark.xdist_group(f"brokers, {half}"))
        elif any(scope_of(name, item) == "module" for name in names):
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(TESTS).as_posix()))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop where the workers would not keep to the groups: each would start brokers."""
    names = [item.nodeid for item in session.items if item.get_closest_marker("xdist_group")]
    if getattr(session.config.option, "loadgroup", False) and not all(
        "@" in each for each in names
    ):
        raise pytest.UsageError(
            "pytest-xdist does not see the groups of tests: install the pytest of constraints.txt"
        )


def scope_of(fixture: str, item: pytest.Item) -> str | None:
    """Return how long what a fixture makes is kept."""
    found = item.session._fixturemanager.getfixturedefs(fixture, item)
    return found[-1].scope if found else None


@pytest.fixture(scope="session")
def suite_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteBroker]:
    """Yield what keeps the one broker of the suite."""
    suite = SuiteBroker(lambda: any_broker(tmp_path_factory.mktemp("broker")))
    yield suite
    suite.stop()


@pytest.fixture
def broker(suite_broker: SuiteBroker) -> Iterator[Broker]:
    """Yield the one broker of the suite; no test kills it, and one that it dies in has failed."""
    try:
        broker = suite_broker.get()
    except BrokerError as error:
        if wanted_broker() or kafka_home():
            raise
        pytest.skip(str(error))
    yield broker
    if fault := broker.fault():
        suite_broker.drop()
        pytest.fail(f"after this test {fault}")


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """Return a name for a topic that no other test uses."""
    return f"{request.node.name.partition('[')[0][:100]}-{next(NUMBERS)}"


@pytest.fixture
def full_broker(broker: Broker) -> Broker:
    """Return the one broker of the suite, where it does all that Apache Kafka does."""
    if isinstance(broker, NoidaBroker):
        pytest.skip("needs Apache Kafka: set KAFKA_HOME")
    return broker


@pytest.fixture
def own_kafka(broker: Broker) -> Broker:
    """Return the suite's broker, where it is an Apache Kafka that the suite has started."""
    if not isinstance(broker, ApacheBroker):
        pytest.skip(f"needs Apache Kafka as jars, not {broker.name}: set KAFKA_HOME")
    return broker


@pytest.fixture
def secure_broker(broker: Broker) -> Broker:
    """Return the one broker of the suite, where it has listeners with TLS and SASL."""
    if broker.tls is None:
        pytest.skip("needs Apache Kafka with TLS: set KAFKA_HOME, and not NEXTCLICK_TEST_KAFKA")
    return broker


@pytest.fixture(scope="session")
def jars() -> Path:
    """Return the folder of Apache Kafka, for brokers besides that of the suite."""
    home = None if wanted_broker() == "noida" else kafka_home()
    if home is None:
        pytest.skip("needs Apache Kafka as jars: set KAFKA_HOME")
    return home


@pytest.fixture
def make_broker(
    jars: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Broker]]:
    """Yield what starts an Apache Kafka of the test's own; options are the broker's."""
    started: list[Broker] = []

    def make(**options: Any) -> Broker:
        broker = ApacheBroker(jars, tmp_path_factory.mktemp("own-broker"), **options)
        started.append(broker)
        broker.start()
        return broker

    yield make
    for broker in started:
        broker.kill()


@pytest.fixture(scope="session")
def spare_broker(jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteBroker]:
    """Yield what keeps an Apache Kafka for the tests that stop, kill or pause it."""
    # Back in 3 seconds instead of 11 after a kill.
    spare = SuiteBroker(
        lambda: ApacheBroker(
            jars,
            tmp_path_factory.mktemp("spare-broker"),
            broker_session_timeout_ms="2000",
            broker_heartbeat_interval_ms="500",
        )
    )
    yield spare
    spare.stop()


@pytest.fixture
def apache_broker(spare_broker: SuiteBroker) -> Iterator[Broker]:
    """Yield an Apache Kafka that the test may stop, kill or pause; the next test gets it too."""
    broker = spare_broker.get()
    yield broker
    broker.resume()
    if not broker.runs:
        spare_broker.drop()


@pytest.fixture(autouse=True)
def leave_no_kafka_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves threads of Kafka clients: they go on trying, and log, for ever."""
    before = set(threading.enumerate())
    yield
    if "broker" not in request.keywords:
        return
    deadline = time.monotonic() + LEAVING
    while left := [
        thread.name for thread in set(threading.enumerate()) - before if "nextclick" in thread.name
    ]:
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: {', '.join(left)}")
        time.sleep(0.05)
