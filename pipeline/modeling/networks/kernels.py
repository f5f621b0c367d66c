"""The way of an LSTM and an RNN over all sessions and back, compiled.

torch's own layers on a CPU spend as long on what is element-wise as on matrix products: half of an inference, a third
of a training step. Here one loop does it, between products by BLAS, and without Python's lock: several threads
hardly meet. Compiled code is kept beside this file or in the user's cache folder, and made anew for another processor.

Legend: L context, B batch, D width, K columns of a row (input, output before, one); G = 4 D, the gates in torch's
order: input, forget, cell, output.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_Kernel = Callable[..., None]

# Sums may be taken in another order and divisions become products, but a NaN stays a NaN: a training that has gone
# astray must not look like one that has not.
_FAST = {"contract", "arcp", "nsz", "reassoc", "afn"}
_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)
_LEAST, _MOST = np.float32(-87), np.float32(87)  # beyond, exp is no normal float32
_PER_LOG2 = np.float32(np.log2(np.e))
_LOG2_HIGH = np.float32(0.693359375)  # log 2 in two parts, so that n log 2 is exact in the first (Cody & Waite 1980)
_LOG2_LOW = np.float32(np.log(2) - 0.693359375)
_E7, _E6, _E5, _E4, _E3 = (np.float32(1 / n) for n in (5040, 720, 120, 24, 6))  # exp's series, enough on ±log(2)/2


def _compiled(**options: Any) -> Callable[[_Kernel], _Kernel]:
    """Compile at the first call, kept on disk where there is a folder to keep it in."""

    def compile_(function: _Kernel) -> _Kernel:
        try:
            compiled: _Kernel = njit(function, cache=True, **options)
        except RuntimeError:  # no folder can be written to: compiled anew in each process
            compiled = njit(function, **options)
        return compiled

    return compile_


@njit(inline="always", fastmath=_FAST)
def _sigmoid(x: Any) -> Any:
    """1 / (1 + exp(−x)), within 2e-7 of it; exp(y) = 2^n · exp(r), with 2^n made from its bits."""
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
    """Turn pre-activations into gates in place, and write the new cell, its tanh, and the output.

    The pre-activations of the cell gate come doubled, since tanh(x) = 2 sigmoid(2 x) − 1. `cell_BD` may be `before_BD`.
    """
    width = before_BD.shape[1]
    for b in range(before_BD.shape[0]):
        gates_G = gates_BG[b]
        for k in range(4 * width):
            gates_G[k] = _sigmoid(gates_G[k])
        i_D, f_D = gates_G[:width], gates_G[width : 2 * width]
        g_D, o_D = gates_G[2 * width : 3 * width], gates_G[3 * width :]
        before_D, cell_D, squashed_D, out_D = before_BD[b], cell_BD[b], squashed_BD[b], out_BD[b]
        # One short loop for each result: a longer one would write where it reads, and the compiler would not vectorise.
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
    """Turn the gates into the gradients by their pre-activations (not doubled), in place.

    `by_out_BD` is the loss's gradient by this step's output; `by_cell_BD` that by its cell through later steps, and
    becomes that by the cell before. `spare_D` is written to.
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
    """Write the outputs, tanh of the pre-activations, which come doubled: tanh(x) = 2 sigmoid(2 x) − 1."""
    for b in range(pre_BD.shape[0]):
        pre_D, out_D = pre_BD[b], out_BD[b]
        for k in range(pre_BD.shape[1]):
            out_D[k] = _TWO * _sigmoid(pre_D[k]) - _ONE


@njit(nogil=True, fastmath=_FAST, error_model="numpy")
def _rnn_backward(out_BD: Floats, by_out_BD: Floats, by_pre_BD: Floats) -> None:
    """Write the gradients by the pre-activations (not doubled) from those by the outputs."""
    for b in range(out_BD.shape[0]):
        out_D, by_out_D, by_pre_D = out_BD[b], by_out_BD[b], by_pre_BD[b]
        for k in range(out_BD.shape[1]):
            by_pre_D[k] = by_out_D[k] * (_ONE - out_D[k] * out_D[k])


@_compiled(nogil=True, error_model="numpy")
def lstm_run(
    rows_LBK: Floats, weight_KG: Floats, gates_LBG: Floats, cell_LBD: Floats, squashed_LBD: Floats, out_LBD: Floats
) -> None:
    """Run over all sessions, writing each output into the row of the next.

    With gates for each session all is kept for the way back; with one, each session is written over the one before.
    The weights of the cell gate come doubled.
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
    """Turn the gates of all sessions into the gradients by their pre-activations, from that by the outputs.

    `by_out_LBD` has the last session's alone, or each one's.
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
    """Run over all sessions, writing each output into the row of the next; the weights come doubled."""
    for t in range(len(rows_LBK) - 1):
        np.dot(rows_LBK[t], weight_KD, pre_BD)
        _rnn_forward(pre_BD, out_LBD[t + 1])


@_compiled(nogil=True, error_model="numpy")
def rnn_back(out_LBD: Floats, by_state_DD: Floats, by_out_LBD: Floats, by_pre_LBD: Floats) -> None:
    """Write the gradients by the pre-activations of all sessions from that by the outputs, the last one's or each."""
    last, every = len(by_pre_LBD) - 1, len(by_out_LBD) > 1
    by_out_BD = by_out_LBD[-1].copy()
    for t in range(last, -1, -1):
        _rnn_backward(out_LBD[t + 1], by_out_BD, by_pre_LBD[t])
        if t > 0:
            np.dot(by_pre_LBD[t], by_state_DD, by_out_BD)
            if every:
                by_out_BD += by_out_LBD[t - 1]
