from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.report.curves import join
from nextclick.stream.report.run_page import run_curves


def window(clicks: int, scored: int, time: float | None = 1.0) -> dict[str, Any]:
    return {"clicks": clicks, "time": time, "scored": scored}


def test_without_growing_windows_the_curve_is_that_of_the_windows() -> None:
    curves = join([window(100, 100), window(190, 90)], [[0.5, 0.25], [0.1, 0.2]])
    assert curves.clicks == [100, 190]
    assert curves.scored == [100, 90]
    assert curves.values.tolist() == [[0.5, 0.25], [0.1, 0.2]]


def test_a_last_window_hardly_begun_is_pooled_with_the_one_before() -> None:
    curves = join([window(100, 100), window(105, 5, 2.0)], [[0.5, 1.0]])
    assert (curves.clicks, curves.times, curves.scored) == ([105], [2.0], [105])
    assert curves.values.tolist() == [[pytest.approx(55 / 105)]]


def test_windows_show_what_growing_ones_before_them_do_not() -> None:
    growing = [window(50, 40), window(130, 80)]
    curves = join([window(100, 80), window(200, 80)], [[0.25, 0.5]], growing, [[0.5, 0.25]])
    # 60 hits of 160 clicks; 40 of the first 120.
    assert curves.clicks == [50, 130, 200]
    assert curves.scored == [40, 80, 40]
    assert curves.values.tolist() == [[0.5, 0.25, 0.5]]


def test_no_windows_are_curves_without_points() -> None:
    assert join([], [[], []]).values.shape == (2, 0)
    assert join([], []).clicks == []
    assert join([window(9, 9)], [[0.5]]).values.tolist() == [[0.5]]


@given(st.integers(1, 30_000), st.integers(1, 2_000))
def test_the_points_of_a_run_cover_every_scored_click_once(scored: int, size: int) -> None:
    ranks = np.random.default_rng(0).integers(0, 31, scored)
    figures = Prequential(window=size)
    figures.update(ranks, np.arange(2, scored + 2), np.arange(scored, dtype=float))
    results = figures.results()
    names, curves = run_curves(results)
    assert names == ["Recall@20", "MRR@20"]
    assert sum(curves.scored) == scored
    assert curves.clicks == sorted(set(curves.clicks))
    assert curves.clicks[-1] == scored + 1
    totals = curves.values @ np.array(curves.scored) / scored
    assert totals.tolist() == pytest.approx([results["recall@20"], results["mrr@20"]])
