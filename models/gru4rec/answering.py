"""What the learner recommends to visitors who are asked for: read, and nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.half_scores import scan
from ..compute.transfer import send, to_device
from ..gradient_model import diverged
from ..items.best_items import Blocked, Whole, best_items, best_listed, limited
from ..items.item_table import SHIFT, ItemTable
from ..items.popularity import Popularity
from ..items.scored import barred
from ..items.table import pick
from ..items.vocabulary import NO_ITEM, Vocabulary
from ..memory.layout import DISTINCT, OWN_ITEMS, ROW, microseconds
from ..memory.memory import Memory
from ..memory.mixture import Mixture
from ..queries import Answer, Query
from ..ranking import wanted_for_lists
from ..sessions import SessionStore
from ..windows import LastWindows, align_last_windows
from .mixed_precision import Precision

POPULAR_CLICKS = 10_000
"""Latest clicks among which the most clicked items are the recently popular ones."""

OF_ALL_TIMES = 0.001
"""How much the clicks of all times count there: they order what was not clicked recently."""


class Learner(Protocol):
    """What is read of an `OnlineGRU4Rec`."""

    device: torch.device
    items: ItemTable
    memory: Memory | None
    popularity: Popularity
    precision: Precision
    sessions: SessionStore
    vocabulary: Vocabulary

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        ...


class Visitors:
    """The sessions of some queries, as the model has them and with the clicks that come after.

    Attributes
    ----------
    slots, kept
        int64 (q,): where the store has them, -1 for none, and how many clicks it has.
    rows, counts, ends
        int64 (n,), (q,) and (q,): rows of the clicks that come after, how many each query has, and
        where its own end.
    times
        (n,): of these clicks, in microseconds.
    last
        int64 (q,): the row of the last of them, 0 for an item that is not known; -1 for none.

    """

    def __init__(self, model: Learner, queries: Sequence[Query]) -> None:
        self.slots, self.kept = model.sessions.find([query.session for query in queries])
        self.last = np.full(len(queries), -1, np.int64)
        self.counts = np.array([len(query.items) for query in queries], np.int64)
        self.ends = self.counts.cumsum()
        # Of most sessions every click has been learned.
        self.rows = self.times = np.zeros(0, np.int64)
        if self.ends[-1]:
            self._take_clicks(model, queries)

    def _take_clicks(self, model: Learner, queries: Sequence[Query]) -> None:
        rows = model.vocabulary.rows_of([item for query in queries for item in query.items])
        times = [time for query in queries for time in query.times or [np.nan] * len(query.items)]
        clicked = self.counts > 0
        self.last[clicked] = rows[self.ends[clicked] - 1]
        known = rows != NO_ITEM
        before = np.append(0, known.cumsum())
        self.counts = before[self.ends] - before[self.ends - self.counts]
        self.ends = before[self.ends]
        self.rows = rows[known]
        self.times = microseconds(np.array(times, np.float64), len(rows))[known]

    def only(self, chosen: NDArray[np.bool_]) -> Visitors:
        """Return some of them; the others have no clicks that come after."""
        part = object.__new__(Visitors)
        part.slots, part.kept = self.slots[chosen], self.kept[chosen]
        part.rows, part.times = self.rows, self.times
        part.counts, part.ends = self.counts[chosen], self.ends[chosen]
        part.last = self.last[chosen]
        return part


class PopularItems:
    """Each item's share of the latest clicks, counted anew once others have been learned."""

    def __init__(self) -> None:
        self._counted: tuple[int, NDArray[np.float64]] | None = None

    def shares(self, model: Learner) -> NDArray[np.float64]:
        """Return the share of each row in use."""
        learned = model.popularity.clicks
        if self._counted is None or self._counted[0] != learned:
            used = model.vocabulary.used
            every = torch.arange(used, device=model.device)
            all_times = model.popularity.counts(every).cpu().numpy()
            if model.memory:
                latest = model.memory.latest_items(POPULAR_CLICKS, model.vocabulary.admissions)
                lately = np.bincount(latest, minlength=used).astype(np.float64)
            else:
                lately = all_times * model.vocabulary.clicked_lately(POPULAR_CLICKS)
            shares = lately / max(1.0, lately.sum())
            shares += OF_ALL_TIMES * all_times / max(1.0, all_times.sum())
            self._counted = learned, shares / (1 + OF_ALL_TIMES)
        return self._counted[1]


class Answering:
    """Answers queries together, in one pass of the model.

    Each query is answered as if it were alone: what the memory looks up for one is taken back
    before the next. The scores of all items are found at once for all of them.

    Parameters
    ----------
    model
        The learner. It must not learn meanwhile.
    popular
        The items for those whose sessions have no known click.

    """

    def __init__(self, model: Learner, popular: PopularItems) -> None:
        self._model, self._popular = model, popular

    @torch.no_grad()
    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """Answer some queries; see `CheckedModel.recommend_each`."""
        if not queries or not self._model.n_items:
            return [Answer(popular=True) for _ in queries]
        visitors = Visitors(self._model, queries)
        known = (visitors.kept + visitors.counts) > 0
        blocked = barred(queries, self._model.vocabulary)
        counts = np.array([query.k for query in queries], np.int64)
        most = int(counts.max())
        best, scores = np.full((len(queries), most), -1, np.int64), np.zeros((len(queries), most))
        for chosen, find in ((known, self._of_sessions), (~known, self._of_popular)):
            if chosen.any():
                asked = [query for query, one in zip(queries, chosen, strict=True) if one]
                found, values = find(asked, visitors.only(chosen), blocked[chosen], counts[chosen])
                best[chosen, : found.shape[1]] = found
                scores[chosen, : found.shape[1]] = values
        id_of = self._model.vocabulary.id_of
        return [
            Answer([(id_of(row), score) for row, score in zip(*pair, strict=True) if row >= 0], new)
            for *pair, new in zip(best.tolist(), scores.tolist(), (~known).tolist(), strict=True)
        ]

    def _of_popular(
        self, queries: Sequence[Query], visitors: Visitors, blocked: Blocked, counts: Whole
    ) -> tuple[Whole, NDArray[np.float64]]:
        scores = torch.from_numpy(self._popular.shares(self._model)).expand(len(queries), -1)
        return best_items(scores.contiguous(), blocked, counts)

    def _of_sessions(
        self, queries: Sequence[Query], visitors: Visitors, blocked: Blocked, counts: Whole
    ) -> tuple[Whole, NDArray[np.float64]]:
        model = self._model
        windows = align_last_windows(visitors.kept, visitors.counts, model.sessions.window)
        stored, states = model.sessions.kept_at(visitors.slots)
        clicks = self._clicks(stored, visitors, windows)
        outputs = self._outputs(clicks, states, windows)
        evidence = places = None
        if model.memory:
            admissions = model.vocabulary.admissions
            stamped = visitors.rows + (admissions[visitors.rows] << SHIFT)
            asked = visitors.slots, visitors.ends, stamped, visitors.times
            evidence, places = model.memory.lookup_queries(*asked, admissions)
        self._block_own(queries, visitors, blocked, clicks, places)
        k = int(counts.max())
        scoring = model.items.scoring(model.vocabulary.used)
        spoken_for = None if evidence is None else (evidence.spans, evidence.rows)
        wanted = wanted_for_lists(len(queries), k, blocked, spoken_for)
        found = scan(outputs, *scoring, wanted).scanned()
        if found.broken.any():
            raise diverged()
        if not model.memory or evidence is None:
            return limited(*best_listed(found.listed, found.listed_rows, k), counts)
        none = np.zeros(len(queries), np.bool_)
        mixture = Mixture(model.memory, evidence, found, none, np.zeros(len(queries)))
        listed = mixture.probabilities(found.listed)
        special = mixture.special(blocked)
        return limited(*best_listed(listed, found.listed_rows, k, special), counts)

    def _clicks(self, stored: Tensor, visitors: Visitors, windows: LastWindows) -> Tensor:
        """Return the rows of the sessions' clicks: (q, width), the last ones kept and those after.

        Those kept stand right-aligned in the first K columns; the others begin after these.
        """
        model, counts = self._model, visitors.counts
        clicks = np.full((len(stored), windows.width - model.sessions.window), NO_ITEM, np.int64)
        clicks[np.arange(clicks.shape[1]) < counts[:, None]] = visitors.rows
        after = to_device(clicks, model.device)
        return torch.cat([model.items.rows_of(stored), after], dim=1)

    def _outputs(self, clicks: Tensor, states: Tensor, windows: LastWindows) -> Tensor:
        """Run the network to the end of each session: (q, size)."""
        model = self._model
        run, inputs, device = model.precision.run, model.items.inputs.values, model.device
        parts = windows.steps, windows.starts, windows.moved_sessions, windows.moved_clicks
        steps, starts, moved, moved_clicks, scored = send([*parts, windows.scored], device)
        clicked = clicks.view(-1)
        if windows.move_counts:
            passed = pick(inputs, pick(clicked, moved_clicks))
            states = torch.cat(
                [states, run("states", passed, windows.move_counts, pick(states, moved))]
            )
        read = pick(inputs, pick(clicked, steps))
        found = run("forward", read, windows.sizes, pick(states, starts))
        outputs = torch.empty_like(found)
        outputs[scored] = found
        return outputs

    def _block_own(
        self,
        queries: Sequence[Query],
        visitors: Visitors,
        blocked: Blocked,
        clicks: Tensor,
        places: Whole | None,
    ) -> None:
        """Block what the queries leave out of their own sessions."""
        rows, window = clicks.cpu().numpy(), self._model.sessions.window
        current = np.where(visitors.last >= 0, visitors.last, rows[:, window - 1])
        for at, query in enumerate(queries):
            if query.exclude == "current":
                blocked[at, current[at]] = True
            elif query.exclude == "session":
                blocked[at, rows[at]] = True
                if places is not None:
                    blocked[at, self._own_rows(places[at])] = True

    def _own_rows(self, place: Whole) -> Whole:
        """Return the rows of the distinct items that the memory keeps of a session."""
        admissions = self._model.vocabulary.admissions
        own = place[OWN_ITEMS : OWN_ITEMS + place[DISTINCT]]
        rows = own & ROW
        known = rows < len(admissions)
        own, rows = own[known], rows[known]
        live: Whole = rows[admissions[rows] == own >> SHIFT]
        return live
