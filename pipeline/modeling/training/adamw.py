"""AdamW with a one-cycle learning rate, for a few small tensors.

Creating an optimizer of `torch.optim` imports torch's compiler: 1.9 s of CPU time and 73 MiB in each training process,
for a dozen lines of arithmetic.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_WARM_UP = 0.1  # of the steps, in which the rate rises to its peak
_FIRST, _LAST = 1 / 25, 1 / 250_000  # of the peak: the first and the last rate
_LEAST_MOMENTUM, _MOST_MOMENTUM = 0.85, 0.95  # at the peak of the rate, and at its ends
_SQUARES, _EPSILON = 0.999, 1e-8


class AdamW:
    """Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019) over one cycle.

    The rate rises to its peak and falls to nearly zero along cosines; the momentum does the opposite (Smith 2018). The
    results are those of `torch.optim.AdamW` with `OneCycleLR`.
    """

    def __init__(self, parameters: Sequence[Tensor], *, peak: float, weight_decay: float, steps: int) -> None:
        self._parameters, self._peak, self._weight_decay, self._steps = list(parameters), peak, weight_decay, steps
        self._mean = [torch.zeros_like(parameter) for parameter in parameters]
        self._square = [torch.zeros_like(parameter) for parameter in parameters]
        self._done = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> float:
        """Update the parameters and return the learning rate that was used."""
        rate, momentum = self._rate_and_momentum(self._done)
        self._done += 1
        square_weight = 1 - _SQUARES**self._done
        mean_weight = 1 - momentum**self._done
        for parameter, gradient, mean, square in zip(
            self._parameters, gradients, self._mean, self._square, strict=True
        ):
            parameter.mul_(1 - rate * self._weight_decay)
            mean.lerp_(gradient, 1 - momentum)
            square.mul_(_SQUARES).addcmul_(gradient, gradient, value=1 - _SQUARES)
            parameter.addcdiv_(
                mean, square.sqrt().div_(math.sqrt(square_weight)).add_(_EPSILON), value=-rate / mean_weight
            )
        return rate

    def _rate_and_momentum(self, step: int) -> tuple[float, float]:
        """Return the learning rate and the momentum of a step, counted from 0."""
        top = _WARM_UP * (self._steps + 1) - 1
        if step <= top:
            share = step / top if top else 0.0
            rate, momentum = _cosine(_FIRST, 1.0, share), _cosine(_MOST_MOMENTUM, _LEAST_MOMENTUM, share)
        else:
            share = (step - top) / (self._steps - top)
            rate, momentum = _cosine(1.0, _LAST, share), _cosine(_LEAST_MOMENTUM, _MOST_MOMENTUM, share)
        return self._peak * rate, momentum


def clip(gradients: Sequence[Tensor], most: float) -> None:
    """Scale gradients in place so that their joint norm is at most `most` (Pascanu et al. 2013)."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    scale = (most / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) / 2 * (1 + math.cos(math.pi * share))
