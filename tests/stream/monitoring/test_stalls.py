from __future__ import annotations

import pytest

from nextclick.stream.engine import Engine
from nextclick.stream.monitoring.phase_timer import PHASES, PhaseTimer
from nextclick.stream.monitoring.stalls import SHORT_SECONDS, stalls
from tests.stream.engines import Given, clicks, engine


class Waiting(Given):
    """A source that waits for its brokers."""

    def stalls(self) -> dict[str, float]:
        return {"brokers": 17.0}


@pytest.fixture
def made() -> Engine:
    return engine(Given(clicks(1)))


def test_nothing_holds_up_an_engine_between_two_phases(made: Engine) -> None:
    assert stalls(made, made.phases.since + 1e6) == dict.fromkeys(PHASES, 0.0)


def test_a_phase_that_lasts_is_named_with_its_seconds(made: Engine) -> None:
    with made.phases.measure("snapshot"), made.phases.measure("sinks"):
        since = made.phases.since
        assert set(stalls(made, since + SHORT_SECONDS).values()) == {0.0}
        assert stalls(made, since + 50) == {**dict.fromkeys(PHASES, 0.0), "sinks": 50.0}


def test_a_source_adds_what_it_waits_for() -> None:
    assert stalls(engine(Waiting(clicks(1))))["brokers"] == 17.0


def test_the_time_of_a_phase_within_another_is_its_own() -> None:
    phases = PhaseTimer()
    for _ in range(3):
        with phases.measure("snapshot"):
            with phases.measure("sinks"):
                assert phases.phase == "sinks"
                sum(range(300_000))
            assert phases.phase == "snapshot"
    assert phases.phase is None
    assert sum(phases.counts["sinks"]) == sum(phases.counts["snapshot"]) == 3
    assert phases.seconds["snapshot"] < phases.seconds["sinks"]
