"""Recommendations of a run: when they are made, and what they look like."""

from __future__ import annotations
