"""The learner as one of river's rankers."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Any, cast

import numpy as np
import torch
from river.reco.base import Ranker
from torch import Tensor

from .argument_checks import at_least, id_list, is_number, one_id
from .gradient_model import diverged
from .gru4rec.config import GRU4RecConfig
from .gru4rec.online import OnlineGRU4Rec
from .items.vocabulary import NO_ITEM
from .recommender import Id


class NextClickRanker(Ranker):
    """`OnlineGRU4Rec` behind the interface of river's recommenders, click by click.

    River's user is the session, its reward the click. A reward of 0 or less says that the item was
    not clicked, which teaches a model of the next click nothing: it is ignored, and so is the
    context ``x``.

    River's own evaluation predicts with one argument and learns with two. So a data set of pairs of
    session and item is enough: for a session alone, `predict_one` returns a ranked list for metrics
    such as Recall, or None at a session's first click, which river leaves out.

    Parameters
    ----------
    k
        How many items `predict_one` returns where no item is given.
    max_sessions, max_items, seed, device, dtype
        As of `OnlineGRU4Rec`.
    **config
        Options of `GRU4RecConfig` by name; `memory` has no effect here.

    Raises
    ------
    TypeError
        `GRU4RecConfig` has no such option.
    ValueError
        An option is out of its range.

    Examples
    --------
    >>> ranker = NextClickRanker(hidden=16, device="cpu")
    >>> for session in range(50):
    ...     for item in ("shoes", "socks", "hat"):
    ...         ranker.learn_one(session, item)
    >>> ranker.learn_one("mine", "shoes")
    >>> ranker.rank("mine", {"hat", "shoes", "socks"})[0]
    'socks'
    >>> ranker.recommend("mine", k=1)
    ['socks']

    """

    def __init__(
        self,
        k: int = 20,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "float32",
        **config: Any,
    ) -> None:
        super().__init__(seed=seed)
        self.k = at_least(k, "k", 1)
        self.max_sessions = max_sessions
        self.max_items = max_items
        self.device = device
        self.dtype = dtype
        self.config = config
        self._model = self._make()

    def _make(self) -> OnlineGRU4Rec:
        return OnlineGRU4Rec(
            # River asks for the score of any item at any time: the network's alone.
            GRU4RecConfig(**{**self.config, "memory": 0}),
            max_sessions=self.max_sessions,
            max_items=self.max_items,
            seed=cast("int", self.seed),
            device=self.device,
            dtype=self.dtype,
        )

    def learn_one(
        self,
        user: Hashable,
        item: Hashable,
        y: Any = True,
        x: dict[str, Any] | None = None,
        time: float = -math.inf,
    ) -> None:
        """Learn one click.

        Parameters
        ----------
        user
            The session.
        item
            The item.
        y
            A number or a bool. More than 0: it was clicked. Else nothing is learned.
        x
            Ignored.
        time
            When the click was, in epoch seconds of event time, for the config's `max_idle`; minus
            infinity where that is not known.

        Raises
        ------
        TypeError, ValueError
            Session or item is neither a text nor a whole number, or reward or time is no number.

        """
        session, clicked = one_id(user, "user"), one_id(item, "item")
        rewarded = isinstance(y, bool | np.bool_) or is_number(y)
        if not rewarded:
            raise TypeError(f"y must be a number or a truth, not {y!r:.80}")
        if y > 0:
            self._model.learn_one(session, clicked, time)

    def predict_one(
        self, user: Hashable, item: Hashable | None = None, x: dict[str, Any] | None = None
    ) -> Any:
        """Return an item's score after the session's clicks so far.

        Parameters
        ----------
        user
            The session.
        item
            The item; left out, the best items are asked for.
        x
            Ignored.

        Returns
        -------
        float, list or None
            The network's score. Before a session's first click it is the item's bias; for an item
            that is not known, the lowest finite number of the model's type. With no item given,
            the `k` best of all known items, best first; None before a session's first click.

        Raises
        ------
        FloatingPointError
            A score is not a number: the learning has diverged.

        """
        session = one_id(user, "user")
        if item is not None:
            return self._scores(session, [one_id(item, "item")])[0]
        return self.recommend(session, self.k) if session in self._model.sessions else None

    def rank(
        self, user: Hashable, items: Iterable[Hashable], x: dict[str, Any] | None = None
    ) -> list[Hashable]:
        """Order items by their scores after the session's clicks so far, best first.

        Parameters
        ----------
        user
            The session.
        items
            Those to order. Equal ones, and at the end those that are not known, stay in the order
            in which they are given.
        x
            Ignored.

        """
        given = id_list(items, "items", ordered=False)
        scores = self._scores(one_id(user, "user"), given)
        places = sorted(range(len(given)), key=scores.__getitem__, reverse=True)
        return [given[place] for place in places]

    @torch.no_grad()
    def recommend(self, user: Hashable, k: int = 20) -> list[Hashable]:
        """Return the k best of all known items after a session's clicks so far, best first."""
        session, k = one_id(user, "user"), at_least(k, "k", 1)
        model = self._model
        embedding, bias = model.items.scoring(model.vocabulary.used)
        scores = checked(torch.addmm(bias, self._output(session), embedding.T)[0])
        best = torch.topk(scores, min(k, model.n_items))
        return [model.vocabulary.id_of(row) for row in best.indices.tolist()]

    @torch.no_grad()
    def _scores(self, session: Id, items: list[Id]) -> list[float]:
        model = self._model
        rows = torch.from_numpy(model.vocabulary.rows_of(items)).to(model.device)
        embedding, bias = model.items.embedding.values[rows], model.items.bias.values[rows]
        scores = checked(torch.addmm(bias, self._output(session), embedding.T)[0])
        scores.masked_fill_(rows == NO_ITEM, torch.finfo(scores.dtype).min)
        found: list[float] = scores.tolist()
        return found

    def _output(self, session: Id) -> Tensor:
        """Run the network over a session's last clicks: (1, size)."""
        model = self._model
        windows = model.sessions.align_windows([session])
        stamp = torch.zeros(1, dtype=torch.int64, device=model.device)
        histories, state = model.sessions.histories(windows, stamp)
        kept = int(windows.kept[0])
        rows = model.items.rows_of(histories[0, windows.size - kept : windows.size])
        output: Tensor = model.network(model.items.inputs.values[rows], [1] * kept, state)
        return output

    def __getstate__(self) -> dict[str, Any]:
        """Return what `pickle` and `copy.deepcopy` keep: the model by its state."""
        return {**self.__dict__, "_model": self._model.state()}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Restore what `__getstate__` returned."""
        self.__dict__.update(kept)
        self._model = self._make()
        self._model.restore(kept["_model"])


def checked(scores: Tensor) -> Tensor:
    """Return scores; refuse those that are not numbers."""
    if torch.isnan(scores).any():
        raise diverged()
    return scores
