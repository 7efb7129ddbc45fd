"""Rivals with a network of their own."""

from __future__ import annotations
