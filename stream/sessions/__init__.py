"""Where a session starts and ends, and how far the time of the stream has come."""

from __future__ import annotations
