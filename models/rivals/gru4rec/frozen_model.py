"""A GRU4Rec that has stopped learning, at work: it only follows the sessions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compute.snapshot_buffer import SnapshotBuffer
from ...gru4rec.online import OnlineGRU4Rec
from ...items.vocabulary import NO_ITEM
from ...ranking import NewItems, rank
from ...recommender import Arrays, BatchResult, Id
from ...sessions import SessionStore


class FrozenGRU4Rec:
    """Scores clicks by a model that is not changed any more, and keeps the sessions' states.

    No item enters the catalogue: one that the model does not know is a miss where it is clicked,
    and then a step of the session with embedding 0.

    Parameters
    ----------
    model
        What has been learned; only its network, its items and its catalogue are read.
    max_sessions
        At most this many live sessions; those least recently clicked are dropped.

    """

    def __init__(self, model: OnlineGRU4Rec, max_sessions: int) -> None:
        self.model = model
        self.sessions = SessionStore(
            1, model.network.width, max_sessions, model.device, model.dtype
        )

    @torch.no_grad()
    def take_over(self, names: Mapping[Id, Id]) -> None:
        """Go on with sessions where the model has come to with them, and drop them there.

        Parameters
        ----------
        names
            What the model calls each session, by what it is called here; least recently clicked
            first. A session that the model does not hold goes on from the state of a new one.

        """
        model = self.model
        held, arrays = model.sessions.state(SnapshotBuffer())
        states, windows, kept = (arrays[n].to(model.device) for n in ("states", "windows", "kept"))
        windows = model.items.rows_of(windows)
        for back in range(windows.shape[1], 0, -1):
            # The windows are right-aligned: a short one begins late.
            moved = self._moved(windows[:, -back], states)
            states = moved.where((back <= kept)[:, None], states)
        states = torch.cat([states, states.new_zeros((1, states.shape[1]))])
        model.forget(held)
        if names:
            place_of = {session: place for place, session in enumerate(held)}
            chosen = [place_of.get(name, -1) for name in names.values()]
            windows_here = self.sessions.align_windows(list(names))
            histories, _ = self.sessions.histories(
                windows_here, torch.full((len(names),), NO_ITEM, device=model.device)
            )
            self.sessions.advance(windows_here, histories, states[chosen])

    def forget(self, sessions: list[Id]) -> None:
        """Drop sessions that have ended."""
        self.sessions.forget(sessions)

    @torch.no_grad()
    def score(
        self,
        sessions: list[Id],
        items: list[Id],
        k: int,
        *,
        test: bool,
        follow: bool,
        after: bool = False,
    ) -> BatchResult:
        """Score every click of a batch that has a predecessor, move the sessions on, or both.

        Parameters
        ----------
        sessions, items
            n of each, in stream order.
        k
            How many items to recommend.
        test, follow
            Whether the clicks are scored, and whether the sessions move on.
        after
            Find what is best after each click, not before it.

        """
        windows = self.sessions.align_windows(sessions, after)
        rows = self._to_device(self.model.vocabulary.rows_of(items))
        histories, states = self.sessions.histories(windows, torch.zeros_like(rows))
        found, ends = self._run(windows.group, windows.turn, rows, states, after)
        tested = BatchResult(np.zeros(len(items), np.bool_), np.zeros(len(items), np.int64))
        tested.recommended = [[] for _ in items] if k else []
        if test and len(windows.scored):
            self._rank(found, rows, windows.scored, k, tested)
        if follow:
            self.sessions.advance(windows, histories, ends)
        return tested

    def _run(
        self,
        group: NDArray[np.int64],
        turn: NDArray[np.int64],
        rows: Tensor,
        states: Tensor,
        after: bool,
    ) -> tuple[Tensor, Tensor]:
        """Give the state before (or after) each click, and each session's state after the batch.

        All first clicks of sessions are a step, then all second ones, and so on.
        """
        found = states.new_empty((len(rows), states.shape[1]))
        for step in range(int(turn.max(initial=-1)) + 1):
            clicks = np.flatnonzero(turn == step)
            places, owners = self._to_device(clicks), self._to_device(group[clicks])
            moved = self._moved(rows[places], states[owners])
            found[places] = moved if after else states[owners]
            states = states.index_copy(0, owners, moved)
        return found, states

    def _moved(self, rows: Tensor, states: Tensor) -> Tensor:
        return self.model.network.step(self.model.items.inputs.values[rows], states)

    def _rank(
        self, states: Tensor, rows: Tensor, scored: NDArray[np.int64], k: int, tested: BatchResult
    ) -> None:
        model = self.model
        used = model.vocabulary.used
        places = self._to_device(scored)
        ranking = rank(
            model.network.output(states[places]),
            model.items.embedding.values[:used],
            model.items.bias.values[:used],
            rows[places],
            places,
            NewItems(rows[:0], rows[:0]),
            k,
        )
        tested.scored[scored], tested.ranks[scored] = True, ranking.ranks.cpu().numpy()
        if k:
            for place, best, scores in zip(
                scored.tolist(), ranking.best.tolist(), ranking.scores.tolist(), strict=True
            ):
                tested.recommended[place] = [
                    (model.vocabulary.id_of(row), score)
                    for row, score in zip(best, scores, strict=True)
                    if score > -math.inf
                ]

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.model.device)

    def state(self) -> tuple[list[Id], Arrays]:
        """Copy the sessions."""
        sessions, kept = self.sessions.state(SnapshotBuffer())
        return sessions, {name: array.numpy() for name, array in kept.items()}

    def restore(self, sessions: Sequence[Id], kept: Arrays) -> None:
        """Take back what `state` gave."""
        arrays = {name: torch.from_numpy(array.copy()) for name, array in kept.items()}
        self.sessions.restore(sessions, arrays)
