"""Rivals: other models of the next click, each in a file of its own, on the same contract."""

from __future__ import annotations

import importlib
from collections import UserDict
from typing import Any, cast

from ..recommender import Recommender


class _Rivals(UserDict[str, Any]):
    """Classes by name; one that is given as the place of a class is imported when it is used."""

    def __getitem__(self, name: str) -> type[Recommender]:
        """Return the class of a rival."""
        found = self.data[name]
        if isinstance(found, str):
            file, _, class_name = found.rpartition(".")
            found = getattr(importlib.import_module(f".{file}", __name__), class_name)
            self.data[name] = found
        return cast(type[Recommender], found)


RIVALS = _Rivals(
    {
        "bert4rec": "neural.bert4rec.BERT4Rec",
        "bpr-mf": "neural.bpr_mf.BPRMF",
        "context-tree": "counting.context_tree.ContextTree",
        "fpmc": "neural.fpmc.FPMC",
        "gru4rec-frozen": "gru4rec.frozen.GRU4RecFrozen",
        "gru4rec-lstm": "gru4rec.variants.GRU4RecLSTM",
        "gru4rec-retrained": "gru4rec.retrained.GRU4RecRetrained",
        "gru4rec-rnn": "gru4rec.variants.GRU4RecRNN",
        "item-knn": "counting.item_knn.ItemKNN",
        "markov": "counting.markov.Markov",
        "popularity": "counting.popularity.Popularity",
        "rules": "counting.rules.Rules",
        "sasrec": "neural.sasrec.SASRec",
        "session-popularity": "counting.session_popularity.SessionPopularity",
        "stan": "counting.stan.STAN",
        "vsknn": "counting.vsknn.VSkNN",
        "vstan": "counting.vstan.VSTAN",
    }
)
"""The rivals by name. Each takes ``max_sessions``, ``max_items``, ``seed`` and its own options, all
by keyword."""
