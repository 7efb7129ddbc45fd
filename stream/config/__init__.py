"""The options of a run: declared, read and checked."""

from __future__ import annotations
