"""Rivals: other models of the next click, each in a file of its own, on the same contract."""

from __future__ import annotations

from ..recommender import Recommender

RIVALS: dict[str, type[Recommender]] = {}
"""The rivals by name. Each takes ``max_sessions``, ``max_items``, ``seed`` and its own options, all
by keyword."""
