"""What is recommended to visitors who are asked for: rank 0 answers, with what the ranks have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.half_scores import scan
from ..compute.score_blocks import Scanned, join_sums
from ..gradient_model import diverged
from ..gru4rec.answering import Answering, Learner, PopularItems, Visitors
from ..items.best_items import Blocked, Whole, best_listed, limited
from ..items.item_table import SHIFT
from ..items.table import pick
from ..memory.evidence import Evidence
from ..memory.mixture import Mixture
from ..queries import Query
from ..ranking import wanted_for_lists
from ..windows import LastWindows, align_last_windows
from .buckets import bucket_of
from .messages import Arrays, Message
from .packing import Form
from .recall import spans_of
from .shard import in_order_of
from .worker import Worker


class Asked(NamedTuple):
    """What the ranks need to know of some queries.

    Parameters
    ----------
    numbers
        Rows of the catalogue in use; how many items are wanted of each rank; whether sums are.
    rows
        int64 (w,): the distinct rows that the network reads, rank 0's first.
    slots, buckets
        int64 (q,): of the queries' sessions, -1 where none is kept.
    special
        int64 (ranks,): how many special items each rank has.

    """

    numbers: Whole
    rows: Whole
    slots: Whole
    buckets: Whole
    special: Whole


class ShardedAnswering(Answering):
    """Answers queries from what all ranks have.

    Parameters
    ----------
    model
        The learner at rank 0. It must not learn meanwhile.
    popular
        The items for those whose sessions have no known click.
    worker
        Rank 0's part.

    """

    def __init__(self, model: Learner, popular: PopularItems, worker: Worker) -> None:
        super().__init__(model, popular)
        self._worker = worker

    def _of_sessions(
        self, queries: Sequence[Query], visitors: Visitors, blocked: Blocked, counts: Whole
    ) -> tuple[Whole, NDArray[np.float64]]:
        model, worker = self._model, self._worker
        windows = align_last_windows(visitors.kept, visitors.counts, model.sessions.window)
        stored, _ = model.sessions.kept_at(visitors.slots)
        clicks = self._clicks(stored, visitors, windows)
        evidence, places = self._evidence(visitors)
        self._block_own(queries, visitors, blocked, clicks, places)
        k, used = int(counts.max()), model.vocabulary.used
        flat = clicks.view(-1)
        read = [pick(flat, torch.from_numpy(of)) for of in (windows.steps, windows.moved_clicks)]
        rows, inverse = np.unique(torch.cat(read).numpy(), return_inverse=True)
        order, _ = in_order_of(worker.buckets.owners(rows), worker.group.size)
        place_of = np.empty_like(order)
        place_of[order] = np.arange(len(order))
        parts = np.split(place_of[inverse], [len(windows.steps)])
        found, special_order, asks = _requests(worker, evidence)
        asked = Asked(
            np.array([used, min(k, used), evidence is not None]),
            rows[order],
            visitors.slots,
            np.array([bucket_of(query.session) for query in queries], np.int64),
            np.array(asks, np.int64),
        )
        worker.group.tell(Message.ANSWER, list(asked))
        values, states = fetch(worker, asked)
        outputs = self._run(windows, values, states, [torch.from_numpy(of) for of in parts])
        received = scan_together(worker, asked, outputs, blocked, found)
        joined = _joined(received, special_order, len(queries))
        if joined.broken.any():
            raise diverged()
        return limited(*self._merge(evidence, blocked, joined, k), counts)

    def _evidence(self, visitors: Visitors) -> tuple[Evidence | None, Whole | None]:
        memory, admissions = self._model.memory, self._model.vocabulary.admissions
        if not memory:
            return None, None
        keys = visitors.rows + (admissions[visitors.rows] << SHIFT)
        asked = visitors.slots, visitors.ends, keys, visitors.times
        return memory.lookup_queries(*asked, admissions)

    def _run(
        self, windows: LastWindows, values: Tensor, states: Tensor, places: list[Tensor]
    ) -> Tensor:
        """Run the network to the end of each session: (q, size)."""
        run = self._model.precision.run
        steps, moved = (pick(values, of.to(values.device)) for of in places)
        starts, sessions = (
            torch.from_numpy(of).to(values.device)
            for of in (windows.starts, windows.moved_sessions)
        )
        if windows.move_counts:
            begun = pick(states, sessions)
            states = torch.cat([states, run("states", moved, windows.move_counts, begun)])
        found = run("forward", steps, windows.sizes, pick(states, starts))
        outputs = torch.empty_like(found)
        outputs[torch.from_numpy(windows.scored).to(found.device)] = found
        return outputs

    def _merge(
        self, evidence: Evidence | None, blocked: Blocked, joined: Scanned, k: int
    ) -> tuple[Whole, NDArray[np.float64]]:
        memory = self._model.memory
        if memory is None or evidence is None:
            return best_listed(joined.listed, joined.listed_rows, k)
        none = np.zeros(len(blocked), np.bool_)
        mixture = Mixture(memory, evidence, joined, none, np.zeros(len(blocked)))
        listed = mixture.probabilities(joined.listed)
        return best_listed(listed, joined.listed_rows, k, mixture.special(blocked))


def _pieces(spans: Whole) -> tuple[Whole, Whole]:
    """Return the query of each special item, and where it is."""
    by_place = np.argsort(spans[:, 0], kind="stable")
    lengths = (spans[:, 1] - spans[:, 0])[by_place]
    starts = np.repeat(spans[by_place, 0] - (np.cumsum(lengths) - lengths), lengths)
    return np.repeat(by_place, lengths), starts + np.arange(lengths.sum())


def _requests(
    worker: Worker, evidence: Evidence | None
) -> tuple[list[NDArray[np.int32]], Whole, list[int]]:
    """Return queries and rows of the special items by rank, their order, and how many."""
    size = worker.group.size
    if evidence is None:
        return [np.zeros((2, 0), np.int32)] * size, np.zeros(0, np.int64), [0] * size
    queries, at = _pieces(evidence.spans)
    rows = evidence.rows[at]
    order, counts = in_order_of(worker.buckets.owners(rows.astype(np.int64)), size)
    pairs = np.stack([queries[order], rows[order]]).astype(np.int32)
    return np.split(pairs, np.cumsum(counts)[:-1], axis=1), at[order], counts


def fetch(worker: Worker, asked: Asked) -> tuple[Tensor, Tensor]:
    """Return at rank 0 the rows that the network reads, and the sessions' states."""
    group, table = worker.group, worker.items.inputs.values
    counts = np.bincount(worker.buckets.owners(asked.rows), minlength=group.size).tolist()
    owners = worker.buckets.ranks_of(asked.buckets)
    begin = sum(counts[: group.rank])
    own = asked.rows[begin : begin + counts[group.rank]]
    parts = [
        pick(table, worker.to_device(worker.buckets.places(own))),
        worker.states.read(asked.slots[owners == group.rank]),
    ]
    incoming: list[list[Form]] = [[] for _ in counts]
    if not group.rank:
        for rank, count in enumerate(counts):
            live = int((owners == rank).sum())
            shapes = (count, table.shape[1]), (live, worker.network.width)
            incoming[rank] = [Form(shape, worker.dtype) for shape in shapes]
    outgoing = [parts if rank == 0 else [] for rank in range(group.size)]
    received = group.exchange("answer", outgoing, incoming)
    if group.rank:
        return parts[0], parts[1]
    states = parts[1].new_empty((len(owners), worker.network.width))
    for rank, (_, part) in enumerate(received):
        states[torch.from_numpy(np.flatnonzero(owners == rank)).to(states.device)] = part
    return torch.cat([part for part, _ in received]), states


def scan_together(
    worker: Worker,
    asked: Asked,
    outputs: Tensor | None,
    blocked: Blocked | None,
    special: list[NDArray[np.int32]] | None,
) -> list[list[Tensor]]:
    """Return at rank 0 what each rank has found; elsewhere all but the first are None."""
    group, queries = worker.group, len(asked.slots)
    used, k, sums = asked.numbers.tolist()
    places = worker.buckets.used(used)
    outgoing: list[list[Tensor]] = [[] for _ in range(group.size)]
    if outputs is not None and blocked is not None and special is not None:
        for rank in range(group.size):
            rows = worker.buckets.of(rank).rows(np.arange(worker.buckets.of(rank).used(used)))
            bits = np.packbits(blocked[:, rows], axis=1)
            parts = outputs, torch.from_numpy(bits), torch.from_numpy(special[rank])
            outgoing[rank] = [part.to(worker.device) for part in parts]
    forms = [
        Form((queries, worker.config.output_size), worker.dtype),
        Form((queries, -(-places // 8)), torch.uint8),
        Form((2, int(asked.special[group.rank])), torch.int32),
    ]
    incoming = [forms if rank == 0 else [] for rank in range(group.size)]
    vectors, bits_here, pairs = group.exchange("answer", outgoing, incoming)[0]
    barred = np.unpackbits(bits_here.cpu().numpy(), axis=1, count=places).astype(np.bool_)
    found = _scan(worker, vectors, barred, pairs.cpu().numpy(), k, bool(sums))
    best, scores = best_listed(found.listed, found.listed_rows, k)
    kind = found.highest.dtype
    sent = [
        found.highest,
        found.total,
        found.broken,
        found.special,
        worker.buckets.rows(best),
        scores,
    ]
    if not bool(sums):
        sent[:2] = np.zeros(queries, kind), np.zeros(queries)
    there = [torch.from_numpy(np.ascontiguousarray(of)).to(worker.device) for of in sent]
    incoming = [[] for _ in range(group.size)]
    if not group.rank:
        dtype = worker.dtype
        incoming = [
            [
                Form((queries,), dtype),
                Form((queries,), torch.float64),
                Form((queries,), torch.bool),
                Form((int(count),), dtype),
                Form((queries, k), torch.int64),
                Form((queries, k), torch.float64),
            ]
            for count in asked.special
        ]
    return group.exchange(
        "answer", [there if not rank else [] for rank in range(group.size)], incoming
    )


def _scan(
    worker: Worker,
    outputs: Tensor,
    barred: Blocked,
    pairs: NDArray[np.int32],
    k: int,
    sums: bool,
) -> Scanned:
    queries, places = len(outputs), worker.buckets.places(pairs[1].astype(np.int64))
    special = (spans_of(pairs[0], queries), places.astype(np.int32)) if sums else None
    wanted = wanted_for_lists(queries, k, barred, special)
    return scan(outputs, *worker.items.scoring(barred.shape[1]), wanted).scanned()


def _joined(received: list[list[Tensor]], order: Whole, queries: int) -> Scanned:
    highest, total, broken, special, rows, scores = (
        [part.cpu().numpy() for part in parts] for parts in zip(*received, strict=True)
    )
    most, sums = join_sums(np.stack(highest), np.stack(total))
    answers: NDArray[Any] = np.empty(len(order), most.dtype)
    answers[order] = np.concatenate(special)
    return Scanned(
        np.zeros(queries, np.int64),
        most,
        sums,
        answers,
        np.asarray(np.stack(broken).any(axis=0)),
        np.concatenate(scores, axis=1),
        np.concatenate(rows, axis=1).astype(np.int32),
    )


def answer_rank(worker: Worker, arrays: Arrays) -> None:
    """Do another rank's part in the answers to some queries."""
    asked = Asked(*arrays)  # type: ignore[arg-type]
    fetch(worker, asked)
    scan_together(worker, asked, None, None, None)
