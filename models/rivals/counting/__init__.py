"""Rivals that count."""

from __future__ import annotations
