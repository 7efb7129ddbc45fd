"""The command ``nextclick serve``."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any

import msgspec

from nextclick.connectors import KafkaLog, client_settings

from ..config.declaration import option
from ..config.options import ConfigError, Options
from ..config.registry import Registry, RegistryTable
from ..config.run import RunConfig
from ..config.serving import ApiKey, Items, Origins, check_installed, parse_place
from ..endpoints import is_topic, open_items_registry
from ..notes import Info
from ..signals import on_stop
from . import log
from .flags import FileOptions, command
from .progress import COMPILING
from .terminal import errors, notify


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
    items: Items = None
    kafka: Annotated[
        dict[str, Any],
        option(
            "Kafka connection settings, such as security.protocol; there is no flag.",
            flag=False,
        ),
    ] = msgspec.field(default_factory=dict)
    schema_registry: Registry = None
    registry: RegistryTable = msgspec.field(default_factory=dict)


@command(ServeConfig, FileOptions, shared=RunConfig)
def serve_command(config: ServeConfig) -> None:
    """Serve recommendations over HTTP from the newest snapshot of a run."""
    host, number = parse_place(config.port, "--port")
    check_installed("nextclick serve")
    with log.loading():
        from nextclick.models.compute.device import cores
        from nextclick.models.compute.jit import before_compiling

        from ..monitoring.gc_freeze import freeze_garbage
        from ..recommendations.item_follower import followed_items
        from ..runner import threads
        from ..serving.clicks import REPLICA, clicks_endpoint
        from ..serving.page.live_page import LivePage
        from ..serving.replica import Replica
        from ..serving.run import compile_loops, make_access, warn_if_open
        from ..serving.server import serve

    access = make_access(config.api_key, config.allow_origins)
    settings = client_settings(config.kafka)
    if (config.schema_registry or config.registry) and not is_topic(config.items):
        raise ConfigError("--schema-registry is for --items kafka://host:port/topic")
    if errors.is_terminal:
        before_compiling(lambda: notify(Info(COMPILING)))
    ended = threading.Event()

    def stop(number: signal.Signals) -> None:
        ended.set()

    with ExitStack() as stack:
        stack.enter_context(threads(max(1, cores() // 2)))
        stack.enter_context(KafkaLog())
        replica = Replica(Path(config.snapshots), notify)
        if config.items is not None:
            most = replica.loaded.config.max_items
            registry = open_items_registry(config.items, config.schema_registry, config.registry)
            items = followed_items(config.items, most, settings, notify, registry)
            replica.show_items(stack.enter_context(items))
        compile_loops(replica.loaded.config)
        stack.enter_context(freeze_garbage())
        page = LivePage(replica)
        more = [clicks_endpoint(None, refusal=REPLICA), *page.endpoints]
        with (
            on_stop(stop),
            serve(replica, host, number, access, more, "--port") as address,
            closing(page),
            replica.following(),
        ):
            at = f"{address}/v1/recommend"
            notify(Info(f"recommendations from {replica.loaded.name} at {at}"))
            notify(Info(f"live page at {address}/"))
            warn_if_open(host, access, "--port", notify)
            ended.wait()
