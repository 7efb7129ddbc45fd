"""One rank: its part of the tables and of a batch's computations."""

from __future__ import annotations

from functools import partial
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..gru4rec.config import GRU4RecConfig
from ..gru4rec.mixed_precision import Precision
from ..gru4rec.network import GRU4Rec
from ..gru4rec.parts import input_size
from ..gru4rec.trainer import Gradients, Updater
from ..items.item_table import ItemVectors
from ..items.table import pick
from ..optim import make_rule
from .buckets import Buckets
from .group import Group
from .learning import CandidateLoss, clip_together
from .packing import Form
from .plan import Plan
from .ranking import Ranks, make_ranks
from .recall import Recall
from .shard import SessionStates, part_of
from .step import Fetched, Forward, Outcome, Step, fetch_order

Whole = NDArray[np.int64]


class Worker:
    """A rank's shard of the items and of the sessions, with the whole network and the memory.

    Parameters
    ----------
    config
        Of the model.
    group
        The ranks.
    network
        With its first weights, which are the same at every rank.
    seed
        Of the memory.
    device, dtype
        Where and in which arithmetic the rank computes, see `OnlineGRU4Rec`.

    """

    def __init__(
        self,
        config: GRU4RecConfig,
        group: Group,
        network: GRU4Rec,
        seed: int,
        device: torch.device,
        dtype: str,
    ) -> None:
        self.config = config
        self.group = group
        self.device = device
        self.buckets = Buckets(group.size, group.rank)
        self.network = network
        self.precision = Precision(network, dtype)
        self.dtype = self.precision.kept
        network.to(device, self.dtype)
        self.items = ItemVectors(
            config.output_size,
            input_size(config),
            config.item_spread,
            make_rule(config.optimizer, config.item_learning_rate, config.momentum),
            device,
            self.dtype,
        )
        self.updater = Updater(config, network, self.items)
        self.states = SessionStates(network.width, device, self.dtype)
        self.recall = Recall(config, seed, self.buckets, group.rank) if config.memory else None

    def to_device(self, array: NDArray[np.generic]) -> Tensor:
        """Return an array where the rank computes."""
        return torch.from_numpy(array).to(self.device)

    @torch.no_grad()
    def step(self, plan: Plan) -> Outcome:
        """Do the rank's part of a batch; every rank does it with the same plan."""
        began = process_time()
        self.evict(plan.evicted)
        step = Step(plan, self.buckets, self.group.rank)
        if self.recall:
            self.recall.look_up(step)
        self._begin_items(step)
        fetched = self._fetch(step)
        forward = self._forward(step, fetched)
        outcome = Outcome()
        gradients = None
        if step.m:
            outcome, gradients = self._score(step, fetched, forward)
        if step.learn:
            if gradients:
                self.updater.update(gradients)
            self.states.keep(plan.slots, step.mine, forward.ends)
        else:
            self._clear(plan.new_rows)
        if self.recall:
            self.recall.close(step)
        self.group.busy[self.group.rank] += process_time() - began
        return outcome

    def _begin_items(self, step: Step) -> None:
        """Begin the rank's new items."""
        places = self.buckets.used(step.used)
        for table in self.items.tables.values():
            table.reserve(places)
        if len(step.new):
            drawn = step.plan.drawn.reshape(len(step.plan.new_rows), -1)[step.new]
            self.items.begin(self.to_device(step.new_places), self.to_device(drawn))

    def evict(self, rows: Whole) -> None:
        """Clear the rows of items that have left the catalogue."""
        self._clear(rows)
        if self.recall:
            self.recall.admissions[rows] = 0

    def _clear(self, rows: Whole) -> None:
        own = rows[self.buckets.owners(rows) == self.group.rank]
        if len(own):
            self.items.clear_vectors(self.to_device(self.buckets.places(own)))

    def _fetch(self, step: Step) -> Fetched:
        """Fetch the rows that the network reads; add to new items what their neighbours have."""
        plan = step.plan
        rows, counts, places = fetch_order(plan, self.buckets)
        table = self.items.inputs.values
        values = torch.cat(
            [table.new_zeros((1, table.shape[1])), self._gather(table, rows, counts)]
        )
        fetched = Fetched(values, rows, counts, *places)
        if len(plan.new_rows):
            share = self.config.neighbour_init
            near = share * pick(values, self.to_device(fetched.neighbours))
            own, at = self.to_device(step.new), self.to_device(step.new_places)
            table[at] += near[own]
            values[self.to_device(fetched.new)] += near
            if not self.items.tied:
                self._add_neighbours(step, self.items.embedding.values)
        return fetched

    def _add_neighbours(self, step: Step, table: Tensor) -> None:
        neighbours = step.plan.neighbours
        order = np.argsort(self.buckets.owners(neighbours), kind="stable")
        counts = np.bincount(self.buckets.owners(neighbours), minlength=self.group.size).tolist()
        near = torch.empty((len(neighbours), table.shape[1]), dtype=table.dtype, device=self.device)
        near[self.to_device(order)] = self._gather(table, neighbours[order], counts)
        own = near[self.to_device(step.new)]
        table[self.to_device(step.new_places)] += self.config.neighbour_init * own

    def _gather(self, table: Tensor, rows: Whole, counts: list[int]) -> Tensor:
        """Return rows of a table from the ranks that have them, in the order of these."""
        begin = sum(counts[: self.group.rank])
        own = rows[begin : begin + counts[self.group.rank]]
        return self.group.gather(
            "rows", pick(table, self.to_device(self.buckets.places(own))), counts
        )

    def _forward(self, step: Step, fetched: Fetched) -> Forward:
        """Run the network over the windows of the rank's sessions."""
        plan, mine = step.plan, step.mine
        held = self.states.read(plan.before[mine])
        # Where a state is found by the plan's numbers: the sessions', then those after moves.
        place_of = np.zeros(len(mine) + len(plan.moved_clicks), np.int64)
        place_of[np.flatnonzero(mine)] = np.arange(len(held))
        move_counts, moved = part_of(plan.move_counts, mine[plan.moved_sessions])
        if len(moved):
            place_of[len(mine) + moved] = len(held) + np.arange(len(moved))
            before = plan.moved_sessions[mine[plan.moved_sessions]]
            inputs = pick(fetched.values, self.to_device(fetched.moved[moved]))
            starts = pick(held, self.to_device(place_of[before]))
            after = self.precision.run("states", inputs, move_counts.tolist(), starts)
            held = torch.cat([held, after])
        starts = pick(held, self.to_device(place_of[plan.starts[mine[plan.group]]]))
        ends = pick(held, self.to_device(place_of[plan.next_start[mine]]))
        inputs = pick(fetched.values, self.to_device(fetched.steps[step.steps]))
        outputs = inputs.new_zeros((0, self.config.output_size))
        if len(starts):
            with torch.set_grad_enabled(step.learn and not self.network.random):
                inputs.requires_grad_(torch.is_grad_enabled())
                outputs = self.precision.run("forward", inputs, step.sizes.tolist(), starts)
        return Forward(starts, inputs, outputs, ends)

    def _train_outputs(self, step: Step, forward: Forward) -> Tensor:
        """Return the outputs to learn by: with dropout those of another pass."""
        if not self.network.random or not len(forward.starts):
            return forward.outputs
        generator = torch.Generator()
        generator.set_state(torch.from_numpy(step.plan.dropping))
        draw = partial(draw_part, generator, len(step.plan.steps), step.steps)
        forward.inputs.requires_grad_()
        with torch.enable_grad():
            return self.precision.run(
                "forward", forward.inputs, step.sizes.tolist(), forward.starts, draw
            )

    def _score(
        self, step: Step, fetched: Fetched, forward: Forward
    ) -> tuple[Outcome, Gradients | None]:
        """Rank the scored clicks, and return what they teach."""
        learned = step.learn and len(step.known) > 0
        own = training = forward.outputs
        outputs = self.group.gather("outputs", own.detach(), step.counts)
        shared = outputs
        if learned and self.network.random:
            training = self._train_outputs(step, forward)
            shared = self.group.gather("outputs", training.detach(), step.counts)
        ranks = make_ranks(self, step, outputs) if step.about.rank else None
        loss = CandidateLoss(self, step, shared) if learned else None
        self._share_scores(step, ranks, loss)
        by_output = loss.by_output() if loss else None
        whole = [ranks.counts().to(self.device)] if ranks else []
        if ranks and self.recall:
            whole.append(self.to_device(self.recall.gradient))
        gradients = None
        if loss and by_output is not None:
            dense, by_input = self._backward(step, training, forward.inputs, by_output)
            flat = torch.cat([of.reshape(-1) for of in dense])
            by_row = by_input.new_zeros((len(fetched.read) + 1, by_input.shape[1]))
            # What no item is read as has no gradient: its place is 0, and is left out.
            places = fetched.place_of[fetched.steps[step.steps]]
            by_row.index_add_(0, self.to_device(places), by_input)
            sums, (read,) = self.group.sum_in_order(
                "gradients", [*whole, flat], [(by_row[1:], fetched.read_counts)]
            )
            gradients = self._gradients(step, fetched, loss, sums.pop(), read)
        else:
            sums, _ = self.group.sum_in_order("gradients", whole)
        if not ranks:
            return Outcome(), gradients
        if self.recall and step.learn:
            self.recall.learn(step, sums[1].cpu().numpy())
        return ranks.finish(sums[0]), gradients

    def _share_scores(self, step: Step, ranks: Ranks | None, loss: CandidateLoss | None) -> None:
        """Exchange what each rank's scores add to the softmax of the loss, and to the ranking."""
        size = self.group.size
        outgoing: list[list[Tensor]] = [[] for _ in range(size)]
        incoming: list[list[Form]] = [[] for _ in range(size)]
        for part in (loss, ranks):
            if part:
                part.offer(outgoing, incoming)
        received = self.group.exchange("scores", outgoing, incoming)
        for part in (loss, ranks):
            if part:
                part.take(received)

    def _backward(
        self, step: Step, outputs: Tensor, inputs: Tensor, by_output: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Return the gradients by the network's weights and by what it has read."""
        weights = self.updater.weights
        if not len(outputs):
            return [torch.zeros_like(weight) for weight in weights], torch.zeros_like(inputs)
        *dense, by_input = torch.autograd.grad(outputs, [*weights, inputs], by_output)
        return dense, by_input

    def _gradients(
        self, step: Step, fetched: Fetched, loss: CandidateLoss, flat: Tensor, read: Tensor
    ) -> Gradients:
        weights = self.updater.weights
        parts = flat.split([weight.numel() for weight in weights])
        dense = [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]
        begin = sum(fetched.read_counts[: self.group.rank])
        rows = fetched.rows[fetched.read[begin : begin + len(read)]]
        of_read = self.to_device(self.buckets.places(rows)), read
        touched = self.updater.sum_by_row(of_read, loss.by_candidate, loss.by_score)
        if self.config.clip:
            clip_together(self.group, dense, touched, self.config.clip)
        return Gradients(tuple(dense), touched)


def draw_part(generator: torch.Generator, steps: int, own: Whole, shape: torch.Size) -> Tensor:
    """Draw random numbers for all steps of a batch, and return those of a rank's own."""
    drawn = torch.rand((steps, *shape[1:]), generator=generator)
    return drawn[torch.from_numpy(own)]
