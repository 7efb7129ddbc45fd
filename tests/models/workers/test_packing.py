from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nextclick.models.workers.packing import ALIGNED, form_of, pack, unpack

KINDS = (
    *(torch.bool, torch.uint8, torch.int32, torch.int64),
    *(torch.bfloat16, torch.float32, torch.float64),
)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """A tensor of any type and shape: empty, a single number, or not lying in one piece."""
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    seed = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    tensor = torch.randint(0, 100, shape, generator=seed).to(draw(st.sampled_from(KINDS)))
    if tensor.ndim > 1 and draw(st.booleans()):
        tensor = tensor.transpose(0, 1)
    if tensor.ndim and draw(st.booleans()):
        tensor = tensor[::2]
    if tensor.ndim and draw(st.booleans()):
        tensor = tensor[:1].expand(draw(st.integers(1, 3)) if len(tensor) else 0, *tensor.shape[1:])
    return tensor


@given(st.lists(tensors(), max_size=6))
def test_what_is_packed_comes_out_as_it_was(given: list[Tensor]) -> None:
    forms = [form_of(tensor) for tensor in given]
    run = pack(given)
    assert run.dtype == torch.uint8
    assert len(run) == sum(form.size for form in forms)
    found = unpack(run, forms)
    for tensor, other in zip(given, found, strict=True):
        assert other.dtype == tensor.dtype
        assert other.shape == tensor.shape
        assert torch.equal(other, tensor)


@given(st.lists(tensors(), max_size=6))
def test_each_tensor_begins_where_its_numbers_can_be_read(given: list[Tensor]) -> None:
    run = pack(given)
    for tensor in unpack(run, [form_of(tensor) for tensor in given]):
        if tensor.numel():
            assert (tensor.data_ptr() - run.data_ptr()) % ALIGNED == 0


def test_what_is_unpacked_lies_where_the_bytes_do() -> None:
    run = pack([torch.zeros(3), torch.zeros(2, dtype=torch.int64)])
    first, second = unpack(run, [form_of(torch.zeros(3)), form_of(torch.zeros(2).long())])
    first[1], second[0] = 5.0, 7
    again = unpack(run, [form_of(first), form_of(second)])
    assert again[0].tolist() == [0.0, 5.0, 0.0]
    assert again[1].tolist() == [7, 0]
