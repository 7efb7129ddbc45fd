"""The command ``nextclick serve``."""

from __future__ import annotations

import signal
import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated

from nextclick.models.compute.device import cores

from ..config.declaration import option
from ..config.options import Options
from ..config.serving import ApiKey, Origins, check_installed, parse_place
from ..notes import Info
from ..runner import threads
from ..signals import on_stop
from .flags import command
from .terminal import notify


class ServeConfig(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a read replica."""

    snapshots: Annotated[
        str, option("Folder with the snapshots of a run, or a copy of it.", value="FOLDER")
    ]
    port: Annotated[
        str,
        option(
            "Port to serve at on this machine, or host:port.",
            value="[HOST:]PORT",
            parse=parse_place,
        ),
    ]
    api_key: ApiKey = None
    allow_origins: Origins = None


@command(ServeConfig)
def serve_command(config: ServeConfig) -> None:
    """Serve recommendations over HTTP from the newest snapshot of a run."""
    host, number = parse_place(config.port, "--port")
    check_installed("nextclick serve")
    # Imported here: what it needs is installed only with an extra.
    from ..serving.page.live_page import LivePage
    from ..serving.replica import Replica
    from ..serving.run import compile_loops, make_access, warn_if_open
    from ..serving.server import serve

    access = make_access(config.api_key, config.allow_origins)
    ended = threading.Event()

    def stop(number: signal.Signals) -> None:
        ended.set()

    with threads(max(1, cores() // 2)):
        replica = Replica(Path(config.snapshots), notify)
        compile_loops(replica.loaded.config)
        page = LivePage(replica)
        with (
            on_stop(stop),
            serve(replica, host, number, access, page.endpoints, "--port") as address,
            closing(page),
            replica.following(),
        ):
            notify(f"recommendations from {replica.loaded.name} at {address}/v1/recommend")
            notify(Info(f"live page at {address}/"))
            warn_if_open(host, access, "--port", notify)
            ended.wait()
