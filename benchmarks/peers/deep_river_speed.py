"""Times deep-river's rolling classifier, tested then trained click by click.

It runs in a Python of its own, called by `bench_peers.py`. Arguments: a file of pairs, each line
an item and the next one in its session, as numbers; and as JSON ``hidden``, ``window``,
``threads``, ``device`` and ``seconds``. Prints pairs a second, as JSON.

The nearest that it has to GRU4Rec: an embedding, a GRU over the last pairs of the stream (its
window knows no sessions), and a layer that scores the catalogue, all of which is in the loss.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from deep_river.classification import RollingClassifier
from torch import Tensor, nn

WARM = 20
"""Pairs before the clock starts."""


class NextItem(nn.Module):
    """Scores every item after a window of items.

    Parameters
    ----------
    items, hidden
        Size of the catalogue, and of embedding and state.

    """

    def __init__(self, items: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(items, hidden)
        self.cell = nn.GRU(hidden, hidden)
        self.scores = nn.Linear(hidden, items)

    def forward(self, window: Tensor) -> Tensor:
        """Score: (window, 1, 1) numbers of items to (1, items)."""
        states, _ = self.cell(self.embedding(window[..., 0].long()))
        scores: Tensor = self.scores(states[-1])
        return scores


def main(file: str, options: str) -> None:
    """Test, train and print."""
    settings = json.loads(options)
    torch.set_num_threads(settings["threads"])
    pairs = [tuple(map(int, line.split())) for line in Path(file).read_text().splitlines()]
    items = 1 + max(max(pair) for pair in pairs)
    model = RollingClassifier(
        NextItem(items, settings["hidden"]),
        loss_fn="cross_entropy",
        optimizer_fn=torch.optim.Adagrad,
        lr=0.05,
        window_size=settings["window"],
        device=settings["device"],
    )
    # All classes are known from the start, as the catalogue is to the others.
    model.observed_classes.update(range(items))
    count, began = 0, 0.0
    for number, (item, following) in enumerate(pairs):
        if number == WARM:
            count, began = 0, time.perf_counter()
        elif number > WARM and time.perf_counter() - began > settings["seconds"]:
            break
        model.predict_proba_one({"item": item})
        model.learn_one({"item": item}, following)
        count += 1
    print(json.dumps({"pairs": count / (time.perf_counter() - began)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
