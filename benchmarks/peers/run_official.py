"""Runs the official GRU4Rec for PyTorch from a checkout, in a Python of its own.

`parity.py` and `nightly.py` call it. Arguments: the checkout; a folder with ``train.tsv`` and the
files to test on; and as JSON the options of its GRU4Rec, with ``seed`` and, if not as here,
``tests``, the names of these files (``["test"]``), and ``paramfile``, a file of settings in the
checkout, which the options given here override. Prints as JSON the loss of every epoch, the
processor seconds of reading and training, and for each test its Recall@20, MRR@20 and how many
clicks it had.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch


def main(checkout: str, folder: str, options: str) -> None:
    """Train, test and print."""
    sys.path.insert(0, checkout)
    from evaluation import batch_eval
    from gru4rec_pytorch import GRU4Rec, SessionDataIterator

    torch.set_num_threads(1)
    settings = json.loads(options)
    seed, tests = settings.pop("seed"), settings.pop("tests", ["test"])
    paramfile = settings.pop("paramfile", None)
    if paramfile:
        found = runpy.run_path(f"{checkout}/paramfiles/{paramfile}.py")["gru4rec_params"]
        settings = {**found, **settings}
    torch.manual_seed(seed)
    # Its compatible initial weights are always of seed 42: give it another.
    seed_numpy = np.random.seed
    np.random.seed = lambda _: seed_numpy(seed)  # type: ignore[assignment, misc]
    began = time.process_time()
    model = GRU4Rec(**settings, device=torch.device("cpu"))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        model.fit(read(folder, "train"), compatibility_mode=True)
    seconds = time.process_time() - began
    losses = [float(loss) for loss in re.findall(r"loss: (\S+)", said.getvalue())]
    plain = SessionDataIterator.__call__
    pairs: list[int] = []

    def counted(*arguments: Any, **named: Any) -> Iterator[Any]:
        for inputs, outputs in plain(*arguments, **named):
            pairs.append(len(inputs))
            yield inputs, outputs

    SessionDataIterator.__call__ = counted
    figures = []
    for name in tests:
        test = read(folder, name)
        pairs.clear()
        with contextlib.redirect_stdout(io.StringIO()):
            lanes = min(512, test["SessionId"].nunique())
            recall, mrr = batch_eval(model, test, cutoff=[20], batch_size=lanes)
        figures.append([float(recall[20]), float(mrr[20]), sum(pairs)])
    print(json.dumps({"losses": losses, "seconds": seconds, "tests": figures}))


def read(folder: str, name: str) -> pd.DataFrame:
    """Read a file of clicks."""
    return pd.read_csv(f"{folder}/{name}.tsv", sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
