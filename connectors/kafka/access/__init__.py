"""How a Kafka is named and signed in to: addresses, settings and tokens."""

from __future__ import annotations
