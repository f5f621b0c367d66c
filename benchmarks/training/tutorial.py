"""The usual loop of tutorials: all windows copied into one tensor, a DataLoader, an LSTM, a linear layer, Adam."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.training.work import CONTEXT, HIDDEN, HORIZON, INPUTS, LEVELS, SEED, WINDOWS, Clock, made


class Model(nn.Module):
    """An LSTM whose last output gives all quantiles of all steps."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, HIDDEN, num_layers=layers, batch_first=True)
        self.head = nn.Linear(HIDDEN, HORIZON * len(LEVELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, _ = self.lstm(x)
        quantiles: torch.Tensor = self.head(out[:, -1]).view(-1, HORIZON, len(LEVELS))
        return quantiles


def main() -> None:
    """Train and print how long a step takes."""
    parser = argparse.ArgumentParser()
    for name, default in (("layers", 1), ("steps", 300), ("symbols", 500), ("sessions", 2500)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.manual_seed(SEED)
    values = made(given.symbols, given.sessions)
    x, y = [], []
    for series in values:
        for end in range(CONTEXT, len(series) - HORIZON):
            x.append(series[end - CONTEXT : end])
            y.append(np.cumsum(series[end : end + HORIZON, 0]))
    data = TensorDataset(torch.from_numpy(np.stack(x)), torch.from_numpy(np.stack(y)))
    del x, y
    loader = DataLoader(data, batch_size=WINDOWS, shuffle=True)
    model = Model(given.layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    levels = torch.tensor(LEVELS)
    clock, done = Clock(), 0
    while done < given.steps:
        for window, target in loader:
            error = target.unsqueeze(-1) - model(window)
            loss = torch.maximum(levels * error, (levels - 1) * error).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            clock.tick()
            done += 1
            if done == given.steps:
                break
    clock.report()


if __name__ == "__main__":
    main()
