"""Rivals: other models of the next click, each in a file of its own, on the same contract."""

from __future__ import annotations

from ..recommender import Recommender
from .bert4rec import BERT4Rec
from .bpr_mf import BPRMF
from .fpmc import FPMC
from .gru4rec_frozen import GRU4RecFrozen
from .gru4rec_lstm import GRU4RecLSTM
from .gru4rec_retrained import GRU4RecRetrained
from .gru4rec_rnn import GRU4RecRNN
from .sasrec import SASRec

RIVALS: dict[str, type[Recommender]] = {
    "bert4rec": BERT4Rec,
    "bpr-mf": BPRMF,
    "fpmc": FPMC,
    "gru4rec-frozen": GRU4RecFrozen,
    "gru4rec-lstm": GRU4RecLSTM,
    "gru4rec-retrained": GRU4RecRetrained,
    "gru4rec-rnn": GRU4RecRNN,
    "sasrec": SASRec,
}
"""The rivals by name. Each takes ``max_sessions``, ``max_items``, ``seed`` and its own options, all
by keyword."""
