"""Bytes to clicks: lines, columns, values."""

from __future__ import annotations
