from __future__ import annotations

import numpy as np

from nextclick.connectors.clicks import Rejected
from nextclick.connectors.decoding.blocks import Decoded
from nextclick.connectors.kafka.merging.duplicates import MEMORY, DuplicateFilter
from nextclick.connectors.kafka.merging.partition_queue import Run


def run(first: int, numbers: list[int], shift: int = 0) -> Run:
    """Make clicks numbered so in their log; another `shift` makes them other clicks."""
    decoded = Decoded(
        ["anna"] * len(numbers),
        [number + shift for number in numbers],
        np.array([float(number) for number in numbers]),
    )
    offsets = np.arange(first, first + len(numbers))
    return Run(0, decoded, offsets, decoded.times, np.array(numbers))


def test_a_batch_taken_twice_is_left_out() -> None:
    doubles = DuplicateFilter()
    assert doubles.without(run(0, [3, 5, 9]))[1] == 0
    kept, count = doubles.without(run(3, [5, 9, 11]))
    assert (count, kept.offsets.tolist(), kept.sequences.tolist()) == (2, [5], [11])
    # Within one fetch as well.
    kept, count = doubles.without(run(6, [12, 13, 12, 13, 14]))
    assert (count, kept.offsets.tolist()) == (2, [6, 7, 10])
    assert kept.decoded.items == [12, 13, 14]


def test_another_log_in_the_same_topic_is_no_double() -> None:
    doubles = DuplicateFilter()
    doubles.without(run(0, list(range(100))))
    kept, count = doubles.without(run(100, list(range(50)), shift=1000))
    assert (count, len(kept.offsets)) == (0, 50)


def test_records_without_numbers_are_no_doubles() -> None:
    doubles = DuplicateFilter()
    assert [doubles.without(run(at, [-1, -1]))[1] for at in (0, 2)] == [0, 0]


def test_what_was_long_ago_is_forgotten() -> None:
    doubles = DuplicateFilter()
    doubles.without(run(0, [1]))
    doubles.without(run(MEMORY + 1, [2]))
    assert doubles.without(run(MEMORY + 2, [1]))[1] == 0


def test_rejected_records_stay_where_they_were() -> None:
    doubles = DuplicateFilter()
    doubles.without(run(0, [1]))
    refused = Rejected("bad", "bad", {"offset": 2}, b"")
    decoded = Decoded(
        ["anna"] * 2, [1, 2], np.array([1.0, 2.0]), [refused], np.array([0, 1], dtype=np.int64)
    )
    kept, count = doubles.without(
        Run(0, decoded, np.array([1, 2, 3]), decoded.times, np.array([1, 2]))
    )
    assert (count, kept.offsets.tolist()) == (1, [2, 3])
    assert (kept.decoded.rejected, kept.decoded.before.tolist()) == ([refused], [1])
