from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from nextclick.connectors import KafkaAddress, KafkaSource
from nextclick.models import GRU4RecConfig
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.engine import Engine
from nextclick.stream.monitoring import server as monitor
from nextclick.stream.monitoring.server import health, serve
from nextclick.stream.runner import run
from tests.brokers import Broker, make_topic, send
from tests.stream.engines import Given, clicks, engine
from tests.stream.monitoring.test_prometheus import Values, read


def ask(address: str, path: str, method: str = "GET") -> tuple[int, str]:
    """Ask for another path of a server; return status and text."""
    url = address.removesuffix("/metrics") + path
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as page:
            assert isinstance(page, HTTPResponse)
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def served() -> Iterator[tuple[Engine, str]]:
    made = engine(Given(clicks(100)))
    with serve(made, 0) as address:
        yield made, address


def test_the_page_is_there_while_the_run_goes_on() -> None:
    told: list[str] = []
    pages: list[Values] = []

    def look(engine: Engine) -> None:
        address = told[0].rpartition(" ")[2]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=60) as page:
            pages.append(read(page.read().decode()))

    config = RunConfig(
        model=GRU4RecConfig(hidden=8, n_negatives=8), metrics_port=0, batch=200, device="cpu"
    )
    run("sim:clicks=400", config, told.append, look)
    assert [page["nextclick_clicks_total", ()] for page in pages[:2]] == [200, 400]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(told[0].rpartition(" ")[2], timeout=60)


@pytest.mark.parametrize("address", ["127.0.0.1", "no.such.host.invalid"])
def test_a_place_that_cannot_be_had_is_named(address: str) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        message = rf"--metrics-port {port}: {address}.*--metrics-address"
        with (
            pytest.raises(ConfigError, match=message),
            serve(engine(Given(clicks(1))), port, address),
        ):
            pass


def test_the_loop_is_healthy_before_and_while_it_runs(served: tuple[Engine, str]) -> None:
    made, address = served
    assert ask(address, "/healthz") == (200, "ok: the loop is starting, 0 clicks\n")
    answers = []
    made.run(progress=lambda engine: answers.append(ask(address, "/healthz")))
    assert answers[0] == (200, "ok: the loop is running, 16 clicks\n")
    assert {status for status, _ in answers} == {200}


def test_a_loop_that_has_ended_is_not_healthy(served: tuple[Engine, str]) -> None:
    made, address = served
    made.run()
    assert ask(address, "/healthz") == (503, "the loop has stopped\n")


def test_a_loop_that_failed_is_not_healthy(served: tuple[Engine, str]) -> None:
    made, address = served

    def fail(engine: Engine) -> None:
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError):
        made.run(progress=fail)
    assert ask(address, "/healthz")[0] == 503


def test_a_loop_that_hangs_is_not_healthy_and_its_phase_is_named(
    served: tuple[Engine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, address = served
    monkeypatch.setattr(monitor, "STALLED_SECONDS", -1.0)
    with made.phases.running(), made.phases.measure("sinks"):
        status, text = ask(address, "/healthz")
    assert status == 503
    assert re.fullmatch(r"the loop has not moved for \d+ seconds, in its phase sinks\n", text)


def test_only_a_long_stall_is_one() -> None:
    made = engine(Given(clicks(1)))
    with made.phases.running():
        since = made.phases.since
        assert health(made, since + monitor.STALLED_SECONDS - 1)[0]
        assert not health(made, since + monitor.STALLED_SECONDS + 1)[0]


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/healthz/", "/favicon.ico", "/%1b[2J"])
def test_there_is_no_other_page(served: tuple[Engine, str], path: str) -> None:
    assert ask(served[1], path) == (404, "the paths are /metrics and /healthz\n")


def test_health_is_asked_with_get_or_head(served: tuple[Engine, str]) -> None:
    assert ask(served[1], "/healthz", "HEAD") == (200, "")
    assert ask(served[1], "/healthz", "POST")[0] == 405


def test_a_topic_has_metrics_before_it_is_first_polled(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 2)
    send(broker.address, topic, [{"value": b"{}"}])
    source = KafkaSource(KafkaAddress([broker.address], topic))
    try:
        assert source.lag() == []
        with serve(engine(source), 0) as address:  # type: ignore[arg-type]
            status, text = ask(address, "/metrics")
    finally:
        source.close()
    assert status == 200
    assert read(text)["nextclick_clicks_total", ()] == 0
