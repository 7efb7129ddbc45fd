from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from nextclick.stream.evaluation.page_hinkley import PageHinkley

RATES = st.floats(0, 1, allow_subnormal=False)
STREAMS = st.one_of(
    st.lists(RATES, max_size=80),
    # Runs at one rate, so that changes last.
    st.lists(st.tuples(RATES, st.integers(1, 40)), max_size=6).map(
        lambda runs: [rate for rate, length in runs for _ in range(length)]
    ),
)
TESTS = st.tuples(st.floats(0, 0.1), st.floats(0, 2), st.integers(0, 30))


def rivers(tolerance: float, threshold: float, settle: int) -> drift.PageHinkley:
    return drift.PageHinkley(
        min_instances=settle, delta=tolerance, threshold=threshold, alpha=1.0, mode="both"
    )


@settings(max_examples=300)
@given(stream=STREAMS, parameters=TESTS)
def test_it_is_rivers_test_to_the_last_bit(
    stream: list[float], parameters: tuple[float, float, int]
) -> None:
    ours, theirs = PageHinkley(*parameters), rivers(*parameters)
    for number in stream:
        ours.update(number)
        theirs.update(number)
        assert ours.alarmed == theirs.drift_detected
        assert (ours.count, ours.mean) == (theirs._x_mean.n, theirs._x_mean.get())
        assert ours.up_turns == (theirs._sum_increase == theirs._min_increase)
        assert ours.down_turns == (theirs._sum_decrease == theirs._max_decrease)
        state = ours.state()
        assert state["sum_increase"] == theirs._sum_increase
        assert state["sum_decrease"] == theirs._sum_decrease
        assert state["min_increase"] == theirs._min_increase
        assert state["max_decrease"] == theirs._max_decrease
        if ours.alarmed:
            rise = theirs._sum_increase - theirs._min_increase > theirs.threshold
            assert ours.rose == rise


@given(stream=STREAMS, parameters=TESTS, cut=st.integers(0, 80))
def test_restored_anywhere_it_goes_on_as_if_it_had_not_stopped(
    stream: list[float], parameters: tuple[float, float, int], cut: int
) -> None:
    whole, begun, resumed = (PageHinkley(*parameters) for _ in range(3))
    for number in stream[:cut]:
        begun.update(number)
    resumed.restore(msgspec.json.decode(msgspec.json.encode(begun.state())))
    assert (resumed.alarmed, resumed.rose) == (begun.alarmed, begun.rose)
    for number in stream[:cut]:
        whole.update(number)
    for number in stream[cut:]:
        whole.update(number)
        resumed.update(number)
        assert (resumed.alarmed, resumed.rose) == (whole.alarmed, whole.rose)
    assert resumed.state() == whole.state()


@pytest.mark.parametrize(("rate", "rose"), [(0.9, True), (0.1, False)])
def test_a_rise_and_a_fall_are_told_apart(rate: float, rose: bool) -> None:
    test = PageHinkley(tolerance=0.02, threshold=0.5, settle=10)
    for number in [0.5] * 50 + [rate] * 3:
        test.update(number)
        if test.alarmed:
            break
    assert (test.alarmed, test.rose) == (True, rose)
