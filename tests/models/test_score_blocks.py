from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models import score_blocks as products
from nextclick.models.score_blocks import ScoreBlocks


def whole(count: int, rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    shapes = (count, 3), (rows, 3), (rows,)
    one, two, three = (torch.randn(of, generator=draw, dtype=torch.float64) for of in shapes)
    return one, two, three


@given(st.integers(0, 40), st.integers(1, 3000), st.integers(1, 4))
def test_the_scores_are_the_product_however_many_work_on_it(
    count: int, rows: int, helpers: int
) -> None:
    outputs, embedding, bias = whole(count, rows)
    found = ScoreBlocks(outputs, embedding, bias)
    threads = [threading.Thread(target=found.compute) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    scores = found.read(slice(0, count))
    for thread in threads:
        thread.join()
    torch.testing.assert_close(scores, outputs @ embedding.T + bias)


def test_who_takes_the_scores_waits_for_a_block_that_another_thread_works_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs, embedding, bias = whole(20, 2500)
    begun, go_on, plain = threading.Event(), threading.Event(), torch.addmm

    def slow(*arguments: Any, **named: Any) -> torch.Tensor:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            assert go_on.wait(60)
        return plain(*arguments, **named)

    monkeypatch.setattr(torch, "addmm", slow)
    found = ScoreBlocks(outputs, embedding, bias)
    helper = threading.Thread(target=found.compute)
    helper.start()
    assert begun.wait(60)
    threading.Timer(0.1, go_on.set).start()
    torch.testing.assert_close(found.read(slice(0, 20)), outputs @ embedding.T + bias)
    helper.join()


def test_what_stops_one_thread_stops_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, embedding, bias = whole(20, 5000)
    main, helped = threading.main_thread(), threading.Event()

    def broken(*_: Any, **__: Any) -> torch.Tensor:
        if threading.current_thread() is main:
            assert helped.wait(60)
            return outputs
        raise MemoryError("no room")

    monkeypatch.setattr(torch, "addmm", broken)
    found = ScoreBlocks(outputs, embedding, bias)

    def fail() -> None:
        with pytest.raises(MemoryError):
            found.compute()
        helped.set()

    helper = threading.Thread(target=fail)
    helper.start()
    with pytest.raises(RuntimeError, match="another thread could not find the scores"):
        found.read(slice(0, 20))
    helper.join()


def test_the_scores_are_dropped_once_all_have_read_theirs() -> None:
    outputs, embedding, bias = whole(20, 50)
    found = ScoreBlocks(outputs, embedding, bias, readers=2)
    first, second = found.read(slice(0, 12)), found.read(slice(12, 20))
    torch.testing.assert_close(torch.cat([first, second]), outputs @ embedding.T + bias)
    with pytest.raises(RuntimeError, match="have been taken"):
        found.read(slice(0, 12))


def test_few_outputs_are_scored_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, plain = [], torch.addmm

    def counted(*arguments: Any, **named: Any) -> torch.Tensor:
        calls.append(arguments)
        return plain(*arguments, **named)

    monkeypatch.setattr(torch, "addmm", counted)
    for count, pieces in ((products.FEW_OUTPUTS, 1), (products.FEW_OUTPUTS + 1, 3)):
        calls.clear()
        ScoreBlocks(*whole(count, 3 * products.BLOCK_ROWS)).read(slice(0, count))
        assert len(calls) == pieces
