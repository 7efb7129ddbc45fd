"""Recurrent cells, written out so that every gate can be read, tested and exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

RESETS = ("before", "after")


class Cell(nn.Module):
    """What all cells share: blocks of input weights, state weights and biases, one a gate.

    Parameters
    ----------
    inputs
        Size of the input ``x``; None where what comes in has been through ``W`` already: a one-hot
        input, whose row of ``W`` is the item's own embedding.
    hidden
        Size of the output.
    gates
        How many blocks there are.

    Attributes
    ----------
    weight_x
        ``W``, shape (gates · hidden, inputs); None where inputs is None.
    weight_h
        ``U``, shape (gates · hidden, hidden).
    bias
        ``b``, shape (gates · hidden,).

    """

    states = 1
    """How many vectors of size hidden a state consists of; the first is the output."""

    def __init__(self, inputs: int | None, hidden: int, gates: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = gates
        self.weight_x = nn.Parameter(torch.zeros(gates * hidden, inputs)) if inputs else None
        self.weight_h = nn.Parameter(torch.zeros(gates * hidden, hidden))
        self.bias = nn.Parameter(torch.zeros(gates * hidden))

    @property
    def width(self) -> int:
        """Size of a state."""
        return self.states * self.hidden

    def project(self, inputs: Tensor) -> Tensor:
        """Return ``W x + b`` for inputs of shape (…, inputs): the part that knows no state."""
        if self.weight_x is None:
            return inputs + self.bias
        return nn.functional.linear(inputs, self.weight_x, self.bias)

    def output(self, state: Tensor) -> Tensor:
        """Return the output of states (…, width): (…, hidden)."""
        return state[..., : self.hidden]

    @torch.no_grad()
    def initialise(
        self, spread: float, identity: float, open_gate: float, generator: torch.Generator
    ) -> None:
        """Draw the weights.

        Parameters
        ----------
        spread
            All weights are uniform in ±spread, the biases zero.
        identity
            This multiple of the identity is added to the candidate's input weights: an untrained
            cell then holds the last input, so that with tied tables a session predicts its own
            last item and those like it.
        open_gate
            The bias of the gate that lets the candidate in; the larger, the less of the old state
            is kept at first.
        generator
            Source of the random numbers, on the CPU.

        """
        for weight in (self.weight_x, self.weight_h):
            if weight is not None:
                drawn = torch.rand(weight.shape, generator=generator, dtype=torch.float64)
                weight.copy_((2 * drawn - 1) * spread)
        if self.weight_x is not None:
            # The candidate is the last block of every cell.
            self.weight_x[-self.hidden :].diagonal().add_(identity)
        if self.gates > 1:
            self.bias[: self.hidden] = open_gate

    def forward(self, projected: Tensor, state: Tensor) -> Tensor:
        """Take one step: projected inputs (n, gates · hidden) and states (n, width) to states."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it takes a step")


class GRUCell(Cell):
    """Gated recurrent unit.

    With input ``x`` and state ``h``::

        z = σ(W_z x + U_z h + b_z)                      update gate
        r = σ(W_r x + U_r h + b_r)                      reset gate
        c = tanh(W_c x + U_c (r ⊙ h) + b_c)             candidate, reset="before"
        c = tanh(W_c x + b_c + r ⊙ (U_c h + d_c))       candidate, reset="after"
        h' = (1 − z) ⊙ h + z ⊙ c

    ``reset="before"`` is the definition (Cho et al., 2014, "Learning Phrase Representations using
    RNN Encoder–Decoder", eq. 5–8, with the roles of z and 1 − z as in Chung et al., 2014);
    ``reset="after"`` is what cuDNN and `torch.nn.GRU` compute (there with z and 1 − z exchanged).

    Parameters
    ----------
    inputs, hidden
        Sizes of ``x`` and ``h``, see `Cell`.
    reset
        ``"before"`` or ``"after"``.

    Attributes
    ----------
    weight_x, weight_h, bias
        See `Cell`: the gates in the order update, reset, candidate.
    bias_h
        ``d_c``, shape (hidden,); only for ``reset="after"``.

    """

    def __init__(self, inputs: int | None, hidden: int, reset: str = "before") -> None:
        if reset not in RESETS:
            raise ValueError(f"reset must be one of {', '.join(RESETS)}, not {reset!r}")
        super().__init__(inputs, hidden, 3)
        self.reset = reset
        if reset == "after":
            self.bias_h = nn.Parameter(torch.zeros(hidden))

    def forward(self, projected: Tensor, state: Tensor) -> Tensor:
        """Take one step: projected inputs (n, 3 · hidden) and states (n, hidden) to states."""
        x_gates, x_candidate = projected.split((2 * self.hidden, self.hidden), dim=-1)
        u_gates, u_candidate = self.weight_h.split((2 * self.hidden, self.hidden))
        gates = torch.sigmoid(x_gates + state @ u_gates.T)
        update, reset = gates.chunk(2, dim=-1)
        if self.reset == "before":
            candidate = torch.tanh(x_candidate + (reset * state) @ u_candidate.T)
        else:
            candidate = torch.tanh(x_candidate + reset * (state @ u_candidate.T + self.bias_h))
        return torch.lerp(state, candidate, update)


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997, with the forget gate of Gers, 2000).

    With input ``x``, output ``h`` and memory ``m``; the state is ``h`` and ``m`` side by side::

        i = σ(W_i x + U_i h + b_i)          input gate
        f = σ(W_f x + U_f h + b_f)          forget gate
        o = σ(W_o x + U_o h + b_o)          output gate
        c = tanh(W_c x + U_c h + b_c)       candidate
        m' = f ⊙ m + i ⊙ c
        h' = o ⊙ tanh(m')

    Parameters
    ----------
    inputs, hidden
        Sizes of ``x`` and ``h``, see `Cell`.

    Attributes
    ----------
    weight_x, weight_h, bias
        See `Cell`: the gates in the order input, forget, output, candidate.

    """

    states = 2

    def __init__(self, inputs: int | None, hidden: int) -> None:
        super().__init__(inputs, hidden, 4)

    def forward(self, projected: Tensor, state: Tensor) -> Tensor:
        """Take one step: projected inputs (n, 4 · hidden) and states (n, 2 · hidden) to states."""
        output, memory = state.chunk(2, dim=-1)
        blocks = projected + output @ self.weight_h.T
        gates, candidate = blocks.split((3 * self.hidden, self.hidden), dim=-1)
        enter, keep, leave = torch.sigmoid(gates).chunk(3, dim=-1)
        memory = keep * memory + enter * torch.tanh(candidate)
        return torch.cat([leave * torch.tanh(memory), memory], dim=-1)


class RNNCell(Cell):
    """Vanilla recurrent unit (Elman, 1990): ``h' = tanh(W x + U h + b)``.

    Parameters
    ----------
    inputs, hidden
        Sizes of ``x`` and ``h``, see `Cell`.

    """

    def __init__(self, inputs: int | None, hidden: int) -> None:
        super().__init__(inputs, hidden, 1)

    def forward(self, projected: Tensor, state: Tensor) -> Tensor:
        """Take one step: projected inputs (n, hidden) and states (n, hidden) to states."""
        return torch.tanh(projected + state @ self.weight_h.T)


def make_cell(name: str, inputs: int | None, hidden: int, reset: str = "before") -> Cell:
    """Make a cell by its name: ``gru``, ``lstm`` or ``rnn``."""
    if name == "gru":
        return GRUCell(inputs, hidden, reset)
    if name == "lstm":
        return LSTMCell(inputs, hidden)
    if name == "rnn":
        return RNNCell(inputs, hidden)
    raise ValueError(f"cell must be gru, lstm or rnn, not {name!r}")


GATES = {"gru": 3, "lstm": 4, "rnn": 1}
"""Blocks of weights in each cell."""
