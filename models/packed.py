"""A GRU over packed windows, with its gradient written out.

`torch.autograd` through a loop of steps builds a graph of some fifteen small operations a step and
sums the weights' gradients step by step. Written out, the backward pass is one short loop and four
matrix products over all steps at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


class PackedGRU(torch.autograd.Function):
    """The GRU of `GRUCell` with ``reset="before"``, over packed sequences.

    Takes inputs (t, inputs) packed step by step, the sizes of the steps (falling), start states
    (n, hidden), and `GRUCell`'s weights; gives the states after every step, packed: (t, hidden).
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        sizes: list[int],
        start: Tensor,
        weight_x: Tensor,
        weight_h: Tensor,
        bias: Tensor,
    ) -> Tensor:
        """Run forward, keeping what the gradient needs."""
        hidden = start.shape[1]
        gates = torch.addmm(bias, inputs, weight_x.T)
        u_gates, u_candidate = weight_h[: 2 * hidden].T, weight_h[2 * hidden :].T
        before = start.new_empty((len(inputs), hidden))
        kept = torch.empty_like(before)
        states = torch.empty_like(before)
        state = start
        for step in _steps(sizes):
            old = before[step].copy_(state[: step.stop - step.start])
            gate = gates[step, : 2 * hidden].addmm_(old, u_gates).sigmoid_()
            torch.mul(gate[:, hidden:], old, out=kept[step])
            candidate = gates[step, 2 * hidden :].addmm_(kept[step], u_candidate).tanh_()
            state = torch.lerp(old, candidate, gate[:, :hidden], out=states[step])
        ctx.save_for_backward(inputs, weight_x, weight_h, gates, before, kept)
        ctx.sizes = sizes
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Run backward."""
        inputs, weight_x, weight_h, gates, before, kept = ctx.saved_tensors
        hidden = before.shape[1]
        u_gates, u_candidate = weight_h[: 2 * hidden], weight_h[2 * hidden :]
        update, reset, candidate = gates.split(hidden, dim=1)
        # Gradients of the three activations' arguments, but for what comes down through time.
        slope_update = (candidate - before) * update * (1 - update)
        slope_reset = before * reset * (1 - reset)
        slope_candidate = update * (1 - candidate * candidate)
        arguments = torch.empty_like(gates)
        states = gradients[0].clone()
        steps = list(_steps(ctx.sizes))
        for number in reversed(range(len(steps))):
            step = steps[number]
            state = states[step]
            into = arguments[step]
            torch.mul(state, slope_update[step], out=into[:, :hidden])
            torch.mul(state, slope_candidate[step], out=into[:, 2 * hidden :])
            through_reset = into[:, 2 * hidden :] @ u_candidate
            torch.mul(through_reset, slope_reset[step], out=into[:, hidden : 2 * hidden])
            if number or ctx.needs_input_grad[2]:
                past = torch.addcmul(state, state, update[step], value=-1)
                past.addcmul_(through_reset, reset[step])
                past.addmm_(into[:, : 2 * hidden], u_gates)
                # The sequences of this step are the first of those of the step before.
                if number:
                    states[steps[number - 1]][: len(past)] += past
        for_h = torch.cat(
            [arguments[:, : 2 * hidden].T @ before, arguments[:, 2 * hidden :].T @ kept]
        )
        for_start = past if ctx.needs_input_grad[2] else None
        return (
            arguments @ weight_x,
            None,
            for_start,
            arguments.T @ inputs,
            for_h,
            arguments.sum(dim=0),
        )


def _steps(sizes: list[int]) -> Iterator[slice]:
    begin = 0
    for size in sizes:
        yield slice(begin, begin + size)
        begin += size
