"""Snapshots: written, found, and gone on from."""

from __future__ import annotations
