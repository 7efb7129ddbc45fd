"""Files and standard input as sources, files as sinks."""

from __future__ import annotations
