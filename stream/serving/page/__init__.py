"""The live page, and the events that feed it."""

from __future__ import annotations
