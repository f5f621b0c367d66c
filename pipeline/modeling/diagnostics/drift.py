"""Input drift: the population stability index (PSI) of each input against the training data.

PSI = Σ (p − q) · ln(p / q) over bins, where p is the share of the recent values in a bin and q that of the training
values; the bins are deciles of the training values (Siddiqi 2006, Credit Risk Scorecards, ch. 8). Below 0.1 is little
change, above 0.25 is much: rules of thumb, not tests.

Legend: N windows, F features, B bins.
"""

import numpy as np

from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Array
from pipeline.modeling.data.windows import Origins

RECENT = 63  # sessions that count as recent: a quarter
_BINS = 10
_LEAST = 1e-4  # smallest share: an empty bin would give an infinite PSI


def input_drift(features: Features, train: Origins) -> dict[str, float]:
    """Return the PSI of each input over the last `RECENT` sessions against the sessions that training windows end with.

    Empty where either has no values.
    """
    first = features.panel.last - RECENT + 1
    recent_NF = features.x_STF[:, max(first, 0) :][features.usable_ST[:, max(first, 0) :]].astype(float)
    trained_NF = features.x_STF[train.s_N, train.t_N].astype(float)
    if not len(recent_NF) or not len(trained_NF):
        return {}
    return {name: psi(trained_NF[:, at], recent_NF[:, at]) for at, name in enumerate(features.names)}


def psi(reference_N: Array, recent_N: Array) -> float:
    """Return the population stability index of recent values against reference values."""
    inner = np.unique(np.quantile(reference_N, np.linspace(0, 1, _BINS + 1)[1:-1]))
    q_B, p_B = (_shares(values, inner) for values in (reference_N, recent_N))
    return float(((p_B - q_B) * np.log(p_B / q_B)).sum())


def _shares(values_N: Array, edges: Array) -> Array:
    counts_B = np.bincount(np.searchsorted(edges, values_N, side="left"), minlength=len(edges) + 1)
    return np.asarray(np.maximum(counts_B / len(values_N), _LEAST))
