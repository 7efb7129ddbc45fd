"""What moments like this one led to of late, weighed against the network's forecast."""

from __future__ import annotations

import torch
from torch import Tensor

from .click_log import NOWHERE, ClickLog
from .items import ItemTable
from .optim import Adagrad
from .vocabulary import NO_ITEM

REACH = (32, 16, 8, 8)
"""How many earlier clicks are looked up on each of the session's last items, latest item first."""

AFTER, BEFORE = 3, 2
"""How many clicks after and before each of them are evidence."""

RECENT = 100
"""How many of the stream's latest clicks are evidence of what is in demand just now."""

FACTS = 8
"""What the gates go by: see `Recollection.facts`, and how much evidence of likes there is."""

TINY = 1e-12


class Memory:
    """Learns how much to trust the network, and how much the evidence of late.

    The forecast is a mixture, ``p(i) = Σ_s g_s p_s(i)``, of four: the network's softmax over the
    catalogue; the clicks around the latest clicks on the session's own last items (as
    neighbours and sequential rules use them: Ludewig & Jannach, 2018, "Evaluation of
    session-based recommendation algorithms"); the session's own last items; and the stream's
    latest clicks. Each of the last three shares its probability among its evidence by weights
    that depend on where and how old the evidence is. Gates (a softmax over facts of the moment)
    and the logarithms of the weights follow the gradient of log p(clicked item).

    Parameters
    ----------
    log
        The clicks of late.
    items
        The item tables.
    window
        How many of the session's own last clicks are evidence.
    rate
        Adagrad's step size.
    device, dtype
        Of the weights.

    """

    def __init__(
        self,
        log: ClickLog,
        items: ItemTable,
        window: int,
        rate: float,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.log = log
        self.window = window
        self._items = items
        # For every earlier click: on which of the session's last items it is, and how late.
        pairs = [(item, turn) for item, reach in enumerate(REACH) for turn in range(reach)]
        self._item_of, self._turn_of = torch.tensor(pairs, device=device).T
        # Ages among the latest clicks are told apart by half octaves.
        self._age = torch.arange(1, RECENT + 1, device=device).log2().mul(2).long()
        offsets = [*range(AFTER), *range(1, BEFORE + 1)]
        gates = torch.zeros(4, FACTS)
        gates[0, 0] = 1.0
        start = {
            "gates": gates,
            "items": -0.7 * torch.arange(len(REACH)),
            "turns": -0.3 * torch.arange(1, max(REACH) + 1).log2(),
            "offsets": -0.5 * torch.tensor(offsets),
            "match": torch.ones(1),
            "own": -0.5 * torch.arange(window),
            "recent": -0.1 * torch.arange(int(self._age.max()) + 1),
        }
        self.weights = {n: w.to(device, dtype).requires_grad_() for n, w in start.items()}
        self._rule = Adagrad(rate)
        self.memories = {n: self._rule.memories(w.detach()) for n, w in self.weights.items()}

    def recall(
        self, own: Tensor, now: Tensor, repeats: Tensor, window: Tensor, targets: Tensor
    ) -> Recollection:
        """Look up the evidence for m clicks.

        Parameters
        ----------
        own, now, repeats
            int64 (m,), see `Trace`.
        window
            int64 (m, K): rows of the session's last clicks, latest first, `NO_ITEM` where there
            are fewer.
        targets
            int64 (m,): the clicked items' rows.

        """
        rows, match = self._look_up(own, now, window)
        return Recollection(self, rows, match, repeats, targets)

    @torch.no_grad()
    def _look_up(self, own: Tensor, now: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Give the items that evidence speaks for, and where the item before it agrees too.

        Returns
        -------
        rows
            int64 (m, e), `NO_ITEM` where evidence is void: p earlier clicks' surroundings, the
            session's own clicks, the latest clicks.
        match
            bool (m, p): before the earlier click stood what stands before it in the session.

        """
        log, at = self.log, self.log.at
        # Links are followed first and judged afterwards: one out of sight ends its chain.
        own_clicks = [own]
        for _ in REACH:
            own_clicks.append(at(log.previous, own_clicks[-1]))
        clicks = log.chain(own_clicks, now)
        stamps = at(log.stamps, clicks)
        session = self._items.unstamp(stamps)
        found = [log.latest_before(session[:-1], stamps[:-1], now)]
        for turn in range(1, max(REACH)):
            found.append(at(log.earlier, found[-1][: sum(turn < reach for reach in REACH)]))
        earlier = []
        for item, reach in enumerate(REACH):
            earlier.append(log.chain([turn[item] for turn in found[:reach]], now))
        first = torch.cat(earlier).T
        near = []
        for column, steps in ((log.next, AFTER), (log.previous, BEFORE)):
            chain = [first]
            for _ in range(steps):
                chain.append(at(column, chain[-1]))
            near.append(log.chain(chain, now[:, None])[1:])
        around = torch.cat(near).permute(1, 2, 0)
        rows = self._items.unstamp(at(log.stamps, around))
        before_it = session.T[:, 1:][:, self._item_of]
        match = (rows[:, :, AFTER] == before_it) & (before_it != NO_ITEM)
        latest = now[:, None] - 1 - torch.arange(RECENT, device=now.device)
        stamps = at(log.stamps, latest.where(log.sees(latest, now[:, None]), NOWHERE))
        return torch.cat([rows.flatten(1), window, self._items.unstamp(stamps)], dim=1), match

    def weigh(self, rows: Tensor, match: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh evidence and forecasts.

        Parameters
        ----------
        rows, match
            int64 (c, e) and bool (c, p), see `Recollection`.
        facts
            (c, FACTS - 1).

        Returns
        -------
        shares
            (c, e): the probability that each piece of evidence gives its item.
        gate
            (c,): what is left for the network's forecast.

        """
        w = self.weights
        near = (w["items"][self._item_of] + w["turns"][self._turn_of])[:, None] + w["offsets"]
        like = near.exp() * torch.where(match, w["match"].exp(), 1.0)[:, :, None]
        own, recent = (w["own"].exp(), w["recent"][self._age].exp())
        weights = torch.cat([like.flatten(1), torch.cat([own, recent]).expand(len(rows), -1)], 1)
        parts = (weights * (rows != NO_ITEM)).split([near.numel(), len(own), RECENT], dim=1)
        totals = torch.stack([part.sum(dim=1) for part in parts], dim=1)
        facts = torch.cat([facts, totals[:, :1].detach().log1p()], dim=1)
        void = torch.nn.functional.pad(totals <= 0, (1, 0))
        gates = (facts @ w["gates"].T).masked_fill(void, -torch.inf).softmax(dim=1)
        scales = (gates[:, 1:] / totals.clamp_min(TINY)).split(1, dim=1)
        shares = [part * scale for part, scale in zip(parts, scales, strict=True)]
        return torch.cat(shares, dim=1), gates[:, 0]

    def learn(self, loss: Tensor) -> None:
        """Take one step down the gradient of a loss made of what `weigh` gave."""
        gradients = torch.autograd.grad(loss, list(self.weights.values()))
        with torch.no_grad():
            for (name, weight), gradient in zip(self.weights.items(), gradients, strict=True):
                self._rule.step(weight, self.memories[name], gradient)

    def state(self) -> tuple[dict[str, Tensor], int]:
        """Copy the clicks in sight, the weights and what their rule remembers."""
        log, count = self.log.state()
        sums = {f"{name}.sums": memories[0] for name, memories in self.memories.items()}
        weights = {n: tensor.detach().clone() for n, tensor in {**self.weights, **sums}.items()}
        return {**{f"log.{name}": array for name, array in log.items()}, **weights}, count

    @torch.no_grad()
    def restore(self, arrays: dict[str, Tensor], count: int) -> None:
        """Take back what `state` gave."""
        self.log.restore(
            {n.removeprefix("log."): a for n, a in arrays.items() if n.startswith("log.")}, count
        )
        for name, weight in self.weights.items():
            weight.copy_(arrays[name])
            self.memories[name][0].copy_(arrays[f"{name}.sums"])


class Recollection:
    """The evidence for the scored clicks of a batch, and what was made of it.

    Parameters
    ----------
    memory
        What weighs it.
    rows
        int64 (m, e): the items that evidence speaks for; `NO_ITEM` where it is void.
    match
        bool (m, p): before the earlier click stood what stands before it in the session.
    repeats
        int64 (m,): how often the session has just repeated its last item.
    targets
        int64 (m,): the clicked items' rows.

    """

    def __init__(
        self, memory: Memory, rows: Tensor, match: Tensor, repeats: Tensor, targets: Tensor
    ) -> None:
        self._memory = memory
        self._rows = rows
        self._match = match
        self._repeats = repeats
        self._targets = targets
        self._found: list[Tensor] = []

    def mix(self, scores: Tensor, clicks: slice) -> Tensor:
        """Make probabilities of the network's scores and the evidence; a `Mixer`."""
        rows, match, targets = self._rows[clicks], self._match[clicks], self._targets[clicks, None]
        mixed = scores.softmax(dim=1)
        highest = mixed.amax(dim=1)
        # Before the first item there is nothing to share the probability among.
        none = highest.isnan()
        network = mixed.gather(1, targets)[:, 0].masked_fill_(none, 0)
        highest.masked_fill_(none, 0)
        with torch.enable_grad():
            shares, gate = self._memory.weigh(rows, match, self.facts(highest, clicks))
            told = (shares * (rows == targets)).sum(dim=1)
            self._found.append(told + gate * network)
        mixed.mul_(gate.detach()[:, None]).scatter_add_(1, rows, shares.detach())
        return mixed.masked_fill_(scores == -torch.inf, -1)

    def facts(self, highest: Tensor, clicks: slice) -> Tensor:
        """Tell what the gates go by, where the network's highest probabilities are these.

        One; the logarithm of the session's length (within the window), and whether that is one;
        of its repeats; of the network's highest probability; whether, and the logarithm of how
        often, an earlier click has the same item before it.
        """
        window = self._memory.window
        own = self._rows[clicks, -window - RECENT : -RECENT] != NO_ITEM
        length = own.sum(dim=1).to(highest)
        matches = self._match[clicks].sum(dim=1).to(highest)
        facts = [
            torch.ones_like(length),
            length.clamp_min(1).log(),
            (length == 1).to(highest),
            self._repeats[clicks].to(highest).log1p(),
            highest.clamp_min(TINY).log(),
            (matches > 0).to(highest),
            matches.log1p(),
        ]
        return torch.stack(facts, dim=1)

    def learn(self, known: Tensor) -> None:
        """Teach the memory what was clicked: bool (m,), where the clicked item was known."""
        with torch.enable_grad():
            likelihood = torch.cat(self._found).clamp_min(TINY).log()
            loss = -likelihood.where(known, 0).sum() / known.sum().clamp_min(1)
        self._memory.learn(loss)
