"""Many workers: the item tables and sessions of one model, spread over processes."""

from __future__ import annotations

from .group import Group, LostWorker
from .online import ShardedGRU4Rec
from .serve import serve

__all__ = ["Group", "LostWorker", "ShardedGRU4Rec", "serve"]
