"""Where and how numbers are computed."""

from __future__ import annotations
