"""The scores of all items, computed block by block by one thread or more."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from .compute.device import on_host

BLOCK_ROWS, FEW_OUTPUTS = 1024, 16
"""Rows of a block on a CPU; with at most `FEW_OUTPUTS` outputs there is one block."""


class ScoreBlocks:
    """The scores of all rows for some outputs: ``outputs @ embeddingᵀ + bias``.

    On a CPU in blocks of rows: so each block's scores are still in the cache when they are written
    out, and the product is half as fast again as one over all rows. Threads that work on it at the
    same time each take the next block. For few outputs it takes as long as the rows take to be
    read, and blocks only cost their calls.

    Parameters
    ----------
    outputs
        (m, hidden).
    embedding, bias
        (rows, hidden) and (rows,).
    readers
        How often `read` will be called: the scores are dropped with the last time.

    """

    def __init__(self, outputs: Tensor, embedding: Tensor, bias: Tensor, readers: int = 1) -> None:
        self._outputs = outputs
        self._embedding = embedding
        self._bias = bias
        self._readers = readers
        self._scores: Tensor | None = None
        rows = BLOCK_ROWS if on_host(outputs) and len(outputs) > FEW_OUTPUTS else len(bias)
        self._starts = iter(range(0, len(bias), rows))
        self._rows = rows
        self._left = len(range(0, len(bias), rows))
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._done = threading.Event()

    def compute(self) -> None:
        """Compute scores until no block is left that no thread works on."""
        try:
            for start in self._starts:
                self._compute(slice(start, start + self._rows))
        except BaseException as failure:
            self._failure = failure
            self._done.set()
            raise

    def _compute(self, rows: slice) -> None:
        with self._lock:
            if self._scores is None:
                self._scores = self._outputs.new_empty((len(self._outputs), len(self._bias)))
            scores = self._scores
        embedding, bias = self._embedding[rows], self._bias[rows]
        torch.addmm(bias, self._outputs, embedding.T, out=scores[:, rows])
        with self._lock:
            self._left -= 1
            if not self._left:
                self._done.set()

    def read(self, part: slice) -> Tensor:
        """Return the scores for some of the outputs, (c, rows), once all are computed.

        Raises
        ------
        RuntimeError
            Another thread failed to compute some of them, or all readers have had theirs.

        """
        self.compute()
        self._done.wait()
        with self._lock:
            if self._failure:
                raise RuntimeError("another thread could not find the scores") from self._failure
            if self._scores is None:
                raise RuntimeError("all of these scores have been taken")
            scores = self._scores[part]
            self._readers -= 1
            if not self._readers:
                self._scores = None
        return scores
