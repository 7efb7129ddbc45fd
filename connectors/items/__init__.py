"""Data of the catalogue's items: records, and the files and topics that they are read from."""

from __future__ import annotations
