"""Several models on the same clicks."""

from __future__ import annotations
