"""Recommendations over HTTP: from the engine that is learning, or from its snapshots."""

from __future__ import annotations
