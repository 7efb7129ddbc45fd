"""Python's garbage collector, kept from halting a stream."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def freeze_garbage() -> Iterator[None]:
    """Exclude all objects that exist already from garbage collection.

    Now and then it looks at every object of the process, and the stream waits: some 300
    milliseconds for what the libraries hold alone, which is never garbage. It goes on to look at
    what comes after, and afterwards at all of it again, unless the program had set something aside
    itself. What is garbage at the start, in cycles that only the collector finds, waits so long.

    Examples
    --------
    >>> with freeze_garbage():
    ...     gc.get_freeze_count() > 1000
    True

    """
    frozen_before = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if not frozen_before:
            gc.unfreeze()
