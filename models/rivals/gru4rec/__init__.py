"""Rivals that are a GRU4Rec."""

from __future__ import annotations
