from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.report.run_page import report_page, run_curves
from nextclick.stream.serving.page.feed import RATE_SECONDS, Feed
from tests.pages import Page, run_result
from tests.stream.serving.page.listening import NOTHING, put_in


class Watched:
    """A stream whose figures a test counts."""

    def __init__(self, window: int = 100) -> None:
        self.figures = Prequential(window=window)
        self.clicks = 0
        self.more: dict[str, Any] = {}

    def ready(self) -> tuple[bool, str]:
        return True, "ok"

    def stats(self) -> dict[str, Any]:
        return {"clicks": self.clicks, "requests": {"answered": 0}, **self.more}

    def count(self, ranks: Any) -> None:
        at = np.arange(self.clicks + 1, self.clicks + len(ranks) + 1)
        self.figures.update(ranks, at, at.astype(float))
        self.clicks += len(ranks)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextclick.stream.serving.page.feed.SHARE", float("inf"))


@pytest.mark.usefixtures("no_pause")
@given(st.lists(st.integers(0, 700), max_size=12), st.integers(5, 300))
@settings(max_examples=60, deadline=None)
def test_news_make_of_the_curve_before_the_curve_that_there_is(
    batches: list[int], window: int
) -> None:
    watched, draw = Watched(window), np.random.default_rng(0)
    feed, shown = Feed(watched), NOTHING
    for size in (0, *batches):
        watched.count(draw.integers(0, 40, size))
        frame = feed.look()
        if "curve" in frame.news:
            shown = put_in(shown, frame.news["curve"])
        assert put_in(NOTHING, frame.whole["curve"]) == put_in(NOTHING, shown | {"from": 0})
        names, curves = run_curves(watched.figures.results())
        assert shown["points"]["clicks"] == curves.clicks
        if curves.clicks:
            assert frame.whole["about"]["names"] == names
            assert np.allclose(shown["values"][0], curves.values, atol=1e-5)


@pytest.mark.usefixtures("no_pause")
def test_news_hold_only_what_has_changed() -> None:
    watched = Watched()
    feed = Feed(watched)
    watched.count([1] * 5000)
    assert feed.look().news.keys() >= {"about", "curve", "state", "stats", "rates"}
    assert feed.look().news.keys() == {"state", "stats", "rates"}
    watched.count([1] * 10)
    news = feed.look().news
    assert news.keys() == {"state", "stats", "rates", "curve"}
    whole = feed.look().whole["curve"]["points"]["clicks"]
    assert len(news["curve"]["points"]["clicks"]) <= 2 < len(whole)
    assert feed.look().whole.keys() >= {"about", "curve", "alarms", "state", "stats", "rates"}


@pytest.mark.usefixtures("no_pause")
def test_the_curve_and_the_alarms_are_those_of_the_report() -> None:
    watched, result = Watched(10_000), run_result()
    share = 0.6 * (1 - np.exp(-np.arange(70_000) / 6_000))
    share[40_000:] -= 0.3
    ranks = np.where(np.random.default_rng(0).random(70_000) < share, 2, 0)
    watched.figures.update(ranks, np.arange(2, 70_002), 1_396_861_869.0 + np.arange(70_000))
    frame = Feed(watched).look().whole
    chart = Page(report_page(result).decode()).data["chart"]
    assert frame["curve"]["points"] == chart["points"]
    assert frame["curve"]["values"] == chart["values"]
    assert [each["clicks"] for each in frame["alarms"] if not each["warm_up"]] == [
        each["clicks"] for each in chart["alarms"][0]
    ]
    assert any(each["warm_up"] for each in frame["alarms"])


def test_long_curves_are_computed_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    watched = Watched()
    windows = watched.figures.windows

    def slow() -> Any:
        clock[0] += 0.5
        return windows()

    monkeypatch.setattr(watched.figures, "windows", slow)
    feed, computed = Feed(watched), []
    for _ in range(200):
        watched.count([1])
        clock[0] += 1.0
        before = clock[0]
        feed.look()
        computed.append(clock[0] != before)
    assert 3 <= sum(computed) <= 5


def test_rates_are_of_the_last_seconds_and_begin_anew_where_nobody_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    watched = Watched()
    feed = Feed(watched)
    assert feed.look().news["rates"] == {"clicks": None, "requests": None}
    for second in range(60):
        clock[0] += 1.0
        watched.clicks += 100 if second < 40 else 300
        rate = feed.look().news["rates"]["clicks"]
        if second in (39, 59):
            assert rate == pytest.approx(100 if second == 39 else 300)
    clock[0] += 1000 * RATE_SECONDS
    feed.begin()
    assert feed.look().news["rates"]["clicks"] is None


@pytest.mark.usefixtures("no_pause")
def test_a_curve_is_read_while_another_thread_counts() -> None:
    watched = Watched(window=7)
    feed, shown = Feed(watched), NOTHING

    def count() -> None:
        for _ in range(6000):
            watched.count([1, 0, 9])

    counting = threading.Thread(target=count)
    counting.start()
    while counting.is_alive():
        news = feed.look().news
        shown = put_in(shown, news["curve"]) if "curve" in news else shown
    news = feed.look().news
    shown = put_in(shown, news["curve"]) if "curve" in news else shown
    _, curves = run_curves(watched.figures.results())
    assert shown["points"]["clicks"] == curves.clicks
    assert np.allclose(shown["values"][0], curves.values, atol=1e-5)
