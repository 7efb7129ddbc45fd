"""Records whose schemas are in a schema registry."""

from __future__ import annotations
