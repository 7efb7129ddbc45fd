"""A GRU over packed windows, with its gradient written out.

`torch.autograd` through a loop of steps builds a graph of some fifteen small operations a step and
sums the weights' gradients step by step. Written out, the backward pass is one short loop and four
matrix products over all steps at once. For a few clicks on a CPU even these are many calls for
little work: there the same equations are compiled loops.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import summing

FEW_STEPS = 12
"""Compiled loops work through at most this many steps of windows on a CPU."""


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
        ctx.sizes = sizes
        if in_loops(inputs):
            weights = weight_x.numpy(), weight_h.numpy(), bias.numpy()
            made = _forward(inputs.numpy(), np.array(sizes), start.numpy(), *weights)
            gates, before, kept, states = map(torch.from_numpy, made)
            ctx.save_for_backward(inputs, weight_x, weight_h, gates, before, kept)
            return states
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
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Run backward."""
        inputs, weight_x, weight_h, gates, before, kept = ctx.saved_tensors
        hidden = before.shape[1]
        if in_loops(inputs):
            kernel = (of.numpy() for of in (inputs, weight_x, weight_h, gates, before, kept))
            loss_gradient = gradients[0].contiguous().numpy().copy()
            found = map(torch.from_numpy, _backward(np.array(ctx.sizes), loss_gradient, *kernel))
            for_inputs, *others = found
            return for_inputs, None, *others
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


def in_loops(inputs: Tensor) -> bool:
    """Whether packed inputs are few enough, and of a type, for the compiled loops."""
    return on_host(inputs) and inputs.shape[0] <= FEW_STEPS and inputs.dtype != torch.bfloat16


def _steps(sizes: list[int]) -> Iterator[slice]:
    begin = 0
    for size in sizes:
        yield slice(begin, begin + size)
        begin += size


@summing
def _forward(
    inputs: NDArray[Any],
    sizes: NDArray[np.int64],
    start: NDArray[Any],
    weight_x: NDArray[Any],
    weight_h: NDArray[Any],
    bias: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return gates, states before each step, what the reset keeps of these, and states after it."""
    count, hidden = len(inputs), start.shape[1]
    gates = np.empty((count, 3 * hidden), bias.dtype)
    before, kept, states = (
        np.empty((count, hidden), bias.dtype),
        np.empty((count, hidden), bias.dtype),
        np.empty((count, hidden), bias.dtype),
    )
    for place in range(3 * hidden):
        weights = weight_x[place]
        for row in range(count):
            argument, read = bias[place], inputs[row]
            for at in range(len(read)):
                argument += weights[at] * read[at]
            gates[row, place] = argument
    begin = last = 0
    for step in range(len(sizes)):
        for number in range(sizes[step]):
            row = begin + number
            gate, old, keeps = gates[row], before[row], kept[row]
            old[:] = states[last + number] if step else start[number]
            for place in range(2 * hidden):
                argument, weights = gate[place], weight_h[place]
                for at in range(hidden):
                    argument += weights[at] * old[at]
                gate[place] = 1 / (1 + np.exp(-argument))
            for place in range(hidden):
                keeps[place] = gate[hidden + place] * old[place]
            for place in range(hidden):
                argument, weights = gate[2 * hidden + place], weight_h[2 * hidden + place]
                for at in range(hidden):
                    argument += weights[at] * keeps[at]
                candidate = np.tanh(argument)
                gate[2 * hidden + place] = candidate
                states[row, place] = old[place] + gate[place] * (candidate - old[place])
        last, begin = begin, begin + sizes[step]
    return gates, before, kept, states


@summing
def _backward(
    sizes: NDArray[np.int64],
    loss_gradient: NDArray[Any],
    inputs: NDArray[Any],
    weight_x: NDArray[Any],
    weight_h: NDArray[Any],
    gates: NDArray[Any],
    before: NDArray[Any],
    kept: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the gradients by inputs, start and weights; `loss_gradient` is overwritten."""
    count, hidden = before.shape
    for_start = np.zeros((sizes[0], hidden), loss_gradient.dtype)
    arguments = np.empty((count, 3 * hidden), loss_gradient.dtype)
    through_reset = np.empty(hidden, loss_gradient.dtype)
    begin = count
    for step in range(len(sizes) - 1, -1, -1):
        begin -= sizes[step]
        for number in range(sizes[step]):
            row = begin + number
            into, gate, old, slope = arguments[row], gates[row], before[row], loss_gradient[row]
            past = loss_gradient[begin - sizes[step - 1] + number] if step else for_start[number]
            through_reset[:] = 0
            for place in range(hidden):
                update, candidate = gate[place], gate[2 * hidden + place]
                into[place] = slope[place] * (candidate - old[place]) * update * (1 - update)
                argument = slope[place] * update * (1 - candidate * candidate)
                into[2 * hidden + place] = argument
                weights = weight_h[2 * hidden + place]
                for at in range(hidden):
                    through_reset[at] += argument * weights[at]
            for place in range(hidden):
                update, reset = gate[place], gate[hidden + place]
                into[hidden + place] = through_reset[place] * old[place] * reset * (1 - reset)
                past[place] += slope[place] * (1 - update) + through_reset[place] * reset
            for place in range(2 * hidden):
                argument, weights = into[place], weight_h[place]
                for at in range(hidden):
                    past[at] += argument * weights[at]
    for_inputs, for_x = np.zeros_like(inputs), np.zeros_like(weight_x)
    for_h, for_bias = np.zeros_like(weight_h), np.zeros(3 * hidden, loss_gradient.dtype)
    for place in range(3 * hidden):
        weights, into_x, into_h = weight_x[place], for_x[place], for_h[place]
        for row in range(count):
            argument, read, into = arguments[row, place], inputs[row], for_inputs[row]
            keeps = before[row] if place < 2 * hidden else kept[row]
            for_bias[place] += argument
            for at in range(len(read)):
                into[at] += argument * weights[at]
                into_x[at] += argument * read[at]
            for at in range(hidden):
                into_h[at] += argument * keeps[at]
    return for_inputs, for_start, for_x, for_h, for_bias
