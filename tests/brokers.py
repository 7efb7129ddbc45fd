"""Kafka brokers for the tests, each a process of its own that can be stopped, killed and paused."""

from __future__ import annotations

import base64
import os
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from tests.certificates import Certificates, make_certificates

USER, PASSWORD = "clicks", "correct horse"
HELD_PORTS: list[socket.socket] = []
"""What keeps the ports of this process from other runs of the tests."""

OAUTH = (
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
    'unsecuredLoginStringClaim_sub="broker";'
)

PATIENCE = 120.0
"""Seconds that a broker may take to come up."""

VARIABLE = "NEXTCLICK_TEST_KAFKA"
"""Which broker the tests take: ``apache``, ``noida``, or the ``host:port`` of a running one.

Where it is not set: Apache Kafka where its jars are found, else the small broker noida-db.
"""


class BrokerError(Exception):
    """A broker that was asked for cannot be had; the message names the remedy."""


class Broker(ABC):
    """A broker on a free port of this machine; it keeps port and data from one start to the next.

    Attributes
    ----------
    address
        Its plain listener, as ``host:port``.
    tls, sasl
        Its listeners with TLS, without and with SASL (SCRAM-SHA-512); None where it has none.
    certificates
        Those of the TLS listeners.

    """

    kind = "a broker"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.tls: str | None = None
        self.sasl: str | None = None
        self.certificates: Certificates | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the broker, its folder made ready."""

    def start(self) -> None:
        """Start the broker and wait until it serves."""
        assert self._process is None, "the broker runs already"
        command = self.command()
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        try:
            while not serves(self.address):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise BrokerError(f"{self.name} did not come up{self._last_lines()}")
                time.sleep(0.1)
        except BaseException:
            self.kill()
            raise

    @property
    def name(self) -> str:
        """What it is and where, for messages."""
        return f"{self.kind} at {self.address}"

    @property
    def runs(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def fault(self, seconds: float = 20.0) -> str | None:
        """Return in a sentence why the broker is of no more use; None while it serves.

        Parameters
        ----------
        seconds
            How long it may take to answer.

        """
        deadline = time.monotonic() + seconds
        while self._process is None or self._process.poll() is None:
            if serves(self.address):
                return None
            if time.monotonic() > deadline:
                return f"{self.name} does not answer any more{self._last_lines()}"
        return (
            f"{self.name} has died, with exit code {self._process.returncode}{self._last_lines()}"
        )

    def _last_lines(self) -> str:
        log = self.folder / "broker.log"
        lines = log.read_text(errors="replace").splitlines()[-20:] if log.exists() else []
        return "; its last lines:\n" + "\n".join(lines) if lines else ""

    def stop(self) -> None:
        """Stop the broker in good order; do nothing where it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the broker with SIGKILL."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the broker: its connections stay open and nobody answers."""
        assert self._process is not None
        self._frozen = True
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a frozen broker and wait until it serves; do nothing where it is not frozen."""
        if self._process is None or not self._frozen:
            return
        self._frozen = False
        self._process.send_signal(signal.SIGCONT)
        # Frozen for longer than a session may be, it loses its place, and that not at once.
        time.sleep(0.5)
        deadline = time.monotonic() + PATIENCE
        while not self._frozen and self.runs and not serves(self.address):
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        self._frozen = False
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Elsewhere(Broker):
    """A broker that somebody else runs."""

    kind = f"the broker of {VARIABLE}"

    def __init__(self, address: str, folder: Path) -> None:
        super().__init__(folder)
        self.address = address

    def command(self) -> list[str]:
        """Return none: there is nothing to be started."""
        return []

    def start(self) -> None:
        """Make sure that it serves: there is nothing to be started."""
        if not serves(self.address):
            raise BrokerError(f"{self.name} does not answer: start it, or unset {VARIABLE}")

    def stop(self) -> None:
        """Do nothing."""


class ApacheBroker(Broker):
    """Apache Kafka in KRaft mode, with listeners for TLS and SASL where `secure`."""

    kind = "Apache Kafka"

    def __init__(self, home: Path, folder: Path, *, secure: bool = False, **options: str) -> None:
        super().__init__(folder)
        self._home = home
        self._controller = free_port()
        self._options = options
        if secure:
            self.certificates = make_certificates(folder / "tls")
            self.tls = f"localhost:{free_port()}"
            self.sasl = f"localhost:{free_port()}"

    def command(self) -> list[str]:
        """Write the configuration and format the data folder, where that was not done."""
        java = [
            *("java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", f"{self._home}/libs/*"),
            f"-Dlog4j2.configurationFile={self._home}/log4j2.yaml",
        ]
        properties = self.folder / "server.properties"
        if not properties.exists():
            lines = [f"{key}={value}\n" for key, value in self._properties().items()]
            properties.write_text("".join(lines))
            id_ = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "a")
            user = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
            made = subprocess.run(
                [
                    *(*java, "kafka.tools.StorageTool", "format", "-c", str(properties)),
                    *("-t", id_, "--add-scram", user),
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            if made.returncode:
                properties.unlink()
                raise BrokerError(
                    f"Apache Kafka in {self._home} cannot format its folder:\n"
                    f"{made.stdout}{made.stderr}"
                )
        return [*java, "kafka.Kafka", str(properties)]

    def _properties(self) -> dict[str, str]:
        controller = f"127.0.0.1:{self._controller}"
        listeners = {"PLAINTEXT": self.address, "CONTROLLER": controller}
        kinds = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # Groups without a delay.
            "group.initial.rebalance.delay.ms": "0",
            # A transaction open for too long is aborted at once.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
            # Deleted records are gone soon enough for a test.
            "log.retention.check.interval.ms": "500",
        }
        if self.tls and self.sasl and self.certificates:
            listeners |= {"SSL": self.tls, "SASL_SSL": self.sasl}
            kinds |= {"SSL": "SSL", "SASL_SSL": "SASL_SSL"}
            module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            properties |= {
                "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": module,
                # Tokens that are signed by nobody; a new one is asked for after seconds.
                "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": OAUTH,
                "listener.name.sasl_ssl.oauthbearer.connections.max.reauth.ms": "5000",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self.certificates.broker),
            }
        named = {name: f"{name}://{address}" for name, address in listeners.items()}
        properties["listeners"] = ",".join(named.values())
        properties["advertised.listeners"] = ",".join(
            spec for name, spec in named.items() if name != "CONTROLLER"
        )
        properties["listener.security.protocol.map"] = ",".join(
            f"{name}:{kind}" for name, kind in kinds.items()
        )
        return properties | {key.replace("_", "."): value for key, value in self._options.items()}


class NoidaBroker(Broker):
    """A small broker from PyPI: no TLS, no SASL, and killed it may lose what it acknowledged."""

    kind = "noida-db"

    def __init__(self, binary: Path, folder: Path) -> None:
        super().__init__(folder)
        self._binary = binary

    def command(self) -> list[str]:
        """Return the command of its own binary."""
        return [
            *(str(self._binary), "start", "--only", "kafka"),
            *("--kafka-port", str(self.port), "--data-dir", str(self.folder / "data")),
        ]


def free_port() -> int:
    """Return a port that nothing listens on, and that no other run of the tests is given.

    Not one of those that the system gives to connections: while a broker is down, a client that
    tries its port could be given that very port to call from, and be connected to itself.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        # Brokers listen with TCP. The port of this number for UDP is held as long as the process
        # lives, so that another process, which tries the same, takes a different number.
        held = socket.socket(type=socket.SOCK_DGRAM)
        try:
            held.bind(("127.0.0.1", port))
            with socket.socket() as trial:
                trial.bind(("127.0.0.1", port))
        except OSError:
            held.close()
            continue
        HELD_PORTS.append(held)
        return port


def serves(address: str) -> bool:
    """Whether a broker answers there, and has taken its place in the cluster."""
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        # A client is made once a broker is named to it, and that is one that has its place.
        KafkaConsumer(bootstrap_servers=address, bootstrap_timeout_ms=5000).close()
    except (OSError, KafkaError):
        return False
    return True


def admin_client(address: str, **settings: Any) -> KafkaAdminClient:
    """Return an administrator's client of a broker."""
    return KafkaAdminClient(bootstrap_servers=address, **settings)


def make_topic(address: str, topic: str, partitions: int = 1, **settings: Any) -> None:
    """Make a topic that keeps its records however old their times; options are the topic's."""
    admin = admin_client(address)
    configs = {"retention.ms": "-1"} | {
        key.replace("_", "."): str(value) for key, value in settings.items()
    }
    try:
        admin.create_topics(
            {
                topic: {
                    "num_partitions": partitions,
                    "replication_factor": 1,
                    "configs": configs,
                }
            }
        )
    finally:
        admin.close()


def send(address: str, topic: str, records: list[dict[str, Any]], **settings: Any) -> None:
    """Send records, each the arguments of `KafkaProducer.send`, and wait for their delivery."""
    producer = KafkaProducer(bootstrap_servers=address, **settings)
    try:
        sent = [producer.send(topic, **record) for record in records]
        producer.flush()
        for one in sent:
            one.get(30)
    finally:
        producer.close()
