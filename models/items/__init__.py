"""The items: identifiers, rows, popularity."""

from __future__ import annotations
