"""Sentences for the person who runs nextclick."""

from __future__ import annotations


class Info(str):
    """A sentence on what goes on. Any other sentence is a warning, something one should know."""

    __slots__ = ()
