"""Fitting a network: pinball loss on scaled targets, the best moment chosen on the validation block.

Legend: N windows, B batch, H horizon, Q quantile levels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.learning.features import Features, future_returns
from pipeline.learning.folds import Fold
from pipeline.learning.networks import Shape, build
from pipeline.learning.runtime import settle
from pipeline.learning.windows import Origins, Windows

_CHECK_EVERY = 50  # steps between two looks at the validation block
_VALIDATION_WINDOWS = 4096  # at the most; evenly spaced over the block
Progress = Callable[[int, float], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train."""

    steps: int
    batch_size: int
    seed: int
    levels: tuple[float, ...]
    learning_rate: float = 5e-4  # the peak of the schedule
    weight_decay: float = 1e-4
    clip_norm: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network and how it went: points of (step, value)."""

    network: nn.Module
    best_step: int
    train_pinball: list[tuple[int, float]]
    validation_pinball: list[tuple[int, float]]
    learning_rate: list[tuple[int, float]]


def fit(features: Features, fold: Fold, shape: Shape, recipe: Recipe, progress: Progress | None = None) -> Fitted:
    """Return the network trained on `fold.train`, as it was when it did best on `fold.validation`.

    The same features, fold, shape and recipe give the same bits on the same machine. `progress` is told the step
    and the training loss.
    """
    settle()
    torch.manual_seed(recipe.seed)
    levels_Q = torch.tensor(recipe.levels)
    windows = Windows(features, shape.context_length)
    targets_STH = _scaled_targets(features, shape.horizon)
    starts_N, y_NH = windows.starts(fold.train), _at(targets_STH, fold.train)
    checked = _evenly(fold.validation, _VALIDATION_WINDOWS)
    check_x_NLF, check_y_NH = windows.gather(windows.starts(checked)), _at(targets_STH, checked)

    network = build(shape, torch.quantile(_evenly_rows(y_NH), levels_Q, dim=0).T.contiguous())
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps + 1, pct_start=0.1
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    losses: list[tuple[int, float]] = []
    checks = [(0, _evaluate(network, check_x_NLF, check_y_NH, levels_Q))]
    rates: list[tuple[int, float]] = []
    best, best_step = _copy(network), 0
    for step in range(1, recipe.steps + 1):
        rows_B = torch.randint(len(starts_N), (recipe.batch_size,), generator=generator)
        loss = pinball(network(windows.gather(starts_N[rows_B])), y_NH[rows_B], levels_Q)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        optimizer.step()
        rates.append((step, float(schedule.get_last_lr()[0])))
        schedule.step()
        losses.append((step, loss.item()))
        if step % _CHECK_EVERY == 0 or step == recipe.steps:
            checks.append((step, _evaluate(network, check_x_NLF, check_y_NH, levels_Q)))
            if checks[-1][1] < min(value for _, value in checks[:-1]):
                best, best_step = _copy(network), step
        if progress is not None:
            progress(step, losses[-1][1])
    network.load_state_dict(best)
    return Fitted(
        network=network.eval(),
        best_step=best_step,
        train_pinball=losses,
        validation_pinball=checks,
        learning_rate=rates,
    )


def pinball(quantiles_BHQ: Tensor, y_BH: Tensor, levels_Q: Tensor) -> Tensor:
    """Return the mean quantile loss (Koenker & Bassett 1978)."""
    error_BHQ = y_BH.unsqueeze(-1) - quantiles_BHQ
    return torch.maximum(levels_Q * error_BHQ, (levels_Q - 1) * error_BHQ).mean()


def _evaluate(network: nn.Module, x_NLF: Tensor, y_NH: Tensor, levels_Q: Tensor) -> float:
    network.eval()
    with torch.inference_mode():
        quantiles_NHQ = torch.cat([network(part) for part in torch.split(x_NLF, 256)])
        value = pinball(quantiles_NHQ, y_NH, levels_Q).item()
    network.train()
    return value


def _scaled_targets(features: Features, horizon: int) -> Tensor:
    future_STH = future_returns(features.panel.return_ST, horizon)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled_STH = future_STH / (features.scale_ST[..., None] * np.sqrt(np.arange(1, horizon + 1)))
    return torch.from_numpy(scaled_STH.astype(np.float32))


def _at(values_STH: Tensor, origins: Origins) -> Tensor:
    return values_STH[torch.from_numpy(origins.s_N), torch.from_numpy(origins.t_N)]


def _evenly(origins: Origins, at_most: int) -> Origins:
    if len(origins) <= at_most:
        return origins
    rows = np.linspace(0, len(origins) - 1, at_most).astype(np.int64)
    return Origins(s_N=origins.s_N[rows], t_N=origins.t_N[rows])


def _evenly_rows(y_NH: Tensor, at_most: int = 1_000_000) -> Tensor:
    # torch.quantile refuses more than 16 million values
    return y_NH[:: max(1, len(y_NH) // at_most)]


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
