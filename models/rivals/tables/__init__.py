"""Tables that the counting rivals share."""

from __future__ import annotations
