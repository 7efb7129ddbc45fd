from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models.compute import score_blocks, torch_scan
from nextclick.models.compute.score_blocks import BlockScan, Scanned, Wanted, join_sums
from nextclick.models.compute.torch_scan import TorchScan


@dataclass
class Case:
    """Scores of whole numbers, exact in float32, that often tie."""

    outputs: torch.Tensor
    embedding: torch.Tensor
    bias: torch.Tensor
    wanted: Wanted

    def scores(self) -> np.ndarray[Any, Any]:
        """Return the scores of what competes; minus infinity elsewhere."""
        scores = (self.outputs @ self.embedding.T + self.bias).double().numpy()
        for row, click in zip(self.wanted.new_rows, self.wanted.new_clicks, strict=True):
            scores[self.wanted.known_from <= click, row] = -np.inf
        return scores

    def special(self, click: int) -> list[int]:
        begin, end = self.wanted.spans[click]
        return [int(row) for row in self.wanted.rows[begin:end]]


def case(seed: int, clicks: int, rows: int, room: int = 8) -> Case:
    draw = np.random.default_rng(seed)
    bias = np.where(draw.random(rows) < 0.2, -np.inf, draw.integers(-2, 3, rows))
    bias[0] = -np.inf
    lengths = draw.integers(0, min(rows, 5), clicks)
    special = [draw.permutation(rows)[:length] for length in lengths]
    ends = lengths.cumsum()
    new = draw.permutation(rows)[: draw.integers(0, min(rows, 4))]
    wanted = Wanted(
        draw.integers(-4, 5, clicks).astype(np.float32),
        True,
        room,
        np.stack([ends - lengths, ends], axis=1).reshape(clicks, 2),
        np.concatenate([*special, []]).astype(np.int32),
        new.astype(np.int64),
        draw.integers(0, 2 * clicks + 1, len(new)),
        draw.permutation(2 * clicks)[:clicks],
    )
    outputs, embedding = draw.integers(-2, 3, (clicks, 3)), draw.integers(-2, 3, (rows, 3))
    one, two, three = (torch.from_numpy(of).float() for of in (outputs, embedding, bias))
    return Case(one, two, three, wanted)


def check(case: Case, found: Scanned) -> None:
    scores = case.scores()
    for click in range(len(scores)):
        special = case.special(click)
        begin, end = case.wanted.spans[click]
        assert found.special[begin:end].tolist() == scores[click, special].tolist()
        others = scores[click].copy()
        others[special] = -np.inf
        assert found.above[click] == (others >= case.wanted.bars[click]).sum()
        assert found.highest[click] == others.max()
        if others.max() > -np.inf:
            expected = np.exp(others - others.max()).sum()
            assert found.total[click] == pytest.approx(expected, rel=1e-6)
        assert not found.broken[click]


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 300), st.integers(1, 64))
def test_what_is_found_is_that_of_all_scores_at_once(
    seed: int, clicks: int, rows: int, block: int
) -> None:
    one = case(seed, clicks, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_blocks, "BLOCK_ROWS", block)
        patch.setattr(score_blocks, "MANY_ROWS", block)
        patch.setattr(torch_scan, "BLOCK_SCORES", block * clicks)
        arrays = one.outputs, one.embedding, one.bias, one.wanted
        check(one, TorchScan(*arrays).scanned())
        found = BlockScan(*arrays).scanned()
    check(one, found)
    for click, scores in enumerate(one.scores()):
        scores[one.special(click)] = -np.inf
        there = found.listed[click] > -np.inf
        listed = found.listed[click][there]
        most = sorted(scores[scores > -np.inf])[::-1][: one.wanted.room // 2]
        assert sorted(listed)[::-1][: len(most)] == most
        rows_listed = found.listed_rows[click][there]
        assert scores[rows_listed].tolist() == listed.tolist()
        assert len(set(rows_listed.tolist())) == len(rows_listed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 5000), st.floats(0, 1))
def test_scores_are_counted_from_a_later_bar_on_as_from_one_known_before(
    seed: int, clicks: int, rows: int, share: float
) -> None:
    one = case(seed, clicks, rows)
    draw = np.random.default_rng(seed)
    chosen = np.flatnonzero(draw.random(clicks) < 0.7)
    bars = draw.choice([-np.inf, -3.0, 0.0, 0.5, 2.0, 6.0, np.inf], len(chosen)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_blocks, "MOST_GROUPS", share)
        for kind in (BlockScan, TorchScan):
            scan = kind(one.outputs, one.embedding, one.bias, one.wanted)
            counts = scan.count(chosen, bars)
            for click, bar, count in zip(chosen, bars, counts, strict=True):
                scores = np.delete(one.scores()[click], one.special(int(click)))
                if bar > -np.inf:
                    assert count == (scores >= bar).sum()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(1, 3000), st.integers(1, 4))
def test_what_is_found_does_not_depend_on_how_many_threads_look(
    seed: int, clicks: int, rows: int, helpers: int
) -> None:
    one = case(seed, clicks, rows)
    arrays = one.outputs, one.embedding, one.bias, one.wanted
    alone, found = BlockScan(*arrays).scanned(), BlockScan(*arrays)
    threads = [threading.Thread(target=found.compute) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    together = found.scanned()
    for thread in threads:
        thread.join()
    for name in ("above", "highest", "total", "special", "broken"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))


def test_who_reads_waits_for_a_block_that_another_thread_works_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = case(1, 20, 2500)
    begun, go_on, plain = threading.Event(), threading.Event(), torch.addmm

    def slow(*arguments: Any, **named: Any) -> torch.Tensor:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            assert go_on.wait(60)
        return plain(*arguments, **named)

    monkeypatch.setattr(torch, "addmm", slow)
    found = BlockScan(one.outputs, one.embedding, one.bias, one.wanted)
    helper = threading.Thread(target=found.compute)
    helper.start()
    assert begun.wait(60)
    threading.Timer(0.1, go_on.set).start()
    scanned = found.scanned()
    helper.join()
    check(one, scanned)


def test_what_stops_one_thread_stops_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    one = case(1, 20, 5000)
    main, helped = threading.main_thread(), threading.Event()

    def broken(*_: Any, **__: Any) -> torch.Tensor:
        if threading.current_thread() is main:
            assert helped.wait(60)
            return one.outputs
        raise MemoryError("no room")

    monkeypatch.setattr(torch, "addmm", broken)
    found = BlockScan(one.outputs, one.embedding, one.bias, one.wanted)

    def fail() -> None:
        with pytest.raises(MemoryError):
            found.compute()
        helped.set()

    helper = threading.Thread(target=fail)
    helper.start()
    with pytest.raises(RuntimeError, match="another thread could not find the scores"):
        found.scanned()
    helper.join()


def test_few_outputs_are_scored_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, plain = [], torch.addmm

    def counted(*arguments: Any, **named: Any) -> torch.Tensor:
        calls.append(arguments)
        return plain(*arguments, **named)

    monkeypatch.setattr(torch, "addmm", counted)
    for count, pieces in ((4, 1), (200, 3)):
        calls.clear()
        one = case(1, count, 3 * score_blocks.BLOCK_ROWS)
        BlockScan(one.outputs, one.embedding, one.bias, one.wanted).scanned()
        assert len(calls) == pieces


@pytest.mark.parametrize("odd", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("scan", [BlockScan, TorchScan])
def test_a_score_that_is_no_number_is_told_even_of_a_special_item(
    scan: type[BlockScan | TorchScan], odd: float
) -> None:
    one = case(3, 6, 50)
    one.wanted.new_rows, one.wanted.new_clicks = np.array([7]), np.array([99])
    one.embedding[7], one.bias[7] = odd, odd
    found = scan(one.outputs, one.embedding, one.bias, one.wanted).scanned()
    assert not found.broken.any()
    one.wanted.new_clicks = np.array([-1])
    found = scan(one.outputs, one.embedding, one.bias, one.wanted).scanned()
    assert found.broken.all()


def test_sums_of_parts_join_to_the_sum_of_all() -> None:
    scores = np.random.default_rng(1).standard_normal((5, 40)) * 30
    scores[0] = scores[1, :20] = -np.inf
    parts = [scores[:, :20], scores[:, 20:]]
    highest = np.stack([part.max(axis=1) for part in parts])
    finite = np.where(np.isfinite(highest), highest, 0)
    shifted = (part - top[:, None] for part, top in zip(parts, finite, strict=True))
    total = np.stack([np.exp(part).sum(axis=1) for part in shifted])
    most, whole = join_sums(highest, total)
    assert most.tolist() == scores.max(axis=1).tolist()
    np.testing.assert_allclose(whole[1:], np.exp(scores[1:] - most[1:, None]).sum(axis=1))
    assert whole[0] == 0
