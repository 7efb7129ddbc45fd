"""Context tree: what has come next after the last click, the last two, the last three and so on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...recommender import Arrays, prefixed, within
from ..tables.bounded_lists import TopCounts
from ..tables.columns import Columns
from ..tables.decay import RENEWAL, Decay
from ..tables.lru_table import ROW, LRUTable
from .base import CountingModel, Evidence, Session

LEAST = 1e-3
"""No context is trusted less than this, or more than one less this: it must be able to learn."""


class ContextTree(CountingModel):
    """Mixes the predictions of the contexts that the session's last clicks are.

    The context of length d is the last d clicks; the empty one is every click's. Each counts what
    came next, and has a weight w_d, the belief that it predicts better than the shorter ones:

        p_d(x) = (count of x + prior q_{d−1}(x)) / (all counts + prior)
        q_d(x) = w_d p_d(x) + (1 − w_d) q_{d−1}(x),  then  w_d ← w_d p_d(x) / q_d(x)

    where q_0 is p_0 and q_{−1} is even over the catalogue.

    Context trees for recommending: F. Garcin, C. Dimitrakakis and B. Faltings, *Personalized News
    Recommendation with Context Trees* (2013); F. Mi and B. Faltings, *Adaptive Sequential
    Recommendation for Discussion Forums on MOOCs using Context Trees* (2017). The mixture is the
    Bayesian variable order Markov model of C. Dimitrakakis (2010). Differently from these, what a
    context does not know it takes from the shorter ones, not from all items evenly: among
    thousands of items one miss would reduce its weight to nothing. And counts decay, see `Decay`.

    Parameters
    ----------
    depth
        The longest context, in clicks.
    prior
        How many clicks the shorter contexts' prediction is worth in a longer one's.
    trust
        The weight that a new context begins with.
    half_life
        In clicks of the stream.
    contexts
        Number of contexts kept; those least recently met are dropped.
    followers
        Number of items counted a context; a new one takes the place of the rarest.
    **options
        See `CountingModel`.

    """

    name = "context-tree"

    def __init__(
        self,
        *,
        depth: int = 2,
        prior: float = 20.0,
        trust: float = 0.8,
        half_life: float = 1_000_000,
        contexts: int = 500_000,
        followers: int = 200,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if depth < 1 or contexts < depth or followers < 1 or prior <= 0 or not 0 < trust < 1:
            raise ValueError(
                "depth and followers are at least 1, contexts at least depth, prior is more than 0 "
                "and trust between 0 and 1"
            )
        self.window = depth
        self.prior = prior
        self.trust = trust
        self.decay = Decay(half_life)
        # A context is known by the one that is shorter by its first click, and that click's item.
        self._contexts = LRUTable(contexts, self.journal)
        self._known = Columns(self.journal, weights=np.float64, totals=np.float64)
        self._next = TopCounts(self.journal, followers)
        self._clicks = Columns(self.journal, counts=np.float64)
        self._total = 0.0

    def _path(self, session: Session) -> list[int]:
        """Return the rows of the session's contexts, the shortest first."""
        path, stamp = [], 0
        for click in reversed(session.clicks):
            context = self._contexts.get((stamp, int(self.items.stamps[click])))
            if not context:
                break
            stamp = int(self._contexts.stamps[context])
            path.append(context)
        return path

    def score(self, session: Session) -> Evidence:
        """Return the mixture's probabilities."""
        unit = self.decay.weight(self.clicks)
        counts = self._clicks.arrays["counts"][: self.items.used]
        path = self._path(session)
        weights = self._known.arrays["weights"][path]
        totals = self._known.arrays["totals"][path]
        shares = weights / (totals + self.prior * unit)
        # What each length leaves to the shorter ones, and the longer ones leave to it.
        left = np.append(np.cumprod((1 - shares * totals)[::-1])[::-1], 1.0)
        root = left[0] / (self._total + self.prior * unit)
        scores = counts * root
        for context, share in zip(path, left[1:] * shares, strict=True):
            keys = self._next.get(context)
            alive = self.items.alive(keys)
            scores[keys[alive] & ROW] += share * self._next.get(context, "weights")[alive]
        scores[counts > 0] += root * self.prior * unit / max(1, len(self.items))
        return Evidence(None, scores)

    def count(self, session: Session, row: int) -> None:
        """Update the contexts' trust in their predictions, then count."""
        if self.decay.renews(self.clicks):
            self._renew()
        unit = self.decay.weight(self.clicks)
        prior = self.prior * unit
        stamp = int(self.items.stamps[row])
        self._clicks.reach(self.items.used)
        counts = self._clicks.arrays["counts"]
        mixed = (float(counts[row]) + prior / len(self.items)) / (self._total + prior)
        self._clicks.put("counts", row, counts[row] + unit)
        self.journal.note(setattr, self, "_total", self._total)
        self._total += unit
        path = self._meet(session)
        for context in path:
            weight = float(self._known.arrays["weights"][context])
            total = float(self._known.arrays["totals"][context])
            prob = (self._next.weight(context, stamp) + prior * mixed) / (total + prior)
            mixed = weight * prob + (1 - weight) * mixed
            weight = min(max(weight * prob / mixed, LEAST), 1 - LEAST)
            self._known.put("weights", context, weight)
            self._known.put("totals", context, total + unit)
            self._next.add(context, stamp, unit)
        # The longest first: a context stays as long as those that grow out of it.
        for context in reversed(path):
            self._contexts.touch(context)

    def _renew(self) -> None:
        """Make all counts smaller before they grow too large."""
        smaller = 2.0**-RENEWAL
        for columns, name in ((self._clicks, "counts"), (self._known, "totals")):
            columns.put(name, slice(None), columns.arrays[name] * smaller)
        self._next.scale(smaller)
        self.journal.note(setattr, self, "_total", self._total)
        self._total *= smaller

    def _meet(self, session: Session) -> list[int]:
        """Return the rows of the session's contexts, making those that are new."""
        path, above = [], 0
        for click in reversed(session.clicks):
            name = (above, int(self.items.stamps[click]))
            context = self._contexts.get(name)
            if not context:
                if len(self._contexts) == self._contexts.bound:
                    oldest = self._contexts.oldest
                    self._known.clear(oldest)
                    self._next.clear(oldest)
                    self._contexts.drop(oldest)
                context = self._contexts.add(name)
                self._known.reach(self._contexts.used)
                self._known.put("weights", context, self.trust)
            else:
                self._contexts.touch(context)
            above = int(self._contexts.stamps[context])
            path.append(context)
        return path

    def drop(self, row: int) -> None:
        """Drop the item's clicks; contexts and counts with it are void with its stamp."""
        self._clicks.clear(row)

    def parts(self) -> Arrays:
        """Copy the contexts and what they count."""
        names, contexts = self._contexts.state()
        return {
            "names": np.array(names, np.int64).reshape(-1, 2),
            **prefixed("contexts.", contexts),
            **prefixed("known.", self._known.state(self._contexts.used)),
            **prefixed("next.", self._next.state()),
            **prefixed("clicks.", self._clicks.state(self.items.used)),
            "total": np.array([self._total]),
        }

    def take(self, arrays: Arrays) -> None:
        """Restore what `parts` returned."""
        names = [tuple(name) for name in arrays["names"].tolist()]
        self._contexts.restore(names, within("contexts.", arrays))
        self._known.restore(within("known.", arrays))
        self._next.restore(within("next.", arrays))
        self._clicks.restore(within("clicks.", arrays))
        self._total = float(arrays["total"][0])
