"""A GRU4Rec that has stopped learning: it scores, and follows the sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...base import Request
from ...compute.snapshot_buffer import SnapshotBuffer
from ...gradient_model import record
from ...gru4rec.online import OnlineGRU4Rec
from ...items.scored import Scored
from ...items.visitors import Visitors
from ...items.vocabulary import NO_ITEM
from ...queries import Query
from ...ranking import NewItems, Ranking, rank
from ...recommender import Arrays, BatchResult, Id
from ...sessions import SessionStore
from ...windows import Windows


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
        """Continue the model's sessions from their present states, and drop them in the model.

        Parameters
        ----------
        names
            The model's name of each session, by its name here; least recently clicked first. A
            session that the model does not hold starts from the state of a new one.

        """
        model = self.model
        held, arrays = model.sessions.state(SnapshotBuffer())
        states, windows, kept = (arrays[n].to(model.device) for n in ("states", "windows", "kept"))
        last = torch.cat([windows[:, -1], windows.new_zeros(1)])
        windows = model.items.rows_of(windows)
        for back in range(windows.shape[1], 0, -1):
            # The windows are right-aligned: a short one begins late.
            moved = self._moved(windows[:, -back], states)
            states = moved.where((back <= kept)[:, None], states)
        states = torch.cat([states, states.new_zeros((1, states.shape[1]))])
        model.forget(held)
        if names:
            place_of = {session: place for place, session in enumerate(held)}
            # The last place is that of no session.
            places = [place_of.get(name, len(held)) for name in names.values()]
            chosen = self._to_device(np.array(places, np.int64))
            windows_here = self.sessions.align_windows(list(names))
            histories, _ = self.sessions.histories(windows_here, last[chosen])
            self.sessions.advance(windows_here, histories, states[chosen])

    def forget(self, sessions: list[Id]) -> None:
        """Drop sessions that have ended."""
        self.sessions.forget(sessions)

    @torch.no_grad()
    def score(self, request: Request) -> BatchResult:
        """Score every click of a batch that has a predecessor.

        Where the request is to learn, follow the sessions; nothing else changes.
        """
        windows = self.sessions.align_windows(request.sessions, request.after)
        rows = self._to_device(self.model.vocabulary.rows_of(request.items))
        histories, states = self.sessions.histories(windows, self.model.items.keys_of(rows))
        found, ends = self._states(windows, rows, states, request.after)
        result = BatchResult.empty(len(request.items), request.k)
        if request.test and len(windows.scored):
            ranking = self._rank(found, rows, windows.scored, request.k)
            record(result, ranking, windows.scored, self.model.vocabulary)
        if request.learn:
            self.sessions.advance(windows, histories, ends)
        return result

    def _states(
        self, windows: Windows, rows: Tensor, states: Tensor, after: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the state before (or after) each click, and each session's after the batch.

        All first clicks of sessions are a step, then all second ones, and so on.
        """
        found = states.new_empty((len(rows), states.shape[1]))
        for step in range(int(windows.turn.max(initial=-1)) + 1):
            clicks = np.flatnonzero(windows.turn == step)
            places, owners = self._to_device(clicks), self._to_device(windows.group[clicks])
            moved = self._moved(rows[places], states[owners])
            found[places] = moved if after else states[owners]
            states = states.index_copy(0, owners, moved)
        return found, states

    def _moved(self, rows: Tensor, states: Tensor) -> Tensor:
        return self.model.network.step(self.model.items.inputs.values[rows], states)

    @torch.no_grad()
    def scored(self, queries: Sequence[Query]) -> Scored:
        """Score the catalogue for each of some queries; nothing changes."""
        model = self.model
        visitors = Visitors(self.sessions, model.vocabulary, queries)
        stored, states = self.sessions.kept_at(visitors.slots)
        clicks = [rows[rows != NO_ITEM] for rows in visitors.clicks]
        for step in range(max(map(len, clicks), default=0)):
            some = [at for at, rows in enumerate(clicks) if len(rows) > step]
            rows = self._to_device(np.array([clicks[at][step] for at in some]))
            places = self._to_device(np.array(some))
            states = states.index_copy(0, places, self._moved(rows, states[places]))
        scores = model.scores(model.network.output(states))
        known = (visitors.kept > 0) | np.array([len(rows) > 0 for rows in clicks], np.bool_)
        if not known.all():
            scores[self._to_device(~known)] = model.popular_shares()
        own = visitors.own(model.items.rows_of(stored).cpu().numpy())
        return Scored(model.vocabulary, scores, known, own)

    def _rank(self, states: Tensor, rows: Tensor, scored: NDArray[np.int64], k: int) -> Ranking:
        model = self.model
        places = self._to_device(scored)
        outputs = model.network.output(states[places])
        scoring = model.items.scoring(model.vocabulary.used)
        nothing_new = NewItems(rows[:0], rows[:0])
        return rank(outputs, *scoring, rows[places], places, nothing_new, k)

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.model.device)

    def state(self) -> tuple[list[Id], Arrays]:
        """Copy the sessions."""
        sessions, kept = self.sessions.state(SnapshotBuffer())
        return sessions, {name: array.numpy() for name, array in kept.items()}

    def restore(self, sessions: Sequence[Id], kept: Arrays) -> None:
        """Restore what `state` returned."""
        arrays = {name: torch.from_numpy(array.copy()) for name, array in kept.items()}
        self.sessions.restore(sessions, arrays)
