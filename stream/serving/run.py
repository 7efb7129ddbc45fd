"""A run that answers requests while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext

from nextclick.connectors import RecordedLog, Recorder
from nextclick.models import Query, Recommender
from nextclick.models.base import CheckedModel

from ..config.model_factory import make_model, make_models
from ..config.run import RunConfig
from ..config.serving import is_loopback, parse_origins, parse_place, read_key
from ..endpoints import is_topic, open_recorder
from ..engine import Engine
from ..notes import Info
from ..recommendations.item_follower import FollowedItems
from .app import Access
from .clicks import NO_LOG, NOT_THESE_TOPICS, WITH_SCHEMA, clicks_endpoint
from .engine_service import EngineService
from .page.live_page import LivePage
from .server import serve


@contextmanager
def serve_engine(
    engine: Engine,
    config: RunConfig,
    notify: Callable[[str], None],
    items: FollowedItems | None = None,
) -> Iterator[EngineService]:
    """Answer requests from an engine while the context lasts.

    Parameters
    ----------
    engine
        The engine, with its snapshot restored.
    config
        The options of its run, with a place to serve at.
    notify
        Takes sentences for a person.
    items
        The data of the items, which the engine has too; None where there are none.

    Raises
    ------
    ConfigError
        An option is wrong, or the place cannot be had.

    """
    assert config.serve is not None
    host, port = parse_place(config.serve, "--serve")
    access = make_access(config.api_key, config.allow_origins)
    service = EngineService(engine, items)
    compile_loops(config)
    if config.interleave is not None:
        options = config.shadows[config.interleave]
        (other,) = make_models({config.interleave: options}, config).values()
        _compile_loops_of(other)
    page = LivePage(service)
    with (
        recording(engine, config) as recorder,
        serve(
            service,
            host,
            port,
            access,
            [clicks_endpoint(recorder, service.posts, _refusal(engine, config)), *page.endpoints],
        ) as address,
        closing(page),
    ):
        notify(Info(f"recommendations at {address}/v1/recommend"))
        notify(Info(f"live page at {address}/"))
        if recorder is not None:
            notify(Info(f"clicks sent to {address}/v1/clicks are recorded in {recorder.place}"))
        warn_if_open(host, access, "--serve", notify)
        engine.requests = service.queue
        yield service


@contextmanager
def recording(engine: Engine, config: RunConfig) -> Iterator[Recorder | None]:
    """Record clicks where the engine reads them; None where there is nowhere to."""
    source, spec = engine.source, str(engine.about.get("source", ""))
    if isinstance(source, RecordedLog):
        yield source
    elif is_topic(spec) and config.schema_registry is None:
        recorder = open_recorder(spec, config)
        with closing(recorder) if recorder is not None else nullcontext():
            yield recorder
    else:
        yield None


def _refusal(engine: Engine, config: RunConfig) -> str:
    """Return why there is nowhere to record clicks, where that is so."""
    if not is_topic(str(engine.about.get("source", ""))):
        return NO_LOG
    return NOT_THESE_TOPICS if config.schema_registry is None else WITH_SCHEMA


def compile_loops(config: RunConfig) -> None:
    """Compile the loops by a small model of the same options, so that no visitor waits.

    The model learns and answers once. What is compiled is kept for the next process.
    """
    _compile_loops_of(make_model(config))


def _compile_loops_of(model: Recommender) -> None:
    sessions, items = [0, 0, 0, 1, 1], ["a", "b", "c", "a", "b"]
    model.test_then_learn(sessions, items, 1, times=[0.0, 1.0, 2.0, 3.0, 4.0])
    if isinstance(model, CheckedModel):
        model.recommend_each([Query(session=0), Query(items=["a"], exclude="session"), Query()])


def make_access(api_key: str | None, allow_origins: str | None) -> Access:
    """Return who may send requests, by the options.

    Raises
    ------
    ConfigError
        An option is wrong.

    """
    return Access(read_key(api_key, "--api-key"), parse_origins(allow_origins, "--allow-origins"))


def warn_if_open(host: str, access: Access, option: str, notify: Callable[[str], None]) -> None:
    """Warn if anybody may send requests."""
    if access.key is None and not is_loopback(host):
        notify(
            f"{option} {host}: anybody who can reach this machine may send requests; give "
            "--api-key env:NAME, or restrict access with a proxy"
        )
