from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.models.compute.transfer import fetch, send
from tests.models.compute.recorded import ELSEWHERE, Remote, recorded

KINDS = ["bool", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]


@st.composite
def arrays(draw: st.DrawFn) -> list[NDArray[Any]]:
    """Arrays of every type and shape, empty ones and such as do not lie in one piece too."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        shape = draw(st.lists(st.integers(0, 5), max_size=3))
        kind = draw(st.sampled_from(KINDS))
        array = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 100, shape).astype(kind)
        found.append(array.T if draw(st.booleans()) else array)
    return found


@given(arrays())
def test_what_is_sent_and_fetched_comes_back_in_one_transfer_each(
    sent: list[NDArray[Any]],
) -> None:
    with recorded() as record:
        there = send(sent, ELSEWHERE)
        assert all(isinstance(of, Remote) for of in there)
        assert (len(record.sent), len(record.waits)) == (1, 0)
        back = fetch(there)
        assert (len(record.fetched), len(record.waits)) == (1, 1)
    for array, other in zip(sent, back, strict=True):
        assert (other.dtype, other.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(other, array)


def test_on_the_host_nothing_is_copied() -> None:
    array = np.arange(3)
    (there,) = send([array], torch.device("cpu"))
    (back,) = fetch([there])
    array[0] = 7
    assert there.tolist() == back.tolist() == [7, 1, 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@given(arrays())
def test_a_gpu_sends_back_what_it_was_sent(sent: list[NDArray[Any]]) -> None:
    for array, other in zip(sent, fetch(send(sent, torch.device("cuda"))), strict=True):
        assert (other.dtype, other.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(other, array)
