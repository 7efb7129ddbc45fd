"""Which broker the tests take, and the one that they share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.brokers import VARIABLE, ApacheBroker, Broker, BrokerError, Elsewhere, NoidaBroker

ROOT = Path(__file__).parent.parent


class SuiteBroker:
    """Starts a broker when it is first asked for, and another where that one died or hangs.

    Parameters
    ----------
    make
        Makes a broker, not started.

    """

    def __init__(self, make: Callable[[], Broker]) -> None:
        self._make = make
        self._broker: Broker | None = None

    def get(self) -> Broker:
        """Return a broker that serves."""
        if self._broker is not None and self._broker.fault() is None:
            return self._broker
        self.drop()
        broker = self._make()
        broker.start()
        self._broker = broker
        return broker

    def drop(self) -> None:
        """Kill the broker; the next test gets another."""
        if self._broker is not None:
            self._broker.kill()
            self._broker = None

    def stop(self) -> None:
        """Stop the broker in good order."""
        if self._broker is not None:
            self._broker.stop()
            self._broker = None


def noida_binary() -> Path:
    """Find the program of the small broker.

    Raises
    ------
    BrokerError
        It is not installed, or there is none for this machine.

    """
    remedy = f"install it with make setup, or set KAFKA_HOME, or {VARIABLE} to a broker's host:port"
    try:
        import noida_db
    except ImportError as error:
        raise BrokerError(f"the small broker noida-db is not there ({error}): {remedy}") from error
    binary = Path(noida_db.__file__).parent / "noida-db"
    if not os.access(binary, os.X_OK):
        raise BrokerError(f"noida-db has no program for this machine at {binary}: {remedy}")
    return binary


def kafka_home() -> Path | None:
    """Find Apache Kafka as jars, and a Java to run it with.

    Raises
    ------
    BrokerError
        ``KAFKA_HOME`` names a folder without them, or there is no Java.

    """
    given = os.environ.get("KAFKA_HOME")
    home = Path(given) if given else ROOT.parent / "shared" / "kafka"
    if not list(home.glob("libs/kafka-clients-*.jar")):
        if given or wanted_broker() == "apache":
            raise BrokerError(
                f"KAFKA_HOME is {given or 'not set'}, and there are no jars of Apache Kafka in "
                f"{home / 'libs'}: set KAFKA_HOME to the folder that holds its libs"
            )
        return None
    if not shutil.which("java"):
        if given or wanted_broker() == "apache":
            raise BrokerError(f"Apache Kafka in {home} needs Java 17: put java on the PATH")
        return None
    return home


def wanted_broker() -> str:
    """Read which broker the environment asks for; empty where it leaves the choice.

    Raises
    ------
    BrokerError
        It asks for one that there is not.

    """
    wanted = os.environ.get(VARIABLE, "").strip()
    port = wanted.rpartition(":")[2]
    if wanted in ("", "apache", "noida") or (":" in wanted and port.isdecimal()):
        return wanted
    raise BrokerError(f"{VARIABLE} is {wanted!r}: set it to apache, noida or a broker's host:port")


def any_broker(folder: Path) -> Broker:
    """Return the broker for the suite, not started.

    Raises
    ------
    BrokerError
        The one asked for cannot be had.

    """
    wanted = wanted_broker()
    if ":" in wanted:
        return Elsewhere(wanted, folder)
    home = None if wanted == "noida" else kafka_home()
    if home is None:
        return NoidaBroker(noida_binary(), folder)
    return ApacheBroker(home, folder, secure=True)


@contextmanager
def running_broker(address: str | None = None) -> Iterator[Broker]:
    """Yield a broker that runs while the context lasts: that at an address, or one of its own.

    Raises
    ------
    BrokerError
        It cannot be had, or does not answer.

    """
    with tempfile.TemporaryDirectory() as folder:
        broker = any_broker(Path(folder)) if address is None else Elsewhere(address, Path(folder))
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


if __name__ == "__main__":  # Start a broker by hand: python -m tests.suite_broker FOLDER
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = any_broker(Path(sys.argv[1]))
    started.start()
    print(started.address, started.tls, started.sasl, flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        started.stop()
