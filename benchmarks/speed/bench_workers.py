"""What many workers cost and gain: one rank's share, planning, memory, and two against one.

``python -m benchmarks.speed.bench_workers share`` times what one rank of eight computes, with
exchanges that cost nothing, beside what one of one computes, in alternating turns;
``… planning`` the plans that rank 0 makes; ``… memory`` what a rank's items take;
``… pairs`` times one worker and two of torchrun's in turns, and needs two quiet cores. Each takes
less than three minutes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Annotated, Any

import numpy as np
import torch
import torch.distributed as dist
import typer
from torch import Tensor

from benchmarks.speed.bench_ranking import clicks
from nextclick.models import GRU4RecConfig
from nextclick.models.workers import Group, ShardedGRU4Rec, serve
from nextclick.models.workers.messages import encode
from nextclick.models.workers.packing import Form
from nextclick.models.workers.step import Outcome

app = typer.Typer(add_completion=False, help=__doc__)

ITEMS = Annotated[str, typer.Option(help="Sizes of the catalogue.")]
BATCHES = Annotated[str, typer.Option(help="Sizes of a batch.")]
MEMORY = Annotated[bool, typer.Option(help="With the memory of the latest clicks.")]

GROWTH = 16_384
"""Items that enter the catalogue at once before the clock starts."""


class FakeGroup(Group):
    """One rank of several whose exchanges cost nothing: it hears itself from all others.

    Parameters
    ----------
    size
        How many ranks there seem to be.

    Attributes
    ----------
    pretended
        Processor seconds that this has taken, which count as busy.

    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.busy = [0.0] * size
        self.pretended = 0.0

    def computed(self) -> float:
        """Return the processor seconds of this rank's own work."""
        return self.busy[0] - self.pretended

    def tell(self, kind: Any, arrays: Any = ()) -> None:
        """Tell nobody."""

    def exchange(
        self, phase: str, outgoing: Sequence[Sequence[Tensor]], incoming: Sequence[Sequence[Form]]
    ) -> list[list[Tensor]]:
        """Return what this rank sends itself, in the forms that the others would send."""
        began = time.process_time()
        own = list(outgoing[0])
        received = [own]
        for rank, forms in enumerate(incoming[1:], 1):
            parts = [_fitted(tensor, form) for tensor, form in zip(own, forms, strict=bool(forms))]
            if phase == "evidence" and len(parts) > 1 and len(own[0][0]):
                # Others ask for other clicks, and have the targets that are not here.
                first, m = int(own[0][0].max()) + 1, len(parts[-1])
                parts[0] = parts[0].clone()
                parts[0][0] = (parts[0][0] + rank * first) % m
                parts[2] = _elsewhere(parts[2])
            received.append(parts)
        self.pretended += time.process_time() - began
        return received


def _elsewhere(bars: Tensor) -> Tensor:
    """Return bars like those that are here for the clicks whose bar is not, and none for others."""
    here = bars > -torch.inf
    if not here.any():
        return bars
    like = bars[here][torch.arange(len(bars)) % int(here.sum())]
    return torch.where(here, -torch.inf, like)


def _fitted(tensor: Tensor, form: Form) -> Tensor:
    for dim, size in enumerate(form.shape):
        if tensor.shape[dim] != size:
            if not tensor.shape[dim]:
                return torch.zeros(form.shape, dtype=form.dtype)
            at = torch.arange(size) % tensor.shape[dim]
            tensor = tensor.index_select(dim, at)
    return tensor


def new_model(group: Group | None, memory: bool, **options: Any) -> ShardedGRU4Rec:
    """Return a model that knows nothing."""
    given: dict[str, Any] = options if memory else {**options, "memory": 0}
    config = GRU4RecConfig(**given)
    return ShardedGRU4Rec(config, group, max_items=10_000_000, device="cpu")


def grow(model: ShardedGRU4Rec, items: int) -> ShardedGRU4Rec:
    """Have a model know items which have been clicked once."""
    for begin in range(0, items, GROWTH):
        rows = list(range(begin, min(begin + GROWTH, items)))
        model.learn_many([-1 - row for row in rows], rows)
        model.forget([-1 - row for row in rows])
    return model


def batches(items: int, batch: int) -> Callable[[], tuple[list[int], list[int]]]:
    """Return what gives the next batch: its sessions and items."""
    stream = clicks(items)

    def following() -> tuple[list[int], list[int]]:
        part = list(islice(stream, batch))
        return [session for session, _, _ in part], [item for _, item, _ in part]

    return following


@app.command()
def share(
    items: ITEMS = "21282,200000",
    of_batches: BATCHES = "512,2048",
    workers: int = 8,
    turns: int = 9,
    memory: MEMORY = True,
) -> None:
    """Time what one rank of several computes, its exchanges for nothing."""
    torch.set_num_threads(1)
    slow = {"learning_rate": 1e-7, "item_learning_rate": 1e-7}
    for size in map(int, items.split(",")):
        # Learned by one, since what others would send makes no sense to learn from.
        trained, learn = grow(new_model(None, memory), size), batches(size, 512)
        for _ in range(40):
            trained.test_then_learn(*learn())
        state = trained.state()
        groups = {of: FakeGroup(of) for of in (1, workers)}
        models = {of: new_model(group, memory, **slow) for of, group in groups.items()}
        for model in models.values():
            model.restore(state)
        for batch in map(int, of_batches.split(",")):
            following = batches(size, batch)
            took: dict[int, list[float]] = {of: [] for of in models}
            for _ in range(turns + 2):
                sessions, rows = following()
                for of, model in models.items():
                    began = groups[of].computed()
                    model.test_then_learn(sessions, rows)
                    took[of].append(groups[of].computed() - began)
            one, other = (1e3 * statistics.median(of[2:]) for of in took.values())
            print(
                f"{size:>9,} items, batch {batch:5d}: {one:8.2f} ms alone, {other:7.2f} ms as one "
                f"of {workers}: 1/{one / other:.2f}",
                flush=True,
            )


@app.command()
def planning(
    items: ITEMS = "21282,1000000", of_batches: BATCHES = "128,512,2048", memory: MEMORY = True
) -> None:
    """Time rank 0's plans, from ids to bytes."""
    torch.set_num_threads(1)
    for size in map(int, items.split(",")):
        model = new_model(FakeGroup(8), memory)

        def no_step(plan: Any) -> Outcome:
            return Outcome(np.ones(len(plan.scored), np.int64))

        model._worker.step = no_step  # type: ignore[method-assign]
        model.group.tell = encode  # type: ignore[method-assign,assignment]
        grow(model, size)
        for batch in map(int, of_batches.split(",")):
            following = batches(size, batch)
            took = []
            for _ in range(max(10, 60_000 // batch)):
                part = following()
                began = time.process_time()
                model.test_then_learn(*part)
                took.append(time.process_time() - began)
            rate = batch / statistics.median(took)
            print(f"{size:>9,} items, batch {batch:5d}: {rate:10,.0f} clicks/s planned", flush=True)


@app.command()
def memory(items: int = 200_000, workers: str = "1,2,3,5,8") -> None:
    """Show what the items of a rank take, as part of what they take at one."""
    alone = None
    for size in map(int, workers.split(",")):
        worker = grow(new_model(FakeGroup(size), memory=False), items)._worker
        places = worker.buckets.used(items + 1)
        bytes_ = places * sum(table.row_size for table in worker.items.tables.values())
        held = sum(
            of.nbytes
            for table in worker.items.tables.values()
            for of in (table.values, *table.optimizer_state)
        )
        alone = alone or (bytes_, held)
        print(
            f"{size} workers: {bytes_ / alone[0]:.3f} of the rows' bytes, {held / alone[1]:.3f} of "
            f"what is allocated ({held / 1e6:.1f} MB)",
            flush=True,
        )


@app.command()
def pair(
    items: int, batch: int, turns: int = 3, seconds: float = 4.0, memory: MEMORY = True
) -> None:
    """Learn alone and with torchrun's other worker, in turns; print clicks/s of both."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(os.environ["RANK"]) % len(cores)]})
    dist.init_process_group("gloo")
    group = Group(dist.group.WORLD)
    if group.rank:
        serve(group, device="cpu")
    else:
        models = [grow(new_model(of, memory), items) for of in (None, group)]
        streams = [batches(items, batch) for _ in models]
        for model, following in zip(models, streams, strict=True):
            for _ in range(max(4, 3_000 // batch)):
                model.test_then_learn(*following())
        for _ in range(turns):
            for model, following in zip(models, streams, strict=True):
                learned, began = 0, time.perf_counter()
                while time.perf_counter() - began < seconds:
                    model.test_then_learn(*following())
                    learned += batch
                print(learned / (time.perf_counter() - began), flush=True)
        group.stop()
    dist.barrier()
    # gloo's threads may abort the process while Python ends; runs leave it in this way too.
    os._exit(0)


@app.command()
def pairs(
    cells: str = "200000:512,21282:512,21282:128", turns: int = 3, seconds: float = 4.0
) -> None:
    """Time one and two workers in turns; cells are items:batch."""
    for cell in cells.split(","):
        items, batch = cell.split(":")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", "2", "-m", __spec__.name, "pair", items, batch]
        command += ["--turns", str(turns), "--seconds", str(seconds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rates = [float(line) for line in done.stdout.split()]
        one, two = statistics.median(rates[::2]), statistics.median(rates[1::2])
        print(
            f"{int(items):>9,} items, batch {batch:>5}: {one:8,.0f} and {two:8,.0f} clicks/s with "
            f"1 and 2 workers: {two / one:.2f} ×",
            flush=True,
        )


if __name__ == "__main__":
    app()
