"""Kafka topics as sources and sinks."""

from __future__ import annotations
