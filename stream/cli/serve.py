"""The command ``nextclick serve``."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from nextclick.models.compute.device import cores

from ..config.serving import check_installed, parse_place
from ..runner import threads
from ..signals import on_stop
from . import flags
from .terminal import notify


def serve_command(
    snapshots: Annotated[
        Path, typer.Option(help="The folder that a run writes its snapshots to, or a copy of it.")
    ],
    port: Annotated[
        str, typer.Option(help="Where to answer: a port on this machine, or host:port.")
    ],
    api_key: flags.ApiKey = None,
    allow_origins: flags.AllowOrigins = None,
) -> None:
    """Recommend over HTTP from the newest snapshot of a run, and take each new one."""
    host, number = parse_place(port, "--port")
    check_installed("nextclick serve")
    # Imported here: what it needs is installed only with an extra.
    from ..serving.replica import Replica
    from ..serving.run import compile_loops, make_access, warn_if_open
    from ..serving.server import serve

    access = make_access(api_key, allow_origins)
    ended = threading.Event()

    def stop(number: signal.Signals) -> None:
        ended.set()

    with threads(max(1, cores() // 2)):
        replica = Replica(snapshots, notify)
        compile_loops(replica.loaded.config)
        with (
            on_stop(stop),
            serve(replica, host, number, access, option="--port") as address,
            replica.following(),
        ):
            notify(f"recommendations from {replica.loaded.name} at {address}/v1/recommend")
            warn_if_open(host, access, "--port", notify)
            ended.wait()
