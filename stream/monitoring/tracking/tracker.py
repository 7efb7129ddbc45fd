"""What a tracker of experiments is told of a run: its options, figures on the way, its result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ...engine import Engine

EVERY = 1000
"""Clicks between figures at first; from 100,000 clicks on, a hundredth of the clicks so far."""


class Tracker(Protocol):
    """What a run or a comparison tells while it goes on.

    Examples
    --------
    >>> class Printed:
    ...     def started(self, config):
    ...         print("seed", config["seed"])
    ...
    ...     def figures(self, clicks, figures):
    ...         print(clicks, sorted(figures))
    ...
    ...     def ended(self, result):
    ...         print("failed" if result is None else result["scored"])

    """

    def started(self, config: Mapping[str, Any]) -> None:
        """Take the options of the run, as its JSON has them, before anything is read."""

    def figures(self, clicks: int, figures: Mapping[str, float]) -> None:
        """Take the figures after a number of clicks: of a run those over its last window.

        In a comparison they are over all clicks so far, as ``MODEL/FIGURE``.
        """

    def ended(self, result: Mapping[str, Any] | None) -> None:
        """Take the result; None where the run has failed."""


class Tracking:
    """Passes a run on to trackers; one that fails is left out from there on, and the run goes on.

    Parameters
    ----------
    trackers
        The trackers, in the order in which they are told.
    notify
        Takes a sentence for a person where a tracker has failed.
    progress
        Called after every batch, too.

    """

    def __init__(
        self,
        trackers: Sequence[Tracker],
        notify: Callable[[str], None],
        progress: Callable[[Engine], None] | None = None,
    ) -> None:
        self._trackers = list(trackers)
        self._notify = notify
        self._progress = progress
        self._next: int | None = None

    def __call__(self, engine: Engine) -> None:
        """Pass on the figures where enough clicks have been read since the last ones."""
        if self._progress is not None:
            self._progress(engine)
        if not self._trackers or engine.clicks < self._following(engine):
            return
        self._next = engine.clicks + max(EVERY, engine.clicks // 100)
        self._tell("figures", engine.clicks, figures_of(engine))

    def _following(self, engine: Engine) -> int:
        if self._next is None:
            # A run that goes on begins with the figures of the first batch.
            self._next = 0 if engine.clicks > EVERY else EVERY
        return self._next

    def started(self, config: Mapping[str, Any]) -> None:
        """Pass on the options."""
        self._tell("started", config)

    def ended(self, result: Mapping[str, Any] | None) -> None:
        """Pass on the result; None where the run has failed."""
        self._tell("ended", result)

    def _tell(self, what: str, *facts: Any) -> None:
        for tracker in list(self._trackers):
            try:
                getattr(tracker, what)(*facts)
            except Exception as error:
                self._trackers.remove(tracker)
                self._notify(
                    f"tracking with {type(tracker).__name__} has failed, and goes no further: "
                    f"{type(error).__name__}: {error}"
                )


@contextmanager
def tracked(tracking: Tracking, config: Mapping[str, Any]) -> Iterator[Tracking]:
    """Pass on the options first, and where the context ends badly, that the run has failed."""
    tracking.started(config)
    try:
        yield tracking
    except BaseException:
        tracking.ended(None)
        raise


def figures_of(engine: Engine) -> dict[str, float]:
    """Return the figures of an engine as they are now."""
    own: Callable[[], dict[str, float]] | None = getattr(engine.model, "figures_so_far", None)
    if own is not None:
        return own()
    return {**engine.figures.sliding(), "items": engine.model.n_items}


def final_figures(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a result, those of each model as ``MODEL/FIGURE``.

    Examples
    --------
    >>> final_figures({"scored": 2, "source": "a.csv", "models": {"markov": {"mrr@20": 0.5}}})
    {'scored': 2, 'markov/mrr@20': 0.5}

    """
    found = {name: value for name, value in result.items() if _is_number(value)}
    for model, own in result.get("models", {}).items():
        found |= {f"{model}/{name}": value for name, value in own.items() if _is_number(value)}
    return found


def flat_options(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return options without tables, named with dots.

    Examples
    --------
    >>> flat_options({"batch": 64, "model": {"hidden": 50}})
    {'batch': 64, 'model.hidden': 50}

    """
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flat_options(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
