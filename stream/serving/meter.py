"""Counts the requests and how long they took, for ``/metrics`` and ``/v1/stats``."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

BOUNDS = (0.001, 0.002, 0.004, 0.007, 0.01, 0.015, 0.03, 0.06, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds of the buckets, in seconds."""

CALL_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Meter:
    """Metrics of a server, in a registry.

    Parameters
    ----------
    registry
        Where they go.

    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "nextclick_http_requests",
            "Requests, by path and status.",
            ["path", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "nextclick_http_request_seconds",
            "Seconds until a list was returned.",
            buckets=BOUNDS,
            registry=registry,
        )
        self._by: dict[tuple[str, int], Any] = {}

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Count a request; status 0: whoever asked has gone."""
        counter = self._by.get((path, status))
        if counter is None:
            counter = self._by[path, status] = self._requests.labels(path, str(status))
        counter.inc()
        if path == "/v1/recommend":
            self._seconds.observe(seconds)


class PostMeter:
    """Metrics of the clicks that are sent over HTTP.

    Attributes
    ----------
    recorded, repeated
        How many clicks were recorded, and how many had been recorded before.
    requests, seconds
        How many requests brought them, and how long recording took in all.

    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._clicks = Counter(
            "nextclick_posted_clicks",
            "Clicks sent over HTTP that were recorded.",
            registry=registry,
        )
        self._repeats = Counter(
            "nextclick_repeated_clicks",
            "Clicks sent over HTTP that had been recorded before.",
            registry=registry,
        )
        self._seconds = Histogram(
            "nextclick_post_seconds",
            "Seconds until the clicks of a request were durable.",
            buckets=BOUNDS,
            registry=registry,
        )
        self.recorded = self.repeated = self.requests = 0
        self.seconds = 0.0

    def observe(self, recorded: int, repeated: int, seconds: float) -> None:
        """Count the clicks of a request."""
        self._clicks.inc(recorded)
        self._repeats.inc(repeated)
        self._seconds.observe(seconds)
        self.recorded += recorded
        self.repeated += repeated
        self.requests += 1
        self.seconds += seconds

    def stats(self) -> dict[str, Any]:
        """Return the figures, in JSON's types."""
        return {
            "recorded": self.recorded,
            "repeated": self.repeated,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
        }


class CallMeter:
    """Metrics of the calls of the model that answer requests.

    Attributes
    ----------
    requests, busy
        How many requests were answered, and the processor time that the model took for it.

    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "nextclick_answer_seconds",
            "Seconds of each call of the model that answers requests.",
            buckets=BOUNDS,
            registry=registry,
        )
        self._sizes = Histogram(
            "nextclick_answer_requests",
            "Requests answered by each call of the model.",
            buckets=CALL_SIZES,
            registry=registry,
        )
        self.requests = 0
        self.busy = 0.0

    def observe(self, count: int, seconds: float, busy: float) -> None:
        """Count a call and the requests that it answered.

        Parameters
        ----------
        count
            How many.
        seconds, busy
            How long it took, by the clock and of the thread's processor time.

        """
        self._seconds.observe(seconds)
        self._sizes.observe(count)
        self.requests += count
        self.busy += busy
