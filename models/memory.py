"""What moments like this one led to of late, weighed against the network's forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .click_log import ClickLog, Written
from .habits import HABITS, NOWHERE, OWN, Habits, Id, Place, Trace
from .items import ItemTable
from .optim import Adagrad
from .table import pick
from .vocabulary import NO_ITEM

REACH = (32, 16, 8, 8)
"""How many earlier clicks are looked up on each of the session's last items, latest item first."""

AFTER, BEFORE = 3, 2
"""How many clicks after and before each of them are evidence."""

RECENT = 100
"""How many of the stream's latest clicks are evidence of what is in demand just now."""

LIKES = sum(REACH) * (AFTER + BEFORE)
PARTS = [LIKES, OWN - 1, RECENT]
"""How many pieces of evidence there are of each part."""

FACTS = HABITS + 4
"""What the gates go by: see `Trace.facts` and `Memory.facts`."""

TINY = 1e-12


class Evidence(NamedTuple):
    """What has been looked up for the scored clicks of a batch.

    Parameters
    ----------
    rows
        int64 (m, sum of PARTS): the items that evidence speaks for, `NO_ITEM` where it is void:
        earlier clicks' surroundings, the session's earlier items, the latest clicks.
    match
        bool (m, sum of REACH): before the earlier click stood what stands before it in the session.
    last
        int64 (m,): the session's last item, `NO_ITEM` where it has left the catalogue.
    facts
        (m, HABITS): see `Trace.facts`.

    """

    rows: Tensor
    match: Tensor
    last: Tensor
    facts: Tensor

    def of(self, clicks: slice) -> Evidence:
        """Give the evidence for some of the clicks."""
        return Evidence(*(column[clicks] for column in self))


class Noted(NamedTuple):
    """A batch as the log has it: how it continues it, the logged items, and what undoes it."""

    trace: Trace
    rows: Tensor
    stamps: Tensor
    written: Written


class Memory:
    """Learns how much to trust the network, and how much the evidence of late.

    Three parts have evidence, each of which shares its probability among the items it speaks for by
    weights that depend on where and how old the evidence is: *likes*, the clicks around the latest
    clicks on the session's own last items (as neighbours and sequential rules use them: Ludewig &
    Jannach, 2018, "Evaluation of session-based recommendation algorithms"); *own*, the session's
    earlier items; and *recent*, the stream's latest clicks. They are mixed with the network's
    softmax over the catalogue, ``m(i) = Σ_s g_s p_s(i)``, by gates that are a softmax of facts of
    the moment. Whether a click repeats the last item, or returns to an earlier one of its session,
    is foretold by itself (Ren et al., 2019, "RepeatNet"), by logistic regressions on the same
    facts, and the mixture shares out what is left::

        p(last) = r
        p(i)    = (1 − r) q m(i) / Σ_own m              for the session's earlier items
        p(i)    = (1 − r) (1 − q) m(i) / Σ_others m     for all others

    Gates, regressions and the logarithms of the weights follow the gradient of log p(clicked item),
    written out in `mixture.py`.

    Parameters
    ----------
    log
        The clicks of late.
    items
        The item tables.
    rate
        Adagrad's step size.
    device, dtype
        Of the weights.

    """

    def __init__(
        self,
        log: ClickLog,
        items: ItemTable,
        rate: float,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.log = log
        self.habits = Habits()
        self._items = items
        # For every earlier click: on which of the session's last items it is, and how late.
        pairs = [(item, turn) for item, reach in enumerate(REACH) for turn in range(reach)]
        self.item_of, self.turn_of = torch.tensor(pairs, device=device).T
        self._reached = self.turn_of * len(REACH) + self.item_of
        # Ages among the latest clicks are told apart by half octaves.
        self.age = torch.arange(1, RECENT + 1, device=device).log2().mul(2).long()
        offsets = [*range(AFTER), *range(1, BEFORE + 1)]
        gates = torch.zeros(len(PARTS) + 1, FACTS)
        gates[0, 0] = 1.0
        # What repeats and returns go by was alike on shops, news and travel: the odds that they
        # have on this item and in this session, and those that the mixture gives them.
        repeat, back = torch.zeros(FACTS + 1), torch.zeros(FACTS + 1)
        repeat[4], repeat[5], repeat[-1] = 0.3, 0.4, 0.3
        back[6], back[-1] = 0.2, 0.8
        start = {
            "gates": gates,
            "repeat": repeat,
            "return": back,
            "items": -0.7 * torch.arange(len(REACH)),
            "turns": -0.3 * torch.arange(1, max(REACH) + 1).log2(),
            "offsets": -0.5 * torch.tensor(offsets),
            "match": torch.ones(1),
            "own": -torch.arange(1, OWN).log(),
            "recent": -0.1 * torch.arange(int(self.age.max()) + 1),
        }
        # All weights are parts of one vector, which takes one step.
        self.vector = torch.cat([w.flatten() for w in start.values()]).to(device, dtype)
        self._sizes = [w.numel() for w in start.values()]
        self.weights = {
            name: part.view(start[name].shape)
            for name, part in zip(start, self.vector.split(self._sizes), strict=True)
        }
        self._rule = Adagrad(rate)
        self.memories = self._rule.memories(self.vector)

    def note(
        self,
        sessions: Sequence[Id],
        items: Sequence[int],
        rows: Tensor,
        stamps: Tensor,
        places: Mapping[Id, Place],
        after: bool = False,
    ) -> Noted:
        """Write a batch into the log, before it is scored; what is given back takes it out again.

        Parameters
        ----------
        sessions, items
            n of each, in stream order; the items stamped, on the host.
        rows, stamps
            int64 (n,): the items again, on the device.
        places
            Where the live sessions stand.
        after
            Tell how things stand after each click, not before it.

        """
        trace = self.habits.trace(sessions, items, places, self.log.count, after)
        logged = torch.from_numpy(trace.logged).to(rows.device)
        written = self.log.write(trace, stamps[logged], rows[logged])
        return Noted(trace, rows[logged], stamps[logged], written)

    def settle(self, noted: Noted) -> None:
        """Let what was noted last count for the batches to come."""
        self.log.settle(noted.stamps, noted.rows)
        self.habits.settle(noted.trace)

    def undo(self, noted: Noted) -> None:
        """Take back what was noted last."""
        self.log.undo(noted.written)

    @torch.no_grad()
    def recall(self, trace: Trace, clicks: NDArray[np.int64]) -> Evidence:
        """Look up the evidence for m clicks of the batch that was noted last.

        Parameters
        ----------
        trace
            How the batch continues the log.
        clicks
            int64 (m,): which of its clicks.

        """
        device = self.vector.device
        own, now, items, facts = (torch.from_numpy(c).to(device) for c in trace.of(clicks))
        log, at = self.log, self.log.at
        # Links are followed first and judged afterwards: one out of sight ends its chain.
        own_clicks = [own]
        for _ in REACH:
            own_clicks.append(at(log.previous, own_clicks[-1]))
        stamps = at(log.stamps, log.chain(own_clicks, now))
        session = self._items.unstamp(stamps)
        found = [log.latest_before(session[:-1], stamps[:-1], now)]
        for _ in range(1, max(REACH)):
            found.append(at(log.earlier, found[-1]))
        first = pick(log.chain(found, now).flatten(0, 1), self._reached).T
        near = []
        for column, steps in ((log.next, AFTER), (log.previous, BEFORE)):
            chain = [first]
            for _ in range(steps):
                chain.append(at(column, chain[-1]))
            near.append(log.chain(chain, now[:, None])[1:])
        around = torch.cat(near).permute(1, 2, 0)
        rows = self._items.unstamp(at(log.stamps, around))
        before_it = pick(session[1:], self.item_of).T
        match = (rows[:, :, AFTER] == before_it) & (before_it != NO_ITEM)
        latest = now[:, None] - 1 - torch.arange(RECENT, device=now.device)
        stamps = at(log.stamps, latest.where(log.sees(latest, now[:, None]), NOWHERE))
        own_rows = self._items.unstamp(items)
        parts = [rows.flatten(1), own_rows[:, 1:], self._items.unstamp(stamps)]
        return Evidence(torch.cat(parts, dim=1), match, own_rows[:, 0], facts.to(self.vector))

    def facts(self, evidence: Evidence, likes: Tensor, highest: Tensor) -> Tensor:
        """Tell what the gates go by: (c, FACTS).

        Besides what `Trace.facts` tells: the logarithm of the network's highest probability;
        whether, and the logarithm of how often, an earlier click has the same item before it; and
        that of the total weight of the likes.
        """
        matches = evidence.match.sum(dim=1).to(highest)
        here = [highest.clamp_min(TINY).log(), (matches > 0).to(highest), matches.log1p()]
        return torch.cat([evidence.facts, torch.stack([*here, likes.log1p()], dim=1)], dim=1)

    def weigh(self, evidence: Evidence) -> Tensor:
        """Weigh evidence: (c, sum of PARTS), 0 where it is void."""
        w = self.weights
        near = (w["items"][self.item_of] + w["turns"][self.turn_of])[:, None] + w["offsets"]
        bonus = torch.where(evidence.match, w["match"].exp(), 1.0)
        like = near.exp() * bonus[:, :, None]
        rest = torch.cat([w["own"], w["recent"][self.age]]).exp()
        weights = torch.cat([like.flatten(1), rest.expand(len(bonus), -1)], dim=1)
        return weights.mul_(evidence.rows != NO_ITEM)

    def gradient(self, into: dict[str, Tensor]) -> Tensor:
        """Put the gradients of all weights into one vector."""
        return torch.cat([into[name].flatten() for name in self.weights])

    def step(self, gradient: Tensor) -> None:
        """Take one step down a gradient, shaped like `vector`."""
        self._rule.step(self.vector, self.memories, gradient)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Copy the clicks in sight, what has been counted, the weights and their rule's memory."""
        log, count = self.log.state()
        habits, totals = self.habits.state()
        arrays = {
            **{f"log.{name}": array for name, array in log.items()},
            **{f"habits.{name}": torch.from_numpy(counts) for name, counts in habits.items()},
            "weights": self.vector.clone(),
            "sums": self.memories[0].clone(),
        }
        return arrays, {"logged": count, "totals": totals}

    def restore(self, arrays: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        parts: dict[str, dict[str, Tensor]] = {"log": {}, "habits": {}, "weights": {}, "sums": {}}
        for name, held in arrays.items():
            part, _, column = name.partition(".")
            parts[part][column] = held
        self.log.restore(parts["log"], values["logged"])
        counts = {name: held.cpu().numpy() for name, held in parts["habits"].items()}
        self.habits.restore(counts, values["totals"])
        self.vector.copy_(arrays["weights"])
        self.memories[0].copy_(arrays["sums"])
