"""The partitions of topics, merged into one stream in order of time."""

from __future__ import annotations
