"""Figures of a stream."""

from __future__ import annotations
