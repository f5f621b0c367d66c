"""Gradient memory: the size of a forecast's gradient with respect to the inputs k sessions ago.

A plain RNN multiplies the gradient by the same matrix at every session of the backward pass, so it shrinks (or grows)
geometrically: distant sessions teach it almost nothing (Bengio, Simard & Frasconi 1994, Learning long-term dependencies
with gradient descent is difficult; Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural
networks). An LSTM's cell passes it on as far as its forget gate is open; a feed-forward network over the whole window
has a weight for each session, and no recurrence to lose the gradient in.

Legend: N windows, L context, F features, A inputs known ahead, H horizon, Q quantile levels.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Array
from pipeline.modeling.data.windows import Origins, Windows
from pipeline.modeling.forecaster import Forecaster
from pipeline.modeling.networks.network_shape import Shape
from pipeline.modeling.networks.quantile_networks import QuantileHead, build
from pipeline.modeling.torch_runtime import settle
from pipeline.modeling.training.training_record import GradientCurves, GradientMemory, GradientNumbers

NETWORKS = ("mlp", "rnn", "lstm")
_WINDOWS = 256  # at most; evenly spaced over those given
_SEED = 20_260  # of the random signs and of the untrained head, independent of the training


def gradient_memory_of(forecaster: Forecaster, features: Features, origins: Origins) -> GradientMemory | None:
    """Return how far back a forecaster looks; None without windows.

    The curves are `gradient_by_lag` of all three networks before the first step and of the trained one after the last,
    on the same windows. torch's random state does not change. The cost is that of about four training steps of 256
    windows.
    """
    if not len(origins):
        return None
    settle()
    card, network = forecaster.card, forecaster.network
    windows = Windows(features, card.context_length, card.features)
    x_NLF, ahead_NA = windows.gather(windows.starts(origins.evenly(_WINDOWS)))
    start_HQ = _head(network).start_HQ

    def at_start(name: str) -> Array:
        return gradient_by_lag(fresh(replace(card.shape, network=name), start_HQ, card.seed), x_NLF, ahead_NA)

    curves = {
        name: GradientCurves(
            start=_rounded(at_start(name)),
            end=_rounded(gradient_by_lag(network, x_NLF, ahead_NA)) if name == card.network else None,
        )
        for name in NETWORKS
    }
    start, end = curves[card.network].start or (), curves[card.network].end or ()
    return GradientMemory(
        network=card.network,
        windows=len(x_NLF),
        curves=curves,
        numbers=GradientNumbers(
            half_life_sessions=half_life(end),
            half_life_sessions_at_start=half_life(start),
            far_to_near=far_to_near(end),
            far_to_near_at_start=far_to_near(start),
        ),
    )


def gradient_by_lag(network: nn.Module, x_NLF: Tensor, ahead_NA: Tensor | None = None) -> Array:
    """Return the size of the forecast's gradient by lag, shape (L,), the last session first.

        g[k]² = mean over n, h, q of Σ_f (∂ quantile[n, h, q] / ∂ x[n, L − 1 − k, f])²

    in units of the scaled return per unit of a feature. All quantiles count, not only the median: what is predictable
    about a return is its range. One backward pass gives the sum over h and q: for random signs v of ±1, the mean of
    (Σ v ∂quantile/∂x)² is the sum of the squares (Hutchinson 1990). The signs are always the same.
    """
    network.eval()
    x_NLF = x_NLF.detach().clone().requires_grad_(True)
    quantiles_NHQ = network(x_NLF, ahead_NA)
    generator = torch.Generator().manual_seed(_SEED)
    signs_NHQ = 2.0 * torch.randint(2, quantiles_NHQ.shape, generator=generator) - 1.0
    (gradient_NLF,) = torch.autograd.grad(quantiles_NHQ, x_NLF, signs_NHQ)
    outputs = quantiles_NHQ[0].numel()
    # In float64: the square of a vanished gradient underflows in float32.
    squares_NL = gradient_NLF.double().square().sum(dim=-1) / outputs
    return np.asarray(squares_NL.mean(dim=0).sqrt().flip(0).numpy())


def fresh(shape: Shape, start_HQ: Tensor, seed: int) -> nn.Module:
    """Return the network that a training with this seed starts from, except for its head.

    A training starts with a head of zeros: its first forecast is the quantiles of the training targets whatever the
    inputs, and the gradient is zero at every lag. Here the head has torch's usual random initialization instead. It
    acts on all lags alike, so the shape of the curve is that of the network below; only the height depends on the head.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(shape, start_HQ)
        torch.manual_seed(_SEED)
        _head(network).linear.reset_parameters()
    return network


def half_life(gradient_L: Sequence[float]) -> int | None:
    """Return how many of the latest sessions hold half of the sum of a curve; None if it is zero everywhere.

    For a network that weighs all sessions alike it is half of the context length.
    """
    sums_L = np.cumsum(gradient_L)
    return int(np.searchsorted(sums_L, sums_L[-1] / 2)) + 1 if sums_L[-1] > 0 else None


def far_to_near(gradient_L: Sequence[float]) -> float | None:
    """Return the mean of a curve over its most distant quarter of lags, over that of the nearest; None if that is 0."""
    count = max(1, len(gradient_L) // 4)
    near, far = np.mean(gradient_L[:count]), np.mean(gradient_L[-count:])
    return float(far / near) if near > 0 else None


def _head(network: nn.Module) -> QuantileHead:
    return next(module for module in network.modules() if isinstance(module, QuantileHead))


def _rounded(gradient_L: Array) -> tuple[float, ...]:
    """Round to six digits: further ones differ between processors."""
    return tuple(float(f"{value:.6g}") for value in gradient_L)
