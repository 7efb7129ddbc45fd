"""The memory of the latest clicks, and its mixture with the network."""

from __future__ import annotations
