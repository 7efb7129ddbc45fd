"""Python's garbage collector, kept from halting a stream."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def freeze_garbage() -> Iterator[None]:
    """Exclude all objects that exist already from garbage collection.

    Otherwise it scans every object of the process now and then, and the stream waits: some 300
    milliseconds for the libraries' objects alone, which are never garbage. Later objects are still
    collected. At the end all objects are included again, unless the program itself had frozen some.
    Until then garbage that existed at the start, in cycles, is not collected.

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
