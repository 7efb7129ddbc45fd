from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.models.items.vocabulary import NO_ITEM
from nextclick.models.workers.buckets import BUCKETS, Buckets, bucket_of, buckets_of

sizes = st.integers(1, BUCKETS)


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[list[Buckets], NDArray[np.int64]]:
    """The buckets as each of several ranks sees them, and rows of items."""
    size = draw(sizes)
    rows = draw(st.lists(st.integers(1, 1 << 31), unique=True, max_size=300))
    return [Buckets(size, rank) for rank in range(size)], np.array(sorted(rows), np.int64)


@given(catalogues())
def test_each_row_has_one_owner_on_which_all_ranks_agree(
    drawn: tuple[list[Buckets], NDArray[np.int64]],
) -> None:
    ranks, rows = drawn
    owners = ranks[0].owners(rows)
    assert ((owners >= 0) & (owners < len(ranks))).all()
    for buckets in ranks:
        np.testing.assert_array_equal(buckets.owners(rows), owners)


@given(catalogues())
def test_places_lead_to_rows_and_back_in_the_rows_order(
    drawn: tuple[list[Buckets], NDArray[np.int64]],
) -> None:
    ranks, rows = drawn
    for rank, buckets in enumerate(ranks):
        own = rows[buckets.owners(rows) == rank]
        places = buckets.places(own)
        assert (places > 0).all()
        assert (np.diff(places) > 0).all()
        np.testing.assert_array_equal(buckets.rows(places), own)


@given(catalogues(), st.integers(1, 1 << 31))
def test_what_is_used_ends_just_after_the_last_own_row(
    drawn: tuple[list[Buckets], NDArray[np.int64]], used: int
) -> None:
    ranks, rows = drawn
    for rank, buckets in enumerate(ranks):
        own = rows[buckets.owners(rows) == rank]
        below = own < used
        places = buckets.places(own)
        assert (places[below] < buckets.used(used)).all()
        assert (places[~below] >= buckets.used(used)).all()


@given(sizes, st.integers(1, 1 << 31))
def test_a_rank_has_its_buckets_part_of_the_rows_and_little_more(size: int, rows: int) -> None:
    held = [Buckets(size, rank).used(rows) for rank in range(size)]
    # Each has a place for no item, besides the row that the catalogue has for that.
    assert sum(held) == rows + size
    most = -(-BUCKETS // size)
    assert max(held) <= most * -(-rows // BUCKETS) + 1


@given(sizes)
def test_no_item_has_the_first_place_at_every_rank(size: int) -> None:
    for rank in range(size):
        buckets = Buckets(size, rank)
        assert buckets.places(np.array([NO_ITEM])).tolist() == [0]
        assert buckets.rows(np.array([0])).tolist() == [NO_ITEM]


@given(sizes)
def test_all_ranks_have_as_many_buckets_up_to_one(size: int) -> None:
    owners = Buckets(size, 0).ranks_of(np.arange(BUCKETS))
    counts = np.bincount(owners, minlength=size)
    assert counts.max() - counts.min() <= 1
    assert counts.min() > 0


@given(sizes, st.data())
def test_another_rank_s_places_can_be_asked_for(size: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, size - 1))
    rows = np.arange(1, 200)
    rows = rows[Buckets(size, 0).owners(rows) == rank]
    np.testing.assert_array_equal(
        Buckets(size, 0).of(rank).places(rows), Buckets(size, rank).places(rows)
    )


@given(st.lists(st.integers() | st.text()))
def test_each_session_is_in_one_of_the_buckets(sessions: list[int | str]) -> None:
    found = buckets_of(sessions)
    assert ((found >= 0) & (found < BUCKETS)).all()
    assert found.tolist() == [bucket_of(session) for session in sessions]


def test_a_session_s_bucket_is_the_same_in_every_process() -> None:
    sessions = [0, 1, 64, -1, 1 << 40, "", "a", "é", "session 17"]
    code = "from nextclick.models.workers.buckets import buckets_of; import sys\n"
    code += f"print(buckets_of({sessions!r}).tolist())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "123", "PYTHONIOENCODING": "utf-8"},
    )
    assert done.stdout.strip() == str(buckets_of(sessions).tolist())
