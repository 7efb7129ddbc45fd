from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.stream.evaluation import prequential
from nextclick.stream.evaluation.metrics import Recall
from nextclick.stream.evaluation.prequential import Prequential

RANKS = st.lists(st.integers(0, 30), max_size=120)
WINDOWS = st.integers(1, 40)
SUMS = ("scored", "unseen", "recall@20", "mrr@20", "ndcg@20", "seen", "drift")
"""Figures that have nothing to do with windows."""


def feed(figures: Prequential, ranks: list[int], begin: int = 0) -> None:
    positions = np.arange(begin, begin + len(ranks)) + 1
    figures.update(ranks, positions, positions / 7)


def changed(ranks: list[int], cut: int, before: int, after: int) -> Prequential:
    """Count ranks, with a window of another length from a cut on."""
    first, second = Prequential(window=before), Prequential(window=after)
    feed(first, ranks[:cut])
    second.restore(first.state())
    feed(second, ranks[cut:], cut)
    return second


@settings(max_examples=200)
@given(ranks=RANKS, cut=st.integers(0, 120), before=WINDOWS, after=WINDOWS)
def test_a_window_that_changes_moves_no_figure_over_all_clicks(
    ranks: list[int], cut: int, before: int, after: int
) -> None:
    found = changed(ranks, cut, before, after).results()
    unchanged = Prequential(window=after)
    feed(unchanged, ranks)
    whole = unchanged.results()
    assert {name: found[name] for name in SUMS} == {name: whole[name] for name in SUMS}
    assert sum(window["scored"] for window in found["windows"]) == len(ranks)
    for figure, value in whole["fading"].items():
        assert found["fading"][figure] == pytest.approx(value, abs=1e-12)


@settings(max_examples=200)
@given(ranks=RANKS, cut=st.integers(0, 120), before=WINDOWS, after=WINDOWS)
def test_the_sliding_figures_look_back_as_far_as_is_known(
    ranks: list[int], cut: int, before: int, after: int
) -> None:
    cut = min(cut, len(ranks))
    known = min(cut, before) + len(ranks) - cut
    figure = Recall(20)
    figure.update_many(np.array(ranks[len(ranks) - min(known, after) :], np.int64))
    assert changed(ranks, cut, before, after).sliding()["recall@20"] == pytest.approx(figure.get())


def test_the_open_window_is_closed_and_the_next_ones_have_the_new_length() -> None:
    figures = changed([1] * 33, 13, 5, 10)
    scored = [window["scored"] for window in figures.results()["windows"]]
    assert scored == [5, 5, 3, 10, 10]


def test_a_changed_window_is_kept_by_later_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prequential, "MOST_WINDOWS", 6)
    ranks = [int(rank) for rank in np.random.default_rng(4).integers(0, 25, 200)]
    figures = changed(ranks[:90], 33, 7, 4)
    kept: Any = Prequential(window=4)
    kept.restore(figures.state())
    for one in (figures, kept):
        feed(one, ranks[90:], 90)
    assert kept.results() == figures.results()
    again = Prequential(window=9)
    again.restore(figures.state())
    assert sum(window["scored"] for window in again.results()["windows"]) == 200
