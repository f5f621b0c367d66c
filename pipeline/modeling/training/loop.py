"""The training loop: pinball loss on scaled targets, with early stopping on the validation block or one pass over all.

Legend: N windows, B batch, H horizon, Q quantile levels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.forecast_schema import INPUTS
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Index
from pipeline.modeling.data.splits import Fold
from pipeline.modeling.data.windows import Origins, Windows
from pipeline.modeling.networks.batched import in_chunks
from pipeline.modeling.networks.network_shape import Shape
from pipeline.modeling.networks.quantile_networks import build
from pipeline.modeling.torch_runtime import Workers, settle, training_device
from pipeline.modeling.training.adamw import AdamW, clip
from pipeline.modeling.training.training_record import Precision

_CHECK_EVERY = 50  # steps between two evaluations of the validation block
_VALIDATION_WINDOWS = 4096  # at most; evenly spaced over the block
_START_WINDOWS = 100_000  # whose targets give the initial quantiles; more would not change them
Progress = Callable[[int, int], None]  # training step, number of steps


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hyperparameters of a training."""

    steps: int
    batch_size: int
    seed: int
    levels: tuple[float, ...]
    inputs: tuple[str, ...] = INPUTS
    learning_rate: float = 5e-4  # the peak of the schedule
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    threads: int = 1  # that share the windows of a step; another number gives other bits
    precision: Precision = "fp32"
    one_pass: bool = False  # train on everything before the test block, to the last step


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network and its curves, as points of (step, value)."""

    network: nn.Module
    best_step: int
    train_pinball: list[tuple[int, float]]
    validation_pinball: list[tuple[int, float]]
    learning_rate: list[tuple[int, float]]


def fit(features: Features, fold: Fold, shape: Shape, recipe: Recipe, progress: Progress | None = None) -> Fitted:
    """Return the network trained on `fold.train`, with the weights that did best on `fold.validation`.

    In one pass it is trained on `fold.before_test`, with the weights of the last step, and nothing is validated. The
    same features, fold, shape and recipe give the same bits on the same machine. `progress` is called with the step and
    the number of steps. The network is returned on the CPU, wherever it was trained.
    """
    settle()
    torch.manual_seed(recipe.seed)
    device = training_device()
    levels_Q = torch.tensor(recipe.levels)
    windows = Windows(features, shape.context_length, recipe.inputs, device)

    def targets_of(origins: Origins) -> Tensor:
        return scaled_targets(features, origins, shape.horizon, recipe.inputs)

    train = fold.before_test if recipe.one_pass else fold.train
    checked = fold.validation.evenly(0 if recipe.one_pass else _VALIDATION_WINDOWS)
    check_starts_N, check_y_NH = windows.starts(checked), targets_of(checked)

    begin_y_NH = targets_of(train.at_rows(_every(len(train), _START_WINDOWS)))
    network = build(shape, torch.quantile(begin_y_NH, levels_Q, dim=0).T.contiguous()).to(device)
    parameters = list(network.parameters())
    optimizer = AdamW(parameters, peak=recipe.learning_rate, weight_decay=recipe.weight_decay, steps=recipe.steps)
    generator = torch.Generator().manual_seed(recipe.seed)
    losses: list[tuple[int, float]] = []
    rates: list[tuple[int, float]] = []
    with Workers(recipe.threads if device.type == "cpu" else 1) as workers:
        gradient_of = _Gradient(network, windows, levels_Q.to(device), recipe, workers)

        def checked_loss() -> float:
            # In the precision of the training: bf16 then never loads the compiled cells, which cost 120 MiB.
            bf16 = recipe.precision == "bf16"
            return pinball(in_chunks(network, windows, check_starts_N, workers, bf16=bf16), check_y_NH, levels_Q).item()

        checks = [] if recipe.one_pass else [(0, checked_loss())]
        best, best_step = _copy(network), 0
        for step in range(1, recipe.steps + 1):
            rows_B = torch.randint(len(train), (recipe.batch_size,), generator=generator).numpy()
            batch = train.at_rows(rows_B)
            loss, gradients = gradient_of(windows.starts(batch), targets_of(batch))
            clip(gradients, recipe.clip_norm)
            rates.append((step, optimizer.step(gradients)))
            losses.append((step, loss))
            if not recipe.one_pass and (step % _CHECK_EVERY == 0 or step == recipe.steps):
                checks.append((step, checked_loss()))
                if checks[-1][1] < min(value for _, value in checks[:-1]):
                    best, best_step = _copy(network), step
            if progress is not None:
                progress(step, recipe.steps)
    if recipe.one_pass:
        best_step = recipe.steps
    else:
        network.load_state_dict(best)
    return Fitted(
        network=network.cpu().eval(),
        best_step=best_step,
        train_pinball=losses,
        validation_pinball=checks,
        learning_rate=rates,
    )


def pinball(quantiles_BHQ: Tensor, y_BH: Tensor, levels_Q: Tensor) -> Tensor:
    """Return the mean quantile loss (Koenker & Bassett 1978)."""
    error_BHQ = y_BH.unsqueeze(-1) - quantiles_BHQ
    return torch.maximum(levels_Q * error_BHQ, (levels_Q - 1) * error_BHQ).mean()


def scaled_targets(features: Features, origins: Origins, horizon: int, inputs: tuple[str, ...] = INPUTS) -> Tensor:
    """Return the cumulative returns over 1..horizon sessions after each origin over their volatility, (N, H)."""
    spread_NH = features.spread(origins.s_N, origins.t_N, horizon, inputs)
    total_N = np.zeros(len(origins))
    y_NH = np.empty((len(origins), horizon), np.float32)
    for step in range(1, horizon + 1):
        total_N += features.panel.return_ST[origins.s_N, origins.t_N + step]
        y_NH[:, step - 1] = total_N / spread_NH[:, step - 1]
    return torch.from_numpy(y_NH)


class _Gradient:
    """The loss of a batch and its gradient for each parameter. Each worker computes a part of the batch."""

    def __init__(
        self, network: nn.Module, windows: Windows, levels_Q: Tensor, recipe: Recipe, workers: Workers
    ) -> None:
        self._network, self._windows, self._levels_Q, self._workers = network, windows, levels_Q, workers
        self._parameters = list(network.parameters())
        self._bf16 = recipe.precision == "bf16"

    def __call__(self, starts_B: Tensor, y_BH: Tensor) -> tuple[float, list[Tensor]]:
        split = zip(*(torch.tensor_split(rows, self._workers.count) for rows in (starts_B, y_BH)), strict=True)
        parts = [(*part, len(part[0]) / len(starts_B)) for part in split if len(part[0])]
        (loss, gradients), *others = self._workers.map(self._part, parts)
        for other_loss, other_gradients in others:  # in the order of the parts: float sums depend on it
            loss += other_loss
            gradients = [one + other for one, other in zip(gradients, other_gradients, strict=True)]
        return loss, gradients

    def _part(self, part: tuple[Tensor, Tensor, float]) -> tuple[float, list[Tensor]]:
        starts_B, y_BH, share = part
        x_BLF, ahead_BA = self._windows.gather(starts_B)
        with torch.autocast(x_BLF.device.type, torch.bfloat16, enabled=self._bf16):
            quantiles_BHQ = self._network(x_BLF, ahead_BA)
        loss = pinball(quantiles_BHQ.float(), y_BH.to(x_BLF.device), self._levels_Q) * share
        return loss.item(), list(torch.autograd.grad(loss, self._parameters))


def _every(count: int, at_most: int) -> Index:
    return np.arange(0, count, max(1, count // at_most))


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
