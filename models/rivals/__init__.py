"""Rivals: other models of the next click, each in a file of its own, on the same contract."""

from __future__ import annotations

from ..recommender import Recommender
from .bert4rec import BERT4Rec
from .bpr_mf import BPRMF
from .fpmc import FPMC
from .sasrec import SASRec

RIVALS: dict[str, type[Recommender]] = {
    "bpr-mf": BPRMF,
    "fpmc": FPMC,
    "sasrec": SASRec,
    "bert4rec": BERT4Rec,
}
"""The rivals by name. Each takes ``max_sessions``, ``max_items``, ``seed`` and its own options, all
by keyword."""
