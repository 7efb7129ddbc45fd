"""Recurrent cells, written out so that every gate can be read, tested and exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

RESETS = ("before", "after")


class GRUCell(nn.Module):
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
        Sizes of ``x`` and ``h``.
    reset
        ``"before"`` or ``"after"``.

    Attributes
    ----------
    weight_x
        ``W``, shape (3 · hidden, inputs), the gates in the order update, reset, candidate.
    weight_h
        ``U``, shape (3 · hidden, hidden).
    bias
        ``b``, shape (3 · hidden,).
    bias_h
        ``d_c``, shape (hidden,); only for ``reset="after"``.

    """

    def __init__(self, inputs: int, hidden: int, reset: str = "before") -> None:
        super().__init__()
        if reset not in RESETS:
            raise ValueError(f"reset must be one of {', '.join(RESETS)}, not {reset!r}")
        self.hidden = hidden
        self.reset = reset
        self.weight_x = nn.Parameter(torch.zeros(3 * hidden, inputs))
        self.weight_h = nn.Parameter(torch.zeros(3 * hidden, hidden))
        self.bias = nn.Parameter(torch.zeros(3 * hidden))
        if reset == "after":
            self.bias_h = nn.Parameter(torch.zeros(hidden))

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
            This multiple of the identity is added to ``W_c``: an untrained cell then holds the
            last input, so that with tied tables a session foretells its own last item and those
            like it.
        open_gate
            The bias of the update gate; the larger, the less of the old state is kept at first.
        generator
            Source of the random numbers, on the CPU.

        """
        for weight in (self.weight_x, self.weight_h):
            draw = torch.rand(weight.shape, generator=generator, dtype=torch.float64)
            weight.copy_((2 * draw - 1) * spread)
        candidate = self.weight_x[2 * self.hidden :]
        candidate.diagonal().add_(identity)
        self.bias[: self.hidden] = open_gate

    def project(self, inputs: Tensor) -> Tensor:
        """Give ``W x + b`` for inputs of shape (…, inputs): the part that knows no state."""
        return torch.nn.functional.linear(inputs, self.weight_x, self.bias)

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
