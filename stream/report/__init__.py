"""Pages and charts."""

from __future__ import annotations
