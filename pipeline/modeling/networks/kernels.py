"""Compiled forward and backward passes of an LSTM and an RNN over all sessions.

On a CPU, torch's own layers spend as much time on element-wise operations as on matrix products: half of an inference,
a third of a training step. Here a single compiled loop does them between BLAS products, without the GIL, so that
threads rarely wait for each other. Compiled code is cached next to this file or in the user's cache folder, per
processor.

Legend: L context, B batch, D width, K columns of a row (input, previous output, one); G = 4 D, the gates in torch's
order: input, forget, cell, output.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_Kernel = Callable[..., None]

# Sums may be reordered and divisions become products, but a NaN stays a NaN: a training that diverges must not look
# like one that does not.
_FAST = {"contract", "arcp", "nsz", "reassoc", "afn"}
_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)
_LEAST, _MOST = np.float32(-87), np.float32(87)  # beyond these, exp is not a normal float32
_PER_LOG2 = np.float32(np.log2(np.e))
_LOG2_HIGH = np.float32(0.693359375)  # log 2 in two parts, so that n log 2 is exact in the first (Cody & Waite 1980)
_LOG2_LOW = np.float32(np.log(2) - 0.693359375)
_E7, _E6, _E5, _E4, _E3 = (np.float32(1 / n) for n in (5040, 720, 120, 24, 6))  # exp's series, enough on ±log(2)/2


def _compiled(**options: Any) -> Callable[[_Kernel], _Kernel]:
    """Compile at the first call, and cache the code on disk if a folder is writable."""

    def compile_(function: _Kernel) -> _Kernel:
        try:
            compiled: _Kernel = njit(function, cache=True, **options)
        except RuntimeError:  # no folder is writable: compiled in each process
            compiled = njit(function, **options)
        return compiled

    return compile_


@njit(inline="always", fastmath=_FAST)
def _sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)), to within 2e-7; exp(y) = 2^n · exp(r), with 2^n built from its bits."""
    y = -x
    y = _LEAST if y < _LEAST else y
    y = _MOST if y > _MOST else y
    n = np.floor(y * _PER_LOG2 + _HALF)
    r = y - n * _LOG2_HIGH
    r = r - n * _LOG2_LOW
    series = ((((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _HALF) * r + _ONE) * r + _ONE
    power = np.int32(np.int32(np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return _ONE / (_ONE + series * power)


@njit(nogil=True, fastmath=_FAST, error_model="numpy")
def lstm_forward(gates_BG: Floats, before_BD: Floats, cell_BD: Floats, squashed_BD: Floats, out_BD: Floats) -> None:
    """Turn pre-activations into gates in place; write the new cell, its tanh, and the output.

    The pre-activations of the cell gate are passed doubled, since tanh(x) = 2 sigmoid(2 x) − 1. `cell_BD` may be
    `before_BD`.
    """
    width = before_BD.shape[1]
    for b in range(before_BD.shape[0]):
        gates_G = gates_BG[b]
        for k in range(4 * width):
            gates_G[k] = _sigmoid(gates_G[k])
        i_D, f_D = gates_G[:width], gates_G[width : 2 * width]
        g_D, o_D = gates_G[2 * width : 3 * width], gates_G[3 * width :]
        before_D, cell_D, squashed_D, out_D = before_BD[b], cell_BD[b], squashed_BD[b], out_BD[b]
        # A short loop per result: a longer one would write where it reads, which the compiler does not vectorise.
        for k in range(width):
            g_D[k] = _TWO * g_D[k] - _ONE
        for k in range(width):
            cell_D[k] = f_D[k] * before_D[k] + i_D[k] * g_D[k]
        for k in range(width):
            squashed_D[k] = _TWO * _sigmoid(_TWO * cell_D[k]) - _ONE
        for k in range(width):
            out_D[k] = o_D[k] * squashed_D[k]


@njit(nogil=True, fastmath=_FAST, error_model="numpy")
def _lstm_backward(
    gates_BG: Floats, before_BD: Floats, squashed_BD: Floats, by_out_BD: Floats, by_cell_BD: Floats, spare_D: Floats
) -> None:
    """Turn the gates into gradients with respect to their pre-activations (not doubled), in place.

    `by_out_BD` is the gradient of the loss with respect to this step's output. `by_cell_BD` is that with respect to its
    cell through later steps, and becomes that with respect to the previous cell. `spare_D` is scratch space.
    """
    width = before_BD.shape[1]
    for b in range(before_BD.shape[0]):
        gates_G = gates_BG[b]
        i_D, f_D = gates_G[:width], gates_G[width : 2 * width]
        g_D, o_D = gates_G[2 * width : 3 * width], gates_G[3 * width :]
        before_D, squashed_D, by_out_D, by_cell_D = before_BD[b], squashed_BD[b], by_out_BD[b], by_cell_BD[b]
        for k in range(width):
            by_cell_D[k] = by_cell_D[k] + by_out_D[k] * o_D[k] * (_ONE - squashed_D[k] * squashed_D[k])
        for k in range(width):
            o_D[k] = by_out_D[k] * squashed_D[k] * o_D[k] * (_ONE - o_D[k])
        for k in range(width):
            spare_D[k] = by_cell_D[k] * g_D[k] * i_D[k] * (_ONE - i_D[k])
        for k in range(width):
            g_D[k] = by_cell_D[k] * i_D[k] * (_ONE - g_D[k] * g_D[k])
        for k in range(width):
            i_D[k] = spare_D[k]
        for k in range(width):
            spare_D[k] = by_cell_D[k] * f_D[k]
        for k in range(width):
            f_D[k] = by_cell_D[k] * before_D[k] * f_D[k] * (_ONE - f_D[k])
        for k in range(width):
            by_cell_D[k] = spare_D[k]


@njit(nogil=True, fastmath=_FAST, error_model="numpy")
def _rnn_forward(pre_BD: Floats, out_BD: Floats) -> None:
    """Write the outputs, tanh of the pre-activations, which are passed doubled: tanh(x) = 2 sigmoid(2 x) − 1."""
    for b in range(pre_BD.shape[0]):
        pre_D, out_D = pre_BD[b], out_BD[b]
        for k in range(pre_BD.shape[1]):
            out_D[k] = _TWO * _sigmoid(pre_D[k]) - _ONE


@njit(nogil=True, fastmath=_FAST, error_model="numpy")
def _rnn_backward(out_BD: Floats, by_out_BD: Floats, by_pre_BD: Floats) -> None:
    """Write the gradients of the pre-activations (not doubled) from those of the outputs."""
    for b in range(out_BD.shape[0]):
        out_D, by_out_D, by_pre_D = out_BD[b], by_out_BD[b], by_pre_BD[b]
        for k in range(out_BD.shape[1]):
            by_pre_D[k] = by_out_D[k] * (_ONE - out_D[k] * out_D[k])


@_compiled(nogil=True, error_model="numpy")
def lstm_run(
    rows_LBK: Floats, weight_KG: Floats, gates_LBG: Floats, cell_LBD: Floats, squashed_LBD: Floats, out_LBD: Floats
) -> None:
    """Forward pass over all sessions; each output is written into the row of the next session.

    With gates for every session, what the backward pass needs is kept; with gates for one, each session overwrites the
    previous one. The weights of the cell gate are passed doubled.
    """
    keep = len(gates_LBG) > 1
    for t in range(len(rows_LBK) - 1):
        at, after = (t, t + 1) if keep else (0, 0)
        np.dot(rows_LBK[t], weight_KG, gates_LBG[at])
        lstm_forward(gates_LBG[at], cell_LBD[at], cell_LBD[after], squashed_LBD[at], out_LBD[t + 1])


@_compiled(nogil=True, error_model="numpy")
def lstm_back(
    gates_LBG: Floats, cell_LBD: Floats, squashed_LBD: Floats, by_state_GD: Floats, by_out_LBD: Floats
) -> None:
    """Backward pass: turn the gates of all sessions into gradients of their pre-activations, from those of the outputs.

    `by_out_LBD` holds the gradient of the last session's output, or of every session's.
    """
    last, every = len(gates_LBG) - 1, len(by_out_LBD) > 1
    by_out_BD = by_out_LBD[-1].copy()
    by_cell_BD, spare_D = np.zeros_like(by_out_BD), np.empty_like(by_out_BD[0])
    for t in range(last, -1, -1):
        _lstm_backward(gates_LBG[t], cell_LBD[t], squashed_LBD[t], by_out_BD, by_cell_BD, spare_D)
        if t > 0:
            np.dot(gates_LBG[t], by_state_GD, by_out_BD)
            if every:
                by_out_BD += by_out_LBD[t - 1]


@_compiled(nogil=True, error_model="numpy")
def rnn_run(rows_LBK: Floats, weight_KD: Floats, pre_BD: Floats, out_LBD: Floats) -> None:
    """Forward pass over all sessions; each output is written into the next row. The weights are passed doubled."""
    for t in range(len(rows_LBK) - 1):
        np.dot(rows_LBK[t], weight_KD, pre_BD)
        _rnn_forward(pre_BD, out_LBD[t + 1])


@_compiled(nogil=True, error_model="numpy")
def rnn_back(out_LBD: Floats, by_state_DD: Floats, by_out_LBD: Floats, by_pre_LBD: Floats) -> None:
    """Backward pass: gradients of all pre-activations from those of the outputs, the last one's or every one's."""
    last, every = len(by_pre_LBD) - 1, len(by_out_LBD) > 1
    by_out_BD = by_out_LBD[-1].copy()
    for t in range(last, -1, -1):
        _rnn_backward(out_LBD[t + 1], by_out_BD, by_pre_LBD[t])
        if t > 0:
            np.dot(by_pre_LBD[t], by_state_DD, by_out_BD)
            if every:
                by_out_BD += by_out_LBD[t - 1]
