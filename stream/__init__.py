"""River: the loop and its clocks. The only room that knows both others."""

from __future__ import annotations

__all__: list[str] = []
