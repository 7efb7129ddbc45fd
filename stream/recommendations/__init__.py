"""Recommendations of a run: when they are made, what they may hold, and what they look like."""

from __future__ import annotations
