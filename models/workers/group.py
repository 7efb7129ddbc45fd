"""The processes that share a model, and the few exchanges between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import HOST
from .messages import FIRST, Arrays, Message, decode, encode, length_of
from .packing import Form, form_of, pack, unpack

MOST_WORKERS = 64


class LostWorker(RuntimeError):  # noqa: N818
    """An exchange with the other workers failed: one has ended, hangs, or cannot be reached."""


class Group:
    """Some processes with a rank each, of which rank 0 leads.

    Every rank takes part in every exchange, in the same order. What is summed is summed in the
    order of the ranks, so that all get the same bits.

    Parameters
    ----------
    process_group
        Of `torch.distributed`, with its backend and its time limit; None: this process is alone.

    Attributes
    ----------
    rank, size
        Which process this is, and how many there are.
    busy
        Processor seconds of each rank's computations, as far as rank 0 has been told.

    Raises
    ------
    ValueError
        There are more processes than item tables can be spread over.

    """

    def __init__(self, process_group: dist.ProcessGroup | None = None) -> None:
        self._group = process_group
        self.rank = dist.get_rank(process_group) if process_group else 0
        self.size = dist.get_world_size(process_group) if process_group else 1
        if self.size > MOST_WORKERS:
            raise ValueError(f"{self.size} are too many: start {MOST_WORKERS} at most")
        self.backend = dist.get_backend(process_group) if process_group else "none"
        self._device = torch.device("cuda") if self.backend == "nccl" else HOST
        self._stopped = False
        self._bytes: defaultdict[str, int] = defaultdict(int)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._rounds = 0
        self.busy = [0.0] * self.size

    @contextmanager
    def _exchanging(self, phase: str, sent: int) -> Iterator[None]:
        if self._stopped:
            raise LostWorker("the workers have been stopped")
        began = perf_counter()
        try:
            yield
        except RuntimeError as error:  # torch's own errors of a group are of this kind, too.
            self._stopped = True
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LostWorker(f"a worker was lost, or did not answer in time: {reason}") from error
        self._seconds[phase] += perf_counter() - began
        self._bytes[phase] += sent
        self._rounds += 1

    def exchange(
        self, phase: str, outgoing: Sequence[Sequence[Tensor]], incoming: Sequence[Sequence[Form]]
    ) -> list[list[Tensor]]:
        """Send each rank some tensors, and return what each rank sends.

        Parameters
        ----------
        phase
            What the time and the bytes are counted as.
        outgoing
            For each rank what it is sent.
        incoming
            For each rank the forms of what it sends.

        """
        own = list(outgoing[self.rank])
        if self.size == 1:
            return [own]
        received = self._all_to_all(phase, outgoing, incoming)
        return [
            own if rank == self.rank else unpack(run, forms)
            for rank, (run, forms) in enumerate(zip(received, incoming, strict=True))
        ]

    def _all_to_all(
        self, phase: str, outgoing: Sequence[Sequence[Tensor]], incoming: Sequence[Sequence[Form]]
    ) -> Sequence[Tensor]:
        runs: dict[int, Tensor] = {}
        parts = []
        for rank, tensors in enumerate(outgoing):
            if rank == self.rank:
                continue
            if id(tensors) not in runs:
                runs[id(tensors)] = pack(tensors)
            parts.append(runs[id(tensors)])
        sizes = [len(part) for part in parts]
        sizes.insert(self.rank, 0)
        room = [sum(form.size for form in forms) for forms in incoming]
        room[self.rank] = 0
        sent = torch.cat(parts)
        device = sent.device
        received = torch.empty(sum(room), dtype=torch.uint8, device=self._device)
        with self._exchanging(phase, len(sent)):
            there = sent.to(self._device)
            dist.all_to_all_single(received, there, room, sizes, group=self._group)
        found: Sequence[Tensor] = received.to(device).split(room)
        return found

    def gather(self, phase: str, tensor: Tensor, counts: Sequence[int]) -> Tensor:
        """Return the rows of all ranks, in the order of the ranks, at every rank.

        Parameters
        ----------
        phase
            As in `exchange`.
        tensor
            This rank's rows.
        counts
            How many rows each rank has.

        """
        if self.size == 1:
            return tensor
        forms = [[Form((count, *tensor.shape[1:]), tensor.dtype)] for count in counts]
        return torch.cat([part for (part,) in self.exchange(phase, [[tensor]] * self.size, forms)])

    def sum_in_order(
        self,
        phase: str,
        whole: Sequence[Tensor],
        split: Sequence[tuple[Tensor, Sequence[int]]] = (),
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return sums over the ranks, added in the order of the ranks: the same bits everywhere.

        Parameters
        ----------
        phase
            As in `exchange`.
        whole
            Tensors of which every rank gets the sum.
        split
            Tensors of which each rank gets the sum of its own rows, those of rank 0 first, and how
            many rows each rank has.

        """
        if self.size == 1:
            return list(whole), [tensor for tensor, _ in split]
        # Each rank sums a part for all, unless sending all to the other rank is as little.
        shared = self.size > 2
        pieces = [self._pieces(tensor) if shared else [tensor] * self.size for tensor in whole]
        rows = [tensor.split(list(counts)) for tensor, counts in split]
        outgoing = [
            [*(piece[rank] for piece in pieces), *(part[rank] for part in rows)]
            for rank in range(self.size)
        ]
        forms = [form_of(tensor) for tensor in outgoing[self.rank]]
        sums: list[Tensor] = []
        for parts in zip(*self.exchange(phase, outgoing, [forms] * self.size), strict=True):
            total = parts[0].clone()
            for part in parts[1:]:
                total += part
            sums.append(total)
        found, own = sums[: len(whole)], sums[len(whole) :]
        if shared and whole:
            forms = forms[: len(whole)]
            gathered = self.exchange(phase, [found] * self.size, [forms] * self.size)
            found = [
                torch.cat(parts)[: tensor.numel()].view(tensor.shape)
                for tensor, parts in zip(whole, zip(*gathered, strict=True), strict=True)
            ]
        return found, own

    def _pieces(self, tensor: Tensor) -> Sequence[Tensor]:
        size = -(-tensor.numel() // self.size)
        flat = tensor.new_zeros(size * self.size)
        flat[: tensor.numel()] = tensor.reshape(-1)
        return flat.split(size) if size else [flat] * self.size

    def tell(self, kind: Message, arrays: Arrays = ()) -> None:
        """Send the other ranks a message, at rank 0."""
        if self.size == 1:
            return
        run = encode(kind, arrays)
        phase = kind.name.lower()
        self._broadcast(run[:FIRST], phase)
        if len(run) > FIRST:
            self._broadcast(run[FIRST:], phase)

    def listen(self) -> tuple[Message, list[NDArray[np.generic]]]:
        """Wait for what rank 0 tells, at any other rank."""
        run = self._broadcast(torch.empty(FIRST, dtype=torch.uint8), "listen")
        rest = length_of(run) - FIRST
        if rest > 0:
            room = torch.empty(rest, dtype=torch.uint8)
            run = torch.cat([run, self._broadcast(room, "listen")])
        return decode(run)

    def _broadcast(self, run: Tensor, phase: str) -> Tensor:
        with self._exchanging(phase, run.nbytes if self.rank == 0 else 0):
            there = run.to(self._device)
            dist.broadcast(there, group=self._group, group_src=0)
        return there.to(run.device)

    def send_nothing(self) -> None:
        """Send word that rank 0 still leads; only between batches, at rank 0."""
        self.tell(Message.NOTHING)

    def stop(self) -> None:
        """End `serve` at the other ranks; of no effect once a worker is lost."""
        if not self._stopped:
            with suppress(LostWorker):
                self.tell(Message.STOP)
        self._stopped = True

    def stats(self) -> dict[str, Any]:
        """Return how many workers there are, and what their exchanges have taken at this rank."""
        return {
            "workers": self.size,
            "backend": self.backend,
            "rounds": self._rounds,
            "bytes": dict(self._bytes),
            "seconds": dict(self._seconds),
            "busy": list(self.busy),
        }
