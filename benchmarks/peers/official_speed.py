"""Times the official GRU4Rec for PyTorch from a checkout; `bench_peers.py` calls it.

It runs in a Python of its own. Arguments: the checkout; a folder with ``train.tsv`` and
``test.tsv``; and as JSON the options of its GRU4Rec, with ``threads``, ``device`` and ``seconds``.
Prints pairs a second of its training loop and of its evaluation, as JSON.

Its own loops run, unchanged; only its iterator of mini-batches ends after so many seconds and
looks at the clock. Reading, sorting and the first draw of negatives are not counted.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch

WARM = 10
"""Mini-batches before the clock starts."""


def limited(plain: Callable[..., Iterator[Any]], seconds: float, found: list[float]) -> Any:
    """Return an iterator that ends after some seconds, and records pairs and seconds."""

    def batches(*arguments: Any, **named: Any) -> Iterator[Any]:
        pairs, began = 0, 0.0
        for number, (inputs, outputs) in enumerate(plain(*arguments, **named)):
            if number == WARM:
                pairs, began = 0, time.perf_counter()
            elif number > WARM and time.perf_counter() - began > seconds:
                break
            yield inputs, outputs
            pairs += len(inputs)
        found[:] = [pairs, time.perf_counter() - began]

    return batches


def main(checkout: str, folder: str, options: str) -> None:
    """Train, test and print."""
    sys.path.insert(0, checkout)
    from evaluation import batch_eval
    from gru4rec_pytorch import GRU4Rec, SessionDataIterator

    settings = json.loads(options)
    torch.set_num_threads(settings.pop("threads"))
    seconds, device = settings.pop("seconds"), torch.device(settings.pop("device"))
    torch.manual_seed(42)
    train, test = (pd.read_csv(f"{folder}/{name}.tsv", sep="\t") for name in ("train", "test"))
    model = GRU4Rec(**settings, n_epochs=1, device=device)
    found: list[float] = []
    SessionDataIterator.__call__ = limited(SessionDataIterator.__call__, seconds, found)
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(train, sample_cache_max_size=settings["n_sample"] * 1000)
        trained = found[0] / found[1]
        batch_eval(model, test, cutoff=[20], batch_size=512)
    tested = found[0] / found[1]
    print(json.dumps({"training": trained, "evaluation": tested}))


if __name__ == "__main__":
    main(*sys.argv[1:])
