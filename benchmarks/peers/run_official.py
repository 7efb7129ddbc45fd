"""Runs the official GRU4Rec for PyTorch from a checkout; `parity.py` calls it in its own Python.

Arguments: the checkout; a folder with ``train.tsv`` and ``test.tsv``; the options of its GRU4Rec
and ``seed``, as JSON. Prints the loss of every epoch, Recall@20 and MRR@20, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys

import numpy as np
import pandas as pd
import torch


def main(checkout: str, folder: str, options: str) -> None:
    """Train, test and print."""
    sys.path.insert(0, checkout)
    from evaluation import batch_eval
    from gru4rec_pytorch import GRU4Rec

    torch.set_num_threads(1)
    settings = json.loads(options)
    seed = settings.pop("seed")
    torch.manual_seed(seed)
    # Its compatible initial weights are always of seed 42: give it another.
    seed_numpy = np.random.seed
    np.random.seed = lambda _: seed_numpy(seed)  # type: ignore[assignment, misc]
    train, test = (pd.read_csv(f"{folder}/{name}.tsv", sep="\t") for name in ("train", "test"))
    model = GRU4Rec(**settings, device=torch.device("cpu"))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        model.fit(train, compatibility_mode=True)
        lanes = min(512, test["SessionId"].nunique())
        recall, mrr = batch_eval(model, test, cutoff=[20], batch_size=lanes)
    losses = [float(loss) for loss in re.findall(r"loss: (\S+)", said.getvalue())]
    print(json.dumps({"losses": losses, "recall": float(recall[20]), "mrr": float(mrr[20])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
