"""GRU4Rec, learning click by click."""

from __future__ import annotations
