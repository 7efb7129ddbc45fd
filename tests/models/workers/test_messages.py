from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.models.workers.messages import FIRST, HEAD, TYPES, Message, decode, encode, length_of

MOST = (HEAD - 2) // 2
"""Arrays of a message at most."""


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    """An array of a type that can be sent; some make a message longer than its first bytes."""
    size = draw(st.integers(0, 40) | st.integers(0, FIRST))
    draws = np.random.default_rng(draw(st.integers(0, 99)))
    array: NDArray[Any] = draws.integers(0, 100, size).astype(draw(st.sampled_from(TYPES)))
    return array[::2] if draw(st.booleans()) else array


@given(st.sampled_from(Message), st.lists(arrays(), max_size=5))
def test_a_message_comes_out_as_it_was_given(kind: Message, given: list[NDArray[Any]]) -> None:
    run = encode(kind, given)
    # A receiver does not know how long it is, and takes this much first.
    assert length_of(run[:FIRST]) <= len(run)
    assert len(run) == max(FIRST, length_of(run[:FIRST]))
    found, parts = decode(run)
    assert found is kind
    for array, part in zip(given, parts, strict=True):
        assert part.dtype == array.dtype
        np.testing.assert_array_equal(part, array)


def test_an_array_of_several_dimensions_comes_out_flat() -> None:
    _, (part,) = decode(encode(Message.STEP, [np.arange(6.0).reshape(2, 3).T]))
    assert part.tolist() == [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]


def test_a_message_has_a_limit_of_arrays_that_is_told() -> None:
    number = np.ones(1)
    assert len(decode(encode(Message.STEP, [number] * MOST))[1]) == MOST
    with pytest.raises(ValueError, match=f"{MOST + 1} arrays is too long"):
        encode(Message.STEP, [number] * (MOST + 1))


def test_an_array_of_a_type_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match="complex"):
        encode(Message.STEP, [np.zeros(3, np.complex128)])
