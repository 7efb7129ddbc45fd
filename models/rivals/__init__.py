"""Rivals: other models of the next click, each in a file of its own, on the same contract."""

from __future__ import annotations

from ..recommender import Recommender
from .counting.context_tree import ContextTree
from .counting.item_knn import ItemKNN
from .counting.markov import Markov
from .counting.popularity import Popularity
from .counting.rules import Rules
from .counting.session_popularity import SessionPopularity
from .counting.stan import STAN
from .counting.vsknn import VSkNN
from .counting.vstan import VSTAN
from .gru4rec.frozen import GRU4RecFrozen
from .gru4rec.retrained import GRU4RecRetrained
from .gru4rec.variants import GRU4RecLSTM, GRU4RecRNN
from .neural.bert4rec import BERT4Rec
from .neural.bpr_mf import BPRMF
from .neural.fpmc import FPMC
from .neural.sasrec import SASRec

RIVALS: dict[str, type[Recommender]] = {
    "bert4rec": BERT4Rec,
    "bpr-mf": BPRMF,
    "context-tree": ContextTree,
    "fpmc": FPMC,
    "gru4rec-frozen": GRU4RecFrozen,
    "gru4rec-lstm": GRU4RecLSTM,
    "gru4rec-retrained": GRU4RecRetrained,
    "gru4rec-rnn": GRU4RecRNN,
    "item-knn": ItemKNN,
    "markov": Markov,
    "popularity": Popularity,
    "rules": Rules,
    "sasrec": SASRec,
    "session-popularity": SessionPopularity,
    "stan": STAN,
    "vsknn": VSkNN,
    "vstan": VSTAN,
}
"""The rivals by name. Each takes ``max_sessions``, ``max_items``, ``seed`` and its own options, all
by keyword."""
