"""Two machines, each a network namespace with its own address, and a bad link between them."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stream.runs import figures
from tests.stream.workers.groups import SMALL, Group
from tests.stream.workers.test_shared_runs import has_learned, saved

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workers"),
    pytest.mark.timeout(1800),
]

CLICKS = 4_000
CUT_SECONDS = 30.0


def command(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)


@functools.cache
def missing() -> str:
    """Return what keeps this machine from having namespaces with a link between them."""
    if shutil.which("ip") is None:
        return "needs ip of iproute2"
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    try:
        with ExitStack() as stack:
            Machines(stack)
    except subprocess.CalledProcessError as error:
        return f"needs network namespaces: {error.stderr.decode(errors='replace').strip()}"
    except OSError as error:
        return f"needs /dev/net/tun: {error}"
    return ""


class Machines:
    """Two network namespaces and the link between them, until a stack of contexts ends."""

    def __init__(self, stack: ExitStack) -> None:
        tag = f"nc{os.getpid() % 100_000}"
        self.names = [f"{tag}a", f"{tag}b"]
        self.addresses = ["10.77.7.1", "10.77.7.2"]
        relay = [sys.executable, "-m", "tests.stream.workers.link", *self.names]
        self._link = stack.enter_context(
            subprocess.Popen(relay, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(self._link.kill)
        assert self._link.stdout is not None
        if self._link.stdout.readline() != "ready\n":
            raise OSError("no device can be made")
        for name, address in zip(self.names, self.addresses, strict=True):
            command("ip", "netns", "add", name)
            stack.callback(command, "ip", "netns", "delete", name)
            command("ip", "link", "set", name, "netns", name)
            within = ("ip", "-n", name)
            command(*within, "address", "add", f"{address}/24", "dev", name)
            command(*within, "link", "set", name, "up")
            command(*within, "link", "set", "lo", "up")

    def tell_link(self, what: str) -> None:
        """Cut the link, or mend it."""
        assert self._link.stdin is not None
        self._link.stdin.write(f"{what}\n")
        self._link.stdin.flush()

    def start(self, at: int, folder: Path, timeout: str, restarts: int) -> Group:
        """Start the workers of one machine, of which there is one each."""
        endpoint = f"{self.addresses[0]}:29400"
        return Group(
            1,
            [
                *("run", f"sim:clicks={CLICKS},items=200,seed=5", *SMALL),
                *("--snapshots", folder / "snapshots", "--snapshot-every", "500clicks"),
                *("--json", folder / "figures.json", "--worker-timeout", timeout),
            ],
            output=folder / f"output-{at}",
            restarts=restarts,
            launcher=[
                *("--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-id", "clicks"),
                *("--rdzv-endpoint", endpoint, "--local-addr", self.addresses[at]),
                # The names of this machine know nothing of the namespaces' addresses.
                *("--rdzv-conf", f"is_host={int(at == 0)}"),
            ],
            before=["ip", "netns", "exec", self.names[at]],
            environ={"GLOO_SOCKET_IFNAME": self.names[at]},
        )


@pytest.fixture
def machines() -> Iterator[Machines]:
    """Yield two machines."""
    if why := missing():
        pytest.skip(why)
    with ExitStack() as stack:
        yield Machines(stack)


@pytest.mark.parametrize(
    ("timeout", "restarts", "lives"),
    [("120s", 0, 1), ("8s", 3, 2)],
    ids=["cut off for less than the limit", "cut off for longer"],
)
def test_a_run_over_two_machines_that_are_cut_off_for_half_a_minute(
    tmp_path: Path, machines: Machines, timeout: str, restarts: int, lives: int
) -> None:
    with ExitStack() as stack:
        groups = [
            stack.enter_context(machines.start(at, tmp_path, timeout, restarts)) for at in (0, 1)
        ]
        groups[0].until(has_learned(tmp_path))
        machines.tell_link("cut")
        began = time.monotonic()
        groups[0].until(lambda: time.monotonic() - began > CUT_SECONDS, over=True)
        before = saved(tmp_path)
        machines.tell_link("mend")
        groups[0].until(has_learned(tmp_path, before), over=True)
        print(f"learning again {time.monotonic() - began - CUT_SECONDS:.1f} s after the link")
        codes = [group.wait() for group in groups]
        said = "\n".join(group.text() for group in groups)
    print(said)
    assert codes == [0, 0], said
    assert said.count("2 workers, gloo") == lives
    assert ("has not answered" in said) == (lives > 1)
    found = figures(json.loads((tmp_path / "figures.json").read_bytes()))
    assert found["clicks"] == CLICKS
