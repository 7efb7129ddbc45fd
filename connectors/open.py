"""Which source a name means."""

from __future__ import annotations

from .formats import LogFormat
from .log import LogSource
from .pipe import PipeSource
from .simulator import SimulatedShop
from .source import Source, SourceError


def open_source(spec: str, form: LogFormat | None = None) -> Source:
    """Open a source by its name.

    Parameters
    ----------
    spec
        ``-`` for JSON Lines on standard input, ``sim:clicks=60000,seed=1`` for the simulated
        shop, else the path of a log.
    form
        The format of a log or of the lines; see `log_format`.

    Raises
    ------
    SourceError
        The source cannot be opened; the message names the remedy.

    Examples
    --------
    >>> shop = open_source("sim:clicks=3,seed=1")
    >>> len(shop.poll(128))
    3

    """
    if spec == "-":
        return PipeSource(form)
    if spec.startswith("sim:"):
        return SimulatedShop.from_spec(spec)
    if spec.startswith("kafka://"):
        raise SourceError(
            f"{spec}: Kafka is not available in this version; pipe the topic's records into '-'"
        )
    return LogSource(spec, form)
