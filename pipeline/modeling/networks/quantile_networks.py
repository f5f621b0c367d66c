"""Three networks with one interface: a window of features in, quantiles of the scaled return out.

What is known ahead (the calendar of the sessions to come) joins the state at the end of the window, before the head.

Legend: B batch, L context, F features, A inputs known ahead, D width, H horizon, Q quantile levels.

- `mlp` sees the whole window at once, with a weight for each session and feature.
- `rnn` reads session by session and overwrites its state each time; gradients of distant sessions vanish.
- `lstm` has a cell in addition to its output and learns what to keep, forget and show
  (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).
"""

import torch
from torch import Tensor, nn

from pipeline.modeling.networks.network_shape import HeadName, Shape
from pipeline.modeling.networks.recurrent import Lstm, Rnn

_MAX_STRETCH = 3.0  # a network may widen or narrow a range by up to exp(3)


class QuantileHead(nn.Module):
    """Quantiles that cannot cross: the median, and gaps above and below it that are positive by construction.

    It starts from the quantiles of the training targets, already a good forecast, and learns how a window differs. How
    the window changes a quantile is a change of its step plus one of its level: of the width of all ranges of a step,
    and of the shape of the distribution, which is alike at all steps. A free change for each pair fits noise.
    """

    start_HQ: Tensor

    def __init__(self, width: int, start_HQ: Tensor, head: HeadName) -> None:
        super().__init__()
        self.horizon, self.levels = start_HQ.shape
        self.additive = head == "additive"
        self.register_buffer("start_HQ", start_HQ)
        self.linear = nn.Linear(width, self.horizon + self.levels if self.additive else self.horizon * self.levels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        if self.additive:
            self.offset_HQ = nn.Parameter(torch.zeros(self.horizon, self.levels))

    def _change(self, state_BD: Tensor) -> Tensor:
        """Return the change of each median, and of the logarithm of each gap, shape (B, H, Q)."""
        out_BX: Tensor = self.linear(state_BD)
        if not self.additive:
            return out_BX.reshape(len(out_BX), self.horizon, self.levels)
        step_BH1, level_B1Q = out_BX[:, : self.horizon, None], out_BX[:, None, self.horizon :]
        gaps_Q = torch.arange(self.levels, device=out_BX.device) != self.levels // 2  # the median has no width
        return self.offset_HQ + level_B1Q + step_BH1 * gaps_Q

    def forward(self, state_BD: Tensor) -> Tensor:
        """Return quantiles of shape (B, H, Q), each row ascending."""
        change_BHQ = self._change(state_BD)
        middle = self.levels // 2
        gaps_HQ = self.start_HQ.diff(dim=-1)
        stretch_BHQ = torch.exp(_MAX_STRETCH * torch.tanh(change_BHQ / _MAX_STRETCH))
        center_BH1 = self.start_HQ[:, middle : middle + 1] + change_BHQ[..., middle : middle + 1]
        below_BHQ = gaps_HQ[:, :middle] * stretch_BHQ[..., :middle]
        above_BHQ = gaps_HQ[:, middle:] * stretch_BHQ[..., middle + 1 :]
        lower_BHQ = center_BH1 - below_BHQ.flip(-1).cumsum(-1).flip(-1)
        return torch.cat([lower_BHQ, center_BH1, center_BH1 + above_BHQ.cumsum(-1)], dim=-1)


class Recurrent(nn.Module):
    """An LSTM or a plain RNN over the window; the head reads its last output."""

    def __init__(self, kind: type[Lstm] | type[Rnn], shape: Shape, width: int, start_HQ: Tensor) -> None:
        super().__init__()
        self.cell = kind(shape.features, width, num_layers=shape.layers, batch_first=True)
        self.head = QuantileHead(width + shape.ahead, start_HQ, shape.head)

    def forward(self, x_BLF: Tensor, ahead_BA: Tensor | None = None) -> Tensor:
        """Return quantiles of shape (B, H, Q). `ahead_BA` may be left out of a network that reads nothing ahead."""
        quantiles_BHQ: Tensor = self.head(_joined(self.cell.last(x_BLF), ahead_BA))
        return quantiles_BHQ


class FeedForward(nn.Module):
    """Two hidden layers over the flattened window."""

    def __init__(self, shape: Shape, width: int, start_HQ: Tensor) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(shape.context_length * shape.features, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.head = QuantileHead(width + shape.ahead, start_HQ, shape.head)

    def forward(self, x_BLF: Tensor, ahead_BA: Tensor | None = None) -> Tensor:
        """Return quantiles of shape (B, H, Q). `ahead_BA` may be left out of a network that reads nothing ahead."""
        quantiles_BHQ: Tensor = self.head(_joined(self.layers(x_BLF), ahead_BA))
        return quantiles_BHQ


def _joined(state_BD: Tensor, ahead_BA: Tensor | None) -> Tensor:
    if ahead_BA is None or not ahead_BA.shape[1]:
        return state_BD
    return torch.cat([state_BD, ahead_BA.to(state_BD.dtype)], dim=1)


def build(shape: Shape, start_HQ: Tensor) -> nn.Module:
    """Return the network that `shape` names, with about as many parameters as the LSTM of that width.

    `start_HQ` holds the quantiles to start from, ascending in Q.
    """
    if shape.network == "lstm":
        return Recurrent(Lstm, shape, shape.hidden_size, start_HQ)
    if shape.network == "rnn":  # one gate instead of four: twice the width
        return Recurrent(Rnn, shape, 2 * shape.hidden_size, start_HQ)
    if shape.network == "mlp":
        parameters = 4 * shape.hidden_size * (shape.hidden_size + shape.features)
        return FeedForward(
            shape, max(4, parameters // (shape.context_length * shape.features + shape.hidden_size)), start_HQ
        )
    raise ValueError(f"no network {shape.network!r}; there are lstm, rnn and mlp")
