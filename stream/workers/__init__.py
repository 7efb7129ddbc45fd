"""Several processes that are one run or comparison: joining, liveness, what each of them does."""

from __future__ import annotations
