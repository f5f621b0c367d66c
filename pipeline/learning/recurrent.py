"""torch's LSTM and RNN layers with a faster way to the same numbers on a CPU.

Input, output before and bias lie side by side, so that each session is one matrix product, and what is element-wise is
compiled (`kernels`). The weights of all sessions get their gradient from one product at the end, and a gradient by the
inputs is made only where somebody asks. Parameters are torch's own, by name and order: weights trained here load there,
and on a GPU, under autocast or without numba it is torch's layer that runs.

Legend: B batch, L context, I inputs, D width, G columns of the pre-activations (LSTM 4 D, RNN D), K = I + D + 1 columns
of a row (input, output before, one).
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
        return _last(self, x_BLI)


class Rnn(nn.RNN):
    """`nn.RNN` with tanh over whole windows, batch first; `last` is its only way in that is faster."""

    def last(self, x_BLI: Tensor) -> Tensor:
        """Return the top layer's output at the last session, shape (B, D)."""
        return _last(self, x_BLI)


def _last(cell: Lstm | Rnn, x_BLI: Tensor) -> Tensor:
    plain = torch.is_autocast_enabled("cpu") or x_BLI.device.type != "cpu" or x_BLI.dtype != torch.float32
    if plain or _kernels() is None:
        out_BLD: Tensor = cell(x_BLI)[0]
        return out_BLD[:, -1]
    steps = _Lstm if isinstance(cell, Lstm) else _Rnn
    at_LBI = x_BLI.transpose(0, 1)
    for layer in range(cell.num_layers):
        by_input_GI, by_state_GD, bias_G, more_G = (
            cell.get_parameter(f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        last = layer == cell.num_layers - 1
        if torch.is_grad_enabled():
            at_LBI = _Layer.apply(  # type: ignore[no-untyped-call]
                at_LBI, by_input_GI, by_state_GD, bias_G + more_G, last, steps
            )
        else:
            rows = _Rows(at_LBI, by_state_GD.shape[1])
            steps(rows, by_input_GI, by_state_GD, bias_G + more_G, keep=False)
            at_LBI = rows.result(last)
    return at_LBI


class _Rows:
    """What each session's matrix product reads, (L + 1, B, K), and in it the outputs: of each row the one before."""

    def __init__(self, x_LBI: Tensor, width: int) -> None:
        self.length, batch, self.inputs = x_LBI.shape
        self.all_LBK = x_LBI.new_empty(self.length + 1, batch, self.inputs + width + 1)
        self.all_LBK[: self.length, :, : self.inputs] = x_LBI
        self.all_LBK[:, :, -1] = 1.0
        self.out_LBD = self.all_LBK[:, :, self.inputs : self.inputs + width]
        self.out_LBD[0] = 0.0

    def result(self, last: bool) -> Tensor:
        """Return the output of the last session, (B, D), or of all, (L, B, D)."""
        return (self.out_LBD[self.length] if last else self.out_LBD[1:]).clone()

    def gradient(self, by_pre_LBG: Tensor) -> Tensor:
        """Return the gradient by the weights (K, G), from that by the pre-activations of all sessions."""
        return self.all_LBK[: self.length].flatten(0, 1).T @ by_pre_LBG.flatten(0, 1)


class _Steps:
    """The sessions of one layer, there and with `back` the way back."""

    def __init__(self, rows: _Rows, by_input_GI: Tensor, by_state_GD: Tensor, bias_G: Tensor, *, keep: bool) -> None:
        kernels = _kernels()
        assert kernels is not None
        self.rows, self.kernels, self.width, self.keep = rows, kernels, by_state_GD.shape[1], keep
        self.run(torch.cat([by_input_GI.T, by_state_GD.T, bias_G[None]]))

    def run(self, weight_KG: Tensor) -> None:
        """Write the outputs into the rows, and with `keep` keep what the way back needs."""
        raise NotImplementedError

    def back(self, by_out: Tensor, by_state_GD: Tensor) -> Tensor:
        """Return the gradient by the pre-activations, (L, B, G), from that by the output, (B, D) or (L, B, D)."""
        every = by_out.dim() == 3  # a gradient for each session, not the last alone
        by_out_BD = (by_out[-1] if every else by_out).clone(memory_format=torch.contiguous_format)
        by_pre_LBG = self.begin_back(by_out_BD)
        for t in range(self.rows.length - 1, -1, -1):
            self.step_back(t)
            if t:
                torch.mm(by_pre_LBG[t], by_state_GD, out=by_out_BD)
                if every:
                    by_out_BD += by_out[t - 1]
        return by_pre_LBG

    def begin_back(self, by_out_BD: Tensor) -> Tensor:
        """Make ready to go back, reading gradients by the output from `by_out_BD`; return where results will lie."""
        raise NotImplementedError

    def step_back(self, t: int) -> None:
        """Write the gradient by the pre-activations of one session."""
        raise NotImplementedError


class _Lstm(_Steps):
    def run(self, weight_KG: Tensor) -> None:
        rows, width = self.rows, self.width
        weight_KG[:, 2 * width : 3 * width] *= 2.0  # see kernels.lstm_forward
        depth = rows.length if self.keep else 1
        batch = rows.all_LBK.shape[1]
        self.gates_LBG = rows.all_LBK.new_empty(depth, batch, 4 * width)
        squashed_LBD = rows.all_LBK.new_empty(depth, batch, width)
        cell_LBD = rows.all_LBK.new_zeros(depth + 1 if self.keep else 1, batch, width)
        self.gates, self.squashed, self.cell = (each.numpy() for each in (self.gates_LBG, squashed_LBD, cell_LBD))
        out = rows.out_LBD.numpy()
        for t in range(rows.length):
            at, after = (t, t + 1) if self.keep else (0, 0)
            torch.mm(rows.all_LBK[t], weight_KG, out=self.gates_LBG[at])
            self.kernels.lstm_forward(self.gates[at], self.cell[at], self.cell[after], self.squashed[at], out[t + 1])

    def begin_back(self, by_out_BD: Tensor) -> Tensor:
        self.by_out = by_out_BD.numpy()
        self.by_cell, self.spare = torch.zeros_like(by_out_BD).numpy(), by_out_BD.new_empty(self.width).numpy()
        return self.gates_LBG  # each becomes its own gradient

    def step_back(self, t: int) -> None:
        self.kernels.lstm_backward(self.gates[t], self.cell[t], self.squashed[t], self.by_out, self.by_cell, self.spare)


class _Rnn(_Steps):
    def run(self, weight_KG: Tensor) -> None:
        rows = self.rows
        weight_KG *= 2.0  # see kernels.rnn_forward
        pre_BD = rows.all_LBK.new_empty(rows.all_LBK.shape[1], self.width)
        self.out, pre = rows.out_LBD.numpy(), pre_BD.numpy()
        for t in range(rows.length):
            torch.mm(rows.all_LBK[t], weight_KG, out=pre_BD)
            self.kernels.rnn_forward(pre, self.out[t + 1])

    def begin_back(self, by_out_BD: Tensor) -> Tensor:
        self.by_out = by_out_BD.numpy()
        by_pre_LBD = by_out_BD.new_empty(self.rows.length, *by_out_BD.shape)
        self.by_pre = by_pre_LBD.numpy()
        return by_pre_LBD

    def step_back(self, t: int) -> None:
        self.kernels.rnn_backward(self.out[t + 1], self.by_out, self.by_pre[t])


class _Layer(torch.autograd.Function):
    """One layer over all sessions, and its gradient (Hochreiter & Schmidhuber 1997; through time, Werbos 1990)."""

    @staticmethod
    def forward(
        ctx: Any,
        x_LBI: Tensor,
        by_input_GI: Tensor,
        by_state_GD: Tensor,
        bias_G: Tensor,
        last: bool,
        steps: type[_Steps],
    ) -> Tensor:
        rows = _Rows(x_LBI.detach(), by_state_GD.shape[1])
        ctx.save_for_backward(by_input_GI, by_state_GD)
        ctx.steps = steps(rows, by_input_GI, by_state_GD, bias_G, keep=True)
        return rows.result(last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_out: Tensor) -> tuple[Tensor | None, ...]:
        by_input_GI, by_state_GD = ctx.saved_tensors
        steps: _Steps = ctx.steps
        del ctx.steps  # used up: what was kept is overwritten
        by_pre_LBG = steps.back(by_out, by_state_GD)
        by_weight_KG = steps.rows.gradient(by_pre_LBG)
        by_x_LBI = by_pre_LBG @ by_input_GI if ctx.needs_input_grad[0] else None
        by_input, by_state, by_bias = torch.split(by_weight_KG, [steps.rows.inputs, steps.width, 1])
        return by_x_LBI, by_input.T, by_state.T, by_bias[0], None, None


@cache
def _kernels() -> ModuleType | None:
    """The compiled part; None where numba is not installed, as on a server that only answers forecasts."""
    try:
        from pipeline.learning import kernels
    except ImportError:
        return None
    return kernels
