"""Rivals: other models of the next click, each in a file of its own, on the same contract."""

from __future__ import annotations

from ..recommender import Recommender
from .bert4rec import BERT4Rec
from .bpr_mf import BPRMF
from .context_tree import ContextTree
from .fpmc import FPMC
from .gru4rec_frozen import GRU4RecFrozen
from .gru4rec_lstm import GRU4RecLSTM
from .gru4rec_retrained import GRU4RecRetrained
from .gru4rec_rnn import GRU4RecRNN
from .item_knn import ItemKNN
from .markov import Markov
from .popularity import Popularity
from .rules import Rules
from .sasrec import SASRec
from .session_popularity import SessionPopularity
from .stan import Stan
from .vsknn import VSkNN
from .vstan import VStan

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
    "stan": Stan,
    "vsknn": VSkNN,
    "vstan": VStan,
}
"""The rivals by name. Each takes ``max_sessions``, ``max_items``, ``seed`` and its own options, all
by keyword."""
