"""A trained network, ready to forecast, and its files.

On disk it is `weights.safetensors` and `model.json`, which describes the network and holds the SHA-256 of the weights.
Reading either runs no code.

Legend: N origins, L context, F features, H horizon, Q quantile levels.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors.torch import load, save
from torch import nn

from pipeline.errors import CorruptFile, MissingStep
from pipeline.modeling.data.features import Features
from pipeline.modeling.data.panel import Array
from pipeline.modeling.data.windows import Origins, Windows
from pipeline.modeling.model_card import ModelCard
from pipeline.modeling.networks.batched import in_chunks
from pipeline.modeling.networks.quantile_networks import build
from pipeline.modeling.torch_runtime import settle
from pipeline.storage.atomic_files import sha256_bytes, write_atomic

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"


class Forecaster:
    """A network ready to forecast."""

    def __init__(self, card: ModelCard, network: nn.Module) -> None:
        self.card = card
        self.network = network.eval()

    def quantiles(self, features: Features, origins: Origins) -> Array:
        """Return quantiles of the cumulative log return after each origin, shape (N, H, Q), ascending in Q.

        A network that was trained without a calendar of reports forecasts as if none was known.
        """
        settle()
        if not len(origins):
            return np.empty((0, self.card.horizon, len(self.card.levels)))
        if not self.card.event_windows:
            features = features.without_reports()
        windows = Windows(features, self.card.context_length, self.card.features)
        scaled_NHQ = in_chunks(self.network, windows, windows.starts(origins)).double().numpy()
        spread_NH = features.spread(origins.s_N, origins.t_N, self.card.horizon, self.card.features)
        return np.asarray(scaled_NHQ * spread_NH[..., None])

    def save(self, folder: Path) -> ModelCard:
        """Write both files, `model.json` last, and return the card with the SHA-256 of the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = save({name: value.contiguous() for name, value in self.network.state_dict().items()})
        card = replace(self.card, weights_sha256=sha256_bytes(weights))
        write_atomic(folder / WEIGHTS, weights)
        write_atomic(folder / DESCRIPTION, json.dumps(asdict(card), indent=2, sort_keys=True) + "\n")
        self.card = card
        return card

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the forecaster in `folder`. Raises MissingStep if there is none, CorruptFile if a byte has changed."""
        try:
            description = json.loads((folder / DESCRIPTION).read_text())
            weights = (folder / WEIGHTS).read_bytes()
        except FileNotFoundError:
            raise MissingStep(f"{folder} holds no model; run train first") from None
        except ValueError:
            raise CorruptFile(f"{folder / DESCRIPTION} is not JSON; train again") from None
        tuples = {name: tuple(description[name]) for name in ("levels", "symbols", "features")}
        card = ModelCard(**{**description, **tuples})
        if sha256_bytes(weights) != card.weights_sha256:
            raise CorruptFile(f"{folder / WEIGHTS} is not what was trained (its SHA-256 differs); train again")
        network = build(card.shape, torch.zeros(card.horizon, len(card.levels)))
        network.load_state_dict(load(weights))
        return cls(card, network)
