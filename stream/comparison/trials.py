"""What is tried beside the model in service: shadows, and lists merged with those of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from nextclick.models import Answer, Query, State
from nextclick.models.base import CheckedModel

from ..config.learners import read_contestant
from ..config.model_factory import make_models
from ..config.options import ConfigError
from ..config.run import RunConfig
from ..notes import Info
from ..recommendations.interleaving import Interleaving
from .joined_states import join, part_of
from .shadow import Learned, Shadow

LOOK_SECONDS = 5.0
"""How long the figures of a running engine are kept before they are computed anew."""


def make_trials(
    config: RunConfig, service: str, notify: Callable[[str], None] = lambda sentence: None
) -> Trials:
    """Make the shadows and the interleaving that a configuration asks for.

    Parameters
    ----------
    config
        The options of the run.
    service
        The name of the model in service. A shadow of the same name is called ``NAME-shadow``.
    notify
        Takes sentences for a person.

    Raises
    ------
    ConfigError
        There is no such model, or no such option of one, or it takes no such large batch.

    """
    shadows = {}
    for name, model in make_models(config.shadows, config).items():
        most = getattr(model, "largest_batch", None)
        if most is not None and config.batch > most:
            raise ConfigError(
                f"batch must be at most {most} for the shadow {name}, not {config.batch}"
            )
        options = msgspec.to_builtins(read_contestant(name, config.shadows[name])[1])
        shown = f"{name}-shadow" if name == service else name
        shadows[name] = Shadow(shown, model, options, service, notify)
    interleaving = None
    if config.interleave is not None:
        other = shadows[config.interleave]
        if not isinstance(other.model, CheckedModel):
            raise ConfigError(f"--interleave {config.interleave}: it answers no requests")
        interleaving = Interleaving(service, other, config.seed, config.writes_every)
    return Trials(list(shadows.values()), interleaving, notify)


class Trials:
    """Shadows of a run, and the interleaving with one of them; by default none.

    Parameters
    ----------
    shadows
        The shadows.
    interleaving
        Merges the lists that are shown; its other model is one of the shadows.
    notify
        Takes sentences for a person.

    """

    def __init__(
        self,
        shadows: Sequence[Shadow] = (),
        interleaving: Interleaving | None = None,
        notify: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.shadows = {shadow.name: shadow for shadow in shadows}
        self.interleaving = interleaving
        self._notify = notify
        self._reading = threading.Lock()
        self._live: list[dict[str, Any]] = []
        self._live_at = -LOOK_SECONDS

    def __bool__(self) -> bool:
        """Return whether anything is tried."""
        return bool(self.shadows)

    def learn(
        self,
        batch: Learned,
        idle: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Take a batch that the model in service has learned.

        Parameters
        ----------
        batch
            The batch.
        idle
            Entered while models learn that no request waits for.

        """
        asked = None
        if self.interleaving is not None:
            asked = self.shadows[self.interleaving.names[1]]
            self.interleaving.learn(batch.sessions, batch.items, batch.ended)
            asked.learn(batch)
        if others := [shadow for shadow in self.shadows.values() if shadow is not asked]:
            with idle():
                for shadow in others:
                    shadow.learn(batch)

    def served(self, queries: Sequence[Query], answers: Sequence[Answer]) -> Sequence[Answer]:
        """Return answers of the model in service as they are shown; see `Interleaving.served`."""
        if self.interleaving is None:
            return answers
        return self.interleaving.served(queries, answers)

    def mark(self) -> tuple[Any, ...]:
        """Return values that differ where requests have changed what a snapshot holds."""
        return () if self.interleaving is None else (self.interleaving.shown,)

    def stats(self) -> dict[str, Any]:
        """Return the figures so far for those who watch, in JSON's types.

        They are computed anew at most every few seconds, on the thread that asks.
        """
        found: dict[str, Any] = {}
        if self.shadows:
            with self._reading:
                if time.monotonic() - self._live_at >= LOOK_SECONDS:
                    self._live = [each.results(live=True) for each in self.shadows.values()]
                    self._live_at = time.monotonic()
                found["shadows"] = self._live
        if self.interleaving is not None:
            found["interleaved"] = self.interleaving.results()
        return found

    def results(self) -> dict[str, Any]:
        """Return the figures of the stream so far, as `stats`, with the exact intervals."""
        found: dict[str, Any] = {}
        if self.shadows:
            found["shadows"] = [each.results() for each in self.shadows.values()]
        if self.interleaving is not None:
            found["interleaved"] = self.interleaving.results()
        return found

    def state(self) -> dict[str, State]:
        """Copy all that the figures depend on, by part of a snapshot."""
        parts = {}
        if self.shadows:
            states = {name: shadow.state() for name, shadow in self.shadows.items()}
            parts["shadows"] = join(states)
        if self.interleaving is not None:
            parts["interleaving"] = self.interleaving.state()
        return parts

    def restore(self, parts: Mapping[str, State], clicks: int) -> None:
        """Restore what `state` returned, as far as the snapshot holds it.

        A shadow that is not in the snapshot, or there with other options, begins untrained; one
        that is only in the snapshot is left out. Notes say so.

        Parameters
        ----------
        parts
            The parts of the snapshot.
        clicks
            How many clicks of the stream come before the next one that is learned.

        """
        then = parts.get("shadows", State({}, {}))
        resumed = {name for name in self.shadows if self._resume(name, then, clicks)}
        for name in then.values:
            if name not in self.shadows:
                self._notify(
                    f"the shadow {name} is not given any more: what it has learned, and its "
                    "figures, are left out from here on"
                )
        if self.interleaving is None:
            return
        kept = parts.get("interleaving")
        other = self.interleaving.names[1]
        if kept is not None and kept.values["model"] == other and other in resumed:
            self.interleaving.restore(kept)
        elif kept is not None:
            self._notify(
                f"lists are merged with those of {other} from click {clicks + 1:,} on: their "
                "wins and losses are counted from there"
            )

    def _resume(self, name: str, then: State, clicks: int) -> bool:
        """Restore a shadow; return whether it goes on where it was."""
        shadow = self.shadows[name]
        why = ""
        if name in then.values:
            kept = part_of(then, name)
            if kept.values["options"] == shadow.options:
                try:
                    shadow.restore(kept)
                    return True
                except (ValueError, KeyError, TypeError) as error:
                    why = f", since its snapshot cannot be used: {error}"
            else:
                why = ", since its options have changed"
        shadow.begun = clicks
        self._notify(Info(f"the shadow {name} begins untrained at click {clicks + 1:,}{why}"))
        return False
