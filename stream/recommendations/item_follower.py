"""Reads the items' data on a thread of its own, and goes on doing so."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nextclick.connectors import ItemSource, SchemaRegistry, SourceError, open_items

from .item_data import ItemData

CLOSING_SECONDS = 2.0
"""How long the thread may take to end."""

AGAIN_SECONDS = 1.0
"""How soon to try again after an error that nobody has foreseen."""


class FollowedItems:
    """The items' data, kept as their source is.

    Parameters
    ----------
    source
        Where they are read from.
    most
        Items that may have data.
    notify
        Takes sentences for a person.

    Attributes
    ----------
    data
        The data.

    """

    def __init__(self, source: ItemSource, most: int, notify: Callable[[str], None]) -> None:
        self.data = ItemData(most)
        self._source = source
        self._most = most
        self._notify = notify
        self._told: set[str] = set()
        self._whole = threading.Event()
        self._ended = threading.Event()
        self._failure: str | None = None

    @property
    def unread(self) -> str | None:
        """Why requests cannot be answered yet; None once all is read that was there at first."""
        if self._whole.is_set():
            return None
        source = self._source
        return (
            f"the items' data are still being read from {source.name}: {source.progress:.0%} so far"
        )

    @property
    def away(self) -> str | None:
        """Why the data may be out of date; None where they are up to date."""
        return self._failure or self._source.away or self.unread

    def read(self) -> None:
        """Read on.

        Raises
        ------
        SourceError
            A file cannot be used as it is at the start.

        """
        changes = self._source.poll()
        refused = (self.data.replace if changes.whole else self.data.update)(changes.records)
        self.data.wrong += changes.n_wrong + refused
        if changes.wrong:
            first = changes.wrong[0]
            self._tell(
                f"{first.place}: {first.why}. Records of items' data that cannot be used are "
                "skipped and counted (wrong_records in /v1/stats)",
                "wrong",
            )
        if refused:
            self._tell(
                f"{self._source.name}: data of more than {self._most:,} items were read; those of "
                "further items are skipped and counted: raise --max-items",
                "refused",
            )
        for sentence in self._source.notes:
            self._tell(sentence, sentence)
        if changes.whole:
            self._whole.set()

    def wait(self) -> None:
        """Wait until all is read that was there at first."""
        while not self._whole.wait(0.1):
            pass

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the source while the context lasts."""
        thread = threading.Thread(target=self._follow, name="nextclick-items", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(CLOSING_SECONDS)

    def _follow(self) -> None:
        try:
            while not self._ended.is_set():
                try:
                    self.read()
                    self._failure = None
                except Exception as error:  # Whatever it is, what was read goes on being used.
                    self._failure = f"{self._source.name}: {type(error).__name__}: {error}"
                    self._tell(self._failure, self._failure)
                    self._ended.wait(AGAIN_SECONDS)
        finally:
            # By the thread that reads: where the brokers do not answer it still waits.
            self._source.close()

    def _tell(self, sentence: str, what: str) -> None:
        """Pass a sentence on to a person, once for each `what`."""
        if what not in self._told:
            self._told.add(what)
            self._notify(sentence)


@contextmanager
def followed_items(
    spec: str | os.PathLike[str],
    most: int,
    settings: Mapping[str, Any],
    notify: Callable[[str], None],
    registry: SchemaRegistry | None = None,
) -> Iterator[FollowedItems]:
    """Read the data of items, and follow their source while the context lasts.

    A file is read before the context is entered; a topic has only been found.

    Parameters
    ----------
    spec, settings
        The source, see `open_items`.
    most
        Items that may have data.
    notify
        Takes sentences for a person.
    registry
        The schema registry of a topic, see `open_items`.

    Raises
    ------
    SourceError
        The source cannot be opened, or a file is wrong; the message names the remedy.

    """
    source = open_items(spec, most, settings, registry)
    items = FollowedItems(source, most, notify)
    if not str(spec).startswith("kafka:"):
        try:
            items.read()
        except SourceError:
            source.close()
            raise
    with items.following():
        try:
            yield items
        finally:
            if registry is not None:
                registry.close()
