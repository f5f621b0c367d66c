"""The contents of `model.json`: what is needed to rebuild a network, and where it comes from.

This module does not import torch, so that a model can be described where none is loaded.
"""

from dataclasses import dataclass

from pipeline.forecast_schema import INPUTS
from pipeline.modeling.networks.network_shape import Shape


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Description of a trained model. Dates are ISO texts."""

    network: str
    levels: tuple[float, ...]
    horizon: int
    context_length: int
    hidden_size: int
    as_of: str
    symbols: tuple[str, ...]  # those of the training windows
    train_first: str  # first and last session that a training or validation window ends with
    train_last: str
    seed: int
    training_steps: int
    data_digest: str
    targets_last: str = ""  # the last session that a target of those windows touches
    features: tuple[str, ...] = INPUTS
    event_windows: int = 0  # training windows with a scheduled report ahead; 0: trained without a calendar of them
    weights_sha256: str = ""

    @property
    def shape(self) -> Shape:
        """The sizes of the network."""
        return Shape.reading(
            self.features,
            network=self.network,
            context_length=self.context_length,
            hidden_size=self.hidden_size,
            horizon=self.horizon,
            levels=len(self.levels),
        )
