"""torch's LSTM layer with a faster way to the same numbers on a CPU.

Input, output before and bias lie side by side, so that each session is one matrix product, and what is element-wise is
compiled (`kernels`). The weights of all sessions get their gradient from one product at the end, and a gradient by the
inputs is made only where somebody asks. Parameters are torch's own, by name and order: weights trained here load there,
and on a GPU, under autocast or without numba it is torch's layer that runs.

Legend: B batch, L context, I inputs, D width, G = 4 D gates, K = I + D + 1 columns (input, output before, one).
"""

from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Lstm(nn.LSTM):
    """`nn.LSTM` over whole windows, batch first; `last` is its only way in that is faster."""

    def last(self, x_BLI: Tensor) -> Tensor:
        """Return the top layer's output at the last session, shape (B, D)."""
        kernels = _kernels()
        if kernels is None or x_BLI.device.type != "cpu" or _autocast() or x_BLI.dtype != torch.float32:
            out_BLD, _ = self(x_BLI)
            return out_BLD[:, -1]  # type: ignore[no-any-return]
        at_LBI = x_BLI.transpose(0, 1)
        for layer in range(self.num_layers):
            by_input_GI, by_state_GD, bias_G, more_G = (
                self.get_parameter(f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            last = layer == self.num_layers - 1
            at_LBI = _over_sessions(at_LBI, by_input_GI, by_state_GD, bias_G + more_G, last)
        return at_LBI


def _over_sessions(x_LBI: Tensor, by_input_GI: Tensor, by_state_GD: Tensor, bias_G: Tensor, last: bool) -> Tensor:
    if torch.is_grad_enabled():
        out: Tensor = _Layer.apply(x_LBI, by_input_GI, by_state_GD, bias_G, last)  # type: ignore[no-untyped-call]
        return out
    return _run(x_LBI, by_input_GI, by_state_GD, bias_G, last, keep=False)[0]


def _run(
    x_LBI: Tensor, by_input_GI: Tensor, by_state_GD: Tensor, bias_G: Tensor, last: bool, *, keep: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the output, (B, D) of the last session or (L, B, D), and with `keep` what the way back needs."""
    kernels = _kernels()
    assert kernels is not None
    length, batch, inputs = x_LBI.shape
    width = by_state_GD.shape[1]
    weight_KG = torch.cat([by_input_GI.T, by_state_GD.T, bias_G[None]])
    weight_KG[:, 2 * width : 3 * width] *= 2.0  # see kernels.forward
    rows_LBK = x_LBI.new_empty(length + 1, batch, inputs + width + 1)
    rows_LBK[:length, :, :inputs] = x_LBI
    rows_LBK[:, :, -1] = 1.0
    out_LBD = rows_LBK[:, :, inputs : inputs + width]  # of each row the output before; one row more for the last
    out_LBD[0] = 0.0
    depth = length if keep else 1
    gates_LBG = x_LBI.new_empty(depth, batch, 4 * width)
    squashed_LBD = x_LBI.new_empty(depth, batch, width)
    cell_LBD = x_LBI.new_zeros(depth + 1 if keep else 1, batch, width)
    gates, squashed, cell, out = (each.numpy() for each in (gates_LBG, squashed_LBD, cell_LBD, out_LBD))
    for t in range(length):
        at, after = (t, t + 1) if keep else (0, 0)
        torch.mm(rows_LBK[t], weight_KG, out=gates_LBG[at])
        kernels.forward(gates[at], cell[at], cell[after], squashed[at], out[t + 1])
    result = (out_LBD[length] if last else out_LBD[1:]).clone()
    return result, (rows_LBK, gates_LBG, cell_LBD, squashed_LBD) if keep else ()


class _Layer(torch.autograd.Function):
    """One layer over all sessions, and its gradient (Hochreiter & Schmidhuber 1997; through time, Werbos 1990)."""

    @staticmethod
    def forward(
        ctx: Any, x_LBI: Tensor, by_input_GI: Tensor, by_state_GD: Tensor, bias_G: Tensor, last: bool
    ) -> Tensor:
        out, kept = _run(x_LBI.detach(), by_input_GI, by_state_GD, bias_G, last, keep=True)
        ctx.save_for_backward(by_input_GI, by_state_GD)
        ctx.kept = kept
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_out: Tensor) -> tuple[Tensor | None, ...]:
        kernels = _kernels()
        assert kernels is not None
        by_input_GI, by_state_GD = ctx.saved_tensors
        rows_LBK, gates_LBG, cell_LBD, squashed_LBD = ctx.kept
        del ctx.kept  # used up: the gates are overwritten
        length = len(gates_LBG)
        inputs, width = by_input_GI.shape[1], by_state_GD.shape[1]
        every = by_out.dim() == 3  # a gradient for each session, not the last alone
        by_cell_BD, spare_D = torch.zeros_like(cell_LBD[0]), cell_LBD.new_empty(width)
        by_out_BD = (by_out[-1] if every else by_out).clone(memory_format=torch.contiguous_format)
        gates, cell, squashed = (each.numpy() for each in (gates_LBG, cell_LBD, squashed_LBD))
        by_out_now, by_cell, spare = (each.numpy() for each in (by_out_BD, by_cell_BD, spare_D))
        for t in range(length - 1, -1, -1):
            kernels.backward(gates[t], cell[t], squashed[t], by_out_now, by_cell, spare)
            if t:
                torch.mm(gates_LBG[t], by_state_GD, out=by_out_BD)
                if every:
                    by_out_BD += by_out[t - 1]
        by_gates_LBG = gates_LBG  # they have become their gradients
        by_weight_KG = rows_LBK[:length].flatten(0, 1).T @ by_gates_LBG.flatten(0, 1)
        by_x_LBI = by_gates_LBG @ by_input_GI if ctx.needs_input_grad[0] else None
        by_input, by_state, by_bias = by_weight_KG.split([inputs, width, 1])
        return by_x_LBI, by_input.T, by_state.T, by_bias[0], None


def _autocast() -> bool:
    return torch.is_autocast_enabled("cpu")


@cache
def _kernels() -> ModuleType | None:
    """The compiled part; None where numba is not installed, as on a server that only answers forecasts."""
    try:
        from pipeline.learning import kernels
    except ImportError:
        return None
    return kernels
