"""Windows of features without copies: a strided view of one flat array, gathered by index.

Legend: S symbols, T sessions, F features, A inputs known ahead, L context, H horizon, N windows, B batch. A window is
identified by its origin: the symbol `s` and the session `t` that it ends with, the last one that the network sees.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.forecast_schema import INPUTS
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Array, Index


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Windows by symbol and session index, both of shape (N,)."""

    s_N: Index
    t_N: Index

    def __len__(self) -> int:
        return len(self.s_N)

    def where(self, mask_N: NDArray[np.bool_]) -> "Origins":
        """Return the origins where the mask is true."""
        return Origins(s_N=self.s_N[mask_N], t_N=self.t_N[mask_N])

    def at_rows(self, rows_N: Index) -> "Origins":
        """Return the origins of these rows."""
        return Origins(s_N=self.s_N[rows_N], t_N=self.t_N[rows_N])

    def evenly(self, at_most: int) -> "Origins":
        """Return these origins, or `at_most` of them, evenly spaced, if there are more."""
        if len(self) <= at_most:
            return self
        return self.at_rows(np.linspace(0, len(self) - 1, at_most).astype(np.int64))

    def at(self, t: int) -> "Origins":
        """Return the origins of the session index `t`."""
        return self.where(self.t_N == t)


def usable_origins(features: Features, context_length: int) -> Origins:
    """Return every origin whose whole context is usable, by symbol and session."""
    run_ST = np.cumsum(features.usable_ST, axis=1)
    before_ST = np.concatenate([np.zeros((len(run_ST), context_length), int), run_ST[:, :-context_length]], axis=1)
    s_N, t_N = np.nonzero(run_ST - before_ST[:, : run_ST.shape[1]] == context_length)
    return Origins(s_N=s_N, t_N=t_N)


def with_targets(origins: Origins, future_STH: Array) -> Origins:
    """Return the origins whose targets are all known."""
    known_N = np.asarray(np.isfinite(future_STH[origins.s_N, origins.t_N]).all(axis=-1))
    return origins.where(known_N)


class Windows:
    """The contexts of all origins as one view; `gather` copies a batch."""

    def __init__(
        self,
        features: Features,
        context_length: int,
        inputs: tuple[str, ...] = INPUTS,
        device: torch.device | None = None,
    ) -> None:
        x_STF = features.of(inputs)
        self._sessions = x_STF.shape[1]
        self._context_length = context_length
        flat_NF = _by_row(x_STF).to(device or "cpu")
        count, width = flat_NF.shape
        self._view_NLF = flat_NF.as_strided(
            (max(count - context_length + 1, 0), context_length, width), (width, width, 1)
        )
        self._ahead_NA = _by_row(features.ahead(inputs)).to(device or "cpu")

    def starts(self, origins: Origins) -> Tensor:
        """Return the index in the view at which each origin's context begins, shape (N,)."""
        return torch.from_numpy(origins.s_N * self._sessions + origins.t_N - self._context_length + 1)

    def gather(self, starts_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return the contexts that begin there, (B, L, F), and what is known ahead at their ends, (B, A)."""
        at_B = starts_B.to(self._view_NLF.device)
        return self._view_NLF.index_select(0, at_B), self._ahead_NA.index_select(0, at_B + self._context_length - 1)


def _by_row(values_STF: NDArray[np.float32]) -> Tensor:
    symbols, sessions, width = values_STF.shape  # of which the width may be 0: -1 would not do
    return torch.from_numpy(values_STF.reshape(symbols * sessions, width))
