"""A task with a known answer: repeat a number that was marked long ago.

Each session of a window holds a number, uniform in [−1, 1], and a mark that is 1 at one session and 0 at all others.
The marked session lies at least `FAR` sessions before the last one; the target is its number. All other numbers are
noise. It is the simplest of the long-lag tasks of Hochreiter & Schmidhuber (1997, Long short-term memory, Neural
Computation 9(8), §5): no forecast can be right by chance, and a network that solves it has carried a value that far.

Legend: B batch, L sessions of a window, F features (number, mark), D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.modeling.torch_runtime import settle

SESSIONS, FAR = 60, 40
_FEATURES = 2
_TEST_WINDOWS = 1000


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The training budget, the same for all contestants."""

    steps: int = 1000
    batch_size: int = 64
    width: int = 16  # of the LSTM's state; the RNN's is twice, a feed-forward network's layers four times that
    learning_rate: float = 0.005
    clip_norm: float = 1.0


class _Recurrent(nn.Module):
    """The cell that the product's networks are made of, read session by session; its last output is the answer."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.RNN], width: int) -> None:
        super().__init__()
        self.cell: nn.LSTM | nn.RNN = kind(_FEATURES, width, batch_first=True)
        self.answer = nn.Linear(width, 1)

    def forward(self, x_BLF: Tensor) -> Tensor:
        out_BLD, _ = self.cell(x_BLF)
        answer_B: Tensor = self.answer(out_BLD[:, -1]).squeeze(-1)
        return answer_B


class _FeedForward(nn.Module):
    """Two hidden layers over the last `sessions` sessions, as the product's `mlp`, which sees the whole window."""

    def __init__(self, sessions: int, width: int) -> None:
        super().__init__()
        self.sessions = sessions
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(sessions * _FEATURES, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )

    def forward(self, x_BLF: Tensor) -> Tensor:
        answer_B: Tensor = self.layers(x_BLF[:, -self.sessions :]).squeeze(-1)
        return answer_B


CONTESTANTS = ("lstm", "lstm_torch_start", "rnn", "last_session", "mlp")


def recall_error(contestant: str, seed: int, budget: Budget | None = None) -> float:
    """Return the mean squared error on fresh windows after training, relative to always answering the mean.

    0 is perfect recall, 1 knows nothing. The contestants are those of `CONTESTANTS`: `lstm` begins with its forget gate
    open and its input gate shut, `lstm_torch_start` as torch makes it and as the product's does; `last_session` is a
    feed-forward network that sees one session by itself, `mlp` one that sees the whole window at once. The same
    contestant, seed and budget give the same number on the same machine, and torch's own random state is left as it
    was. Raises ValueError for others.
    """
    settle()
    budget = budget or Budget()
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _contestant(contestant, budget)
    optimizer = torch.optim.Adam(network.parameters(), budget.learning_rate)
    for _ in range(budget.steps):
        x_BLF, y_B = windows(budget.batch_size, generator)
        loss = nn.functional.mse_loss(network(x_BLF), y_B)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), budget.clip_norm)
        optimizer.step()
    x_BLF, y_B = windows(_TEST_WINDOWS, generator)
    with torch.inference_mode():
        error = nn.functional.mse_loss(network(x_BLF), y_B)
    return float(error / y_B.square().mean())  # the numbers' mean is 0


def windows(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return windows, shape (B, L, F), and the target of each, shape (B,)."""
    numbers_BL = 2 * torch.rand(count, SESSIONS, generator=generator) - 1
    at_B = torch.randint(SESSIONS - FAR, (count,), generator=generator)
    marks_BL = nn.functional.one_hot(at_B, SESSIONS).float()
    return torch.stack([numbers_BL, marks_BL], dim=-1), (numbers_BL * marks_BL).sum(dim=1)


def _contestant(name: str, budget: Budget) -> nn.Module:
    if name in ("lstm", "lstm_torch_start"):
        network = _Recurrent(nn.LSTM, budget.width)
        if name == "lstm":
            _begin_to_keep(network.cell)
        return network
    if name == "rnn":  # one gate instead of four: twice the width, as in the product
        return _Recurrent(nn.RNN, 2 * budget.width)
    if name in ("last_session", "mlp"):
        return _FeedForward(1 if name == "last_session" else SESSIONS, 4 * budget.width)
    raise ValueError(f"no contestant {name!r}; there are {', '.join(CONTESTANTS)}")


def _begin_to_keep(cell: nn.LSTM | nn.RNN) -> None:
    """Open the forget gates for 1 to L − 1 sessions and shut the input gates by as much (Tallec & Ollivier 2018, §3).

    The cell then retains values before it has learnt which. With only the forget gates open it sums all numbers at
    first, its tanh saturates, and some seeds never learn the task. torch orders the gates input, forget, cell, output.
    """
    width = cell.hidden_size
    keep_D = torch.empty(width).uniform_(1, SESSIONS - 1).log()
    with torch.no_grad():
        bias_G = cell.get_parameter("bias_ih_l0")
        bias_G[:width] -= keep_D
        bias_G[width : 2 * width] += keep_D
