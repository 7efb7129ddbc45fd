from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import VARIABLE, Broker, BrokerError, Elsewhere, NoidaBroker, free_port, serves
from tests.suite_broker import SuiteBroker, any_broker, kafka_home, noida_binary


@pytest.fixture
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteBroker]:
    try:
        binary = noida_binary()
    except BrokerError as error:
        pytest.skip(str(error))
    suite = SuiteBroker(lambda: NoidaBroker(binary, tmp_path_factory.mktemp("small")))
    yield suite
    suite.stop()


def test_one_broker_serves_every_test(suite: SuiteBroker) -> None:
    first = suite.get()
    assert first.fault() is None
    assert suite.get() is first


def test_a_broker_that_died_is_named_with_its_last_lines_and_replaced(suite: SuiteBroker) -> None:
    first = suite.get()
    assert first._process is not None
    first._process.kill()
    first._process.wait()
    fault = first.fault()
    assert fault is not None
    assert fault.startswith(f"noida-db at {first.address} has died, with exit code -9")
    assert "its last lines:\n" in fault
    second = suite.get()
    assert second is not first
    assert serves(second.address)


def test_a_broker_that_hangs_is_named_and_replaced(suite: SuiteBroker) -> None:
    first = suite.get()
    first.pause()
    fault = first.fault(seconds=1)
    assert fault is not None
    assert "does not answer any more" in fault
    first.fault = lambda seconds=1.0: fault  # type: ignore[method-assign]
    assert serves(suite.get().address)
    assert first._process is None


def test_a_folder_without_jars_is_no_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(BrokerError, match=f"KAFKA_HOME is {tmp_path}, and there are no jars"):
        kafka_home()


def test_jars_without_java_are_no_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka-clients-4.0.0.jar").touch()
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="put java on the PATH"):
        kafka_home()


@pytest.mark.parametrize("wanted", ["redpanda", "localhost", "localhost:", "host:port"])
def test_a_broker_that_there_is_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv(VARIABLE, wanted)
    with pytest.raises(BrokerError, match="set it to apache, noida or a broker's host:port"):
        any_broker(tmp_path)


def test_the_small_broker_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("noida_db")
    monkeypatch.setenv(VARIABLE, "noida")
    assert isinstance(any_broker(tmp_path), NoidaBroker)


def test_a_broker_elsewhere_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"127.0.0.1:{free_port()}")
    broker = any_broker(tmp_path)
    assert isinstance(broker, Elsewhere)
    with pytest.raises(BrokerError, match=f"the broker of {VARIABLE} at .* does not answer"):
        broker.start()


def test_a_small_broker_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "noida_db", None)
    with pytest.raises(BrokerError, match="set KAFKA_HOME, or NEXTCLICK_TEST_KAFKA"):
        noida_binary()


def test_tests_that_use_a_broker_are_marked(request: pytest.FixtureRequest, broker: Broker) -> None:
    assert request.node.get_closest_marker("broker") is not None


def test_a_wrong_wish_ends_the_run_with_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/docs/test_pages.py"]
    environment = {**os.environ, "KAFKA_HOME": str(tmp_path / "nowhere")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "set KAFKA_HOME to the folder that holds its libs" in done.stderr
    assert "Traceback" not in done.stderr
