"""torch's LSTM and RNN layers with a faster implementation on a CPU.

Input, previous output and bias lie side by side, so that each session is one matrix product; element-wise operations
are compiled (`kernels`). The gradient of the weights is one product over all sessions at the end; the gradient of the
inputs is computed only on request. Parameters have torch's names and order, so weights are interchangeable. On a GPU,
under autocast or without numba, torch's own layer runs.

Legend: B batch, L context, I inputs, D width, G columns of the pre-activations (LSTM 4 D, RNN D), K = I + D + 1 columns
of a row (input, previous output, one).
"""

from abc import ABC, abstractmethod
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Lstm(nn.LSTM):
    """`nn.LSTM` over whole windows, batch first; only `last` is faster."""

    def last(self, x_BLI: Tensor) -> Tensor:
        """Return the top layer's output at the last session, shape (B, D)."""
        return _last(self, x_BLI)


class Rnn(nn.RNN):
    """`nn.RNN` with tanh over whole windows, batch first; only `last` is faster."""

    def last(self, x_BLI: Tensor) -> Tensor:
        """Return the top layer's output at the last session, shape (B, D)."""
        return _last(self, x_BLI)


def _last(cell: Lstm | Rnn, x_BLI: Tensor) -> Tensor:
    plain = torch.is_autocast_enabled("cpu") or x_BLI.device.type != "cpu" or x_BLI.dtype != torch.float32
    if plain or compiled_kernels() is None:
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
            at_LBI = _Layer.apply(  # type: ignore[no-untyped-call]  # torch
                at_LBI, by_input_GI, by_state_GD, bias_G + more_G, last, steps
            )
        else:
            rows = _Rows(at_LBI, cell.hidden_size)
            steps(rows, by_input_GI, by_state_GD, bias_G + more_G, keep=False)
            at_LBI = rows.result(last)
    return at_LBI


class _Rows:
    """The operands of each session's matrix product, (L + 1, B, K), including the output of the previous session."""

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
        """Return the gradient of the weights, (K, G), from that of the pre-activations of all sessions."""
        return self.all_LBK[: self.length].flatten(0, 1).T @ by_pre_LBG.flatten(0, 1)


class _Steps(ABC):
    """Forward pass of one layer over all sessions; `back` is its backward pass."""

    def __init__(self, rows: _Rows, by_input_GI: Tensor, by_state_GD: Tensor, bias_G: Tensor, *, keep: bool) -> None:
        self.rows, self.width = rows, by_state_GD.shape[1]
        self.run(torch.cat([by_input_GI.T, by_state_GD.T, bias_G[None]]), keep=keep)

    @abstractmethod
    def run(self, weight_KG: Tensor, *, keep: bool) -> None:
        """Write the outputs into the rows; `keep` retains what the backward pass needs."""

    @abstractmethod
    def back(self, by_out: Tensor, by_state_GD: Tensor) -> Tensor:
        """Return the gradient of the pre-activations, (L, B, G), from that of the output, (B, D) or (L, B, D).

        To be called once: what was kept is overwritten.
        """


class _Lstm(_Steps):
    def run(self, weight_KG: Tensor, *, keep: bool) -> None:
        rows, width = self.rows, self.width
        weight_KG[:, 2 * width : 3 * width] *= 2.0
        batch, depth = rows.all_LBK.shape[1], rows.length if keep else 1
        self.gates_LBG = rows.all_LBK.new_empty(depth, batch, 4 * width)
        self.squashed_LBD = rows.all_LBK.new_empty(depth, batch, width)
        self.cell_LBD = rows.all_LBK.new_zeros(depth + 1, batch, width)
        arrays = (rows.all_LBK, weight_KG, self.gates_LBG, self.cell_LBD, self.squashed_LBD, rows.out_LBD)
        kernels().lstm_run(*(array.numpy() for array in arrays))

    def back(self, by_out: Tensor, by_state_GD: Tensor) -> Tensor:
        arrays = (self.gates_LBG, self.cell_LBD, self.squashed_LBD, by_state_GD.detach(), _by_session(by_out))
        kernels().lstm_back(*(array.numpy() for array in arrays))
        return self.gates_LBG


class _Rnn(_Steps):
    def run(self, weight_KG: Tensor, *, keep: bool) -> None:
        del keep  # the outputs lie in the rows in any case
        rows = self.rows
        pre_BD = rows.all_LBK.new_empty(rows.all_LBK.shape[1], self.width)
        arrays = (rows.all_LBK, 2.0 * weight_KG, pre_BD, rows.out_LBD)
        kernels().rnn_run(*(array.numpy() for array in arrays))

    def back(self, by_out: Tensor, by_state_GD: Tensor) -> Tensor:
        out_LBD = self.rows.out_LBD
        by_pre_LBD = out_LBD.new_empty(self.rows.length, *out_LBD.shape[1:])
        arrays = (out_LBD, by_state_GD.detach(), _by_session(by_out), by_pre_LBD)
        kernels().rnn_back(*(array.numpy() for array in arrays))
        return by_pre_LBD


def _by_session(by_out: Tensor) -> Tensor:
    return (by_out if by_out.dim() == 3 else by_out[None]).contiguous()


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
        del ctx.steps
        by_pre_LBG = steps.back(by_out, by_state_GD)
        by_weight_KG = steps.rows.gradient(by_pre_LBG)
        by_x_LBI = by_pre_LBG @ by_input_GI if ctx.needs_input_grad[0] else None
        by_input, by_state, by_bias = torch.split(by_weight_KG, [steps.rows.inputs, steps.width, 1])
        return by_x_LBI, by_input.T, by_state.T, by_bias[0], None, None


def kernels() -> ModuleType:
    """Return the compiled kernels, known to be available."""
    found = compiled_kernels()
    assert found is not None
    return found


@cache
def compiled_kernels() -> ModuleType | None:
    """Return the compiled kernels; None if numba is not installed, as on a server that only forecasts.

    Their BLAS (scipy's) uses one thread per product: several would wait for each other by spinning.
    """
    try:
        import scipy.linalg.cython_blas
        from threadpoolctl import threadpool_limits

        from pipeline.modeling.networks import kernels
    except ImportError:
        return None
    assert scipy.linalg.cython_blas
    threadpool_limits(1, user_api="blas")
    return kernels
