"""AdamW on one cycle of the learning rate, for a handful of small tensors.

`torch.optim` imports torch's compiler when an optimizer is made: 1.9 s of CPU and 73 MiB in each training process, for
what is a dozen lines.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_WARM_UP = 0.1  # of the steps, in which the rate rises to its peak
_FIRST, _LAST = 1 / 25, 1 / 250_000  # of the peak: where the rate begins, and where it ends
_LEAST_MOMENTUM, _MOST_MOMENTUM = 0.85, 0.95  # at the peak of the rate, and where the rate is low
_SQUARES, _EPSILON = 0.999, 1e-8


class AdamW:
    """Adam with weight decay beside the gradient (Kingma & Ba 2015; Loshchilov & Hutter 2019), one cycle long.

    The rate rises to its peak and falls to nothing along cosines while the momentum does the opposite (Smith 2018). The
    numbers are those of `torch.optim.AdamW` under `OneCycleLR`.
    """

    def __init__(self, parameters: Sequence[Tensor], *, peak: float, weight_decay: float, steps: int) -> None:
        self._parameters, self._peak, self._weight_decay, self._steps = list(parameters), peak, weight_decay, steps
        self._mean = [torch.zeros_like(each) for each in parameters]
        self._square = [torch.zeros_like(each) for each in parameters]
        self._done = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> float:
        """Move the parameters against their gradients, and return the rate at which it was done."""
        rate, momentum = self._rate_and_momentum(self._done)
        self._done += 1
        seen = 1 - _SQUARES**self._done
        kept = 1 - momentum**self._done
        for parameter, gradient, mean, square in zip(
            self._parameters, gradients, self._mean, self._square, strict=True
        ):
            parameter.mul_(1 - rate * self._weight_decay)
            mean.lerp_(gradient, 1 - momentum)
            square.mul_(_SQUARES).addcmul_(gradient, gradient, value=1 - _SQUARES)
            parameter.addcdiv_(mean, square.sqrt().div_(math.sqrt(seen)).add_(_EPSILON), value=-rate / kept)
        return rate

    def _rate_and_momentum(self, step: int) -> tuple[float, float]:
        """Return both for the step of this number, from 0."""
        top = _WARM_UP * (self._steps + 1) - 1
        if step <= top:
            share = step / top if top else 0.0
            rate, momentum = _cosine(_FIRST, 1.0, share), _cosine(_MOST_MOMENTUM, _LEAST_MOMENTUM, share)
        else:
            share = (step - top) / (self._steps - top)
            rate, momentum = _cosine(1.0, _LAST, share), _cosine(_LEAST_MOMENTUM, _MOST_MOMENTUM, share)
        return self._peak * rate, momentum


def clip(gradients: Sequence[Tensor], most: float) -> None:
    """Scale gradients in place so that their norm, taken together, is at most `most` (Pascanu et al. 2013)."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in gradients]))
    scale = (most / (norm + 1e-6)).clamp(max=1.0)
    for each in gradients:
        each.mul_(scale)


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) / 2 * (1 + math.cos(math.pi * share))
