"""What a running engine shows: figures, health, unusable records."""

from __future__ import annotations
