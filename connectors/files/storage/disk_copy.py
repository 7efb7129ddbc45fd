"""A copy on the disk of what can be read only once, or only from its start."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable


class DiskCopy:
    """A temporary file, removed with this object.

    Parameters
    ----------
    read
        Returns the next bytes, at most as many as asked for; none at the end.

    Attributes
    ----------
    path
        Where it is.

    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        descriptor, self.path = tempfile.mkstemp(prefix="nextclick-")
        weakref.finalize(self, os.unlink, self.path)
        with os.fdopen(descriptor, "wb") as file:
            while data := read(1 << 20):
                file.write(data)
