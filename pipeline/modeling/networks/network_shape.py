"""The sizes of a network, without the network: this module does not import torch."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from pipeline.forecast_schema import AHEAD_INPUTS, ahead_columns


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a network."""

    network: str
    features: int  # of each session in the window
    context_length: int
    hidden_size: int
    horizon: int
    levels: int
    ahead: int = 0  # inputs that are known ahead, read at the end of the window
    layers: int = 1  # of a recurrent network, stacked

    @classmethod
    def reading(
        cls,
        inputs: Collection[str],
        *,
        network: str,
        context_length: int,
        hidden_size: int,
        horizon: int,
        levels: int,
    ) -> Self:
        """Return the shape of a network that reads these inputs."""
        return cls(
            network=network,
            features=sum(name not in AHEAD_INPUTS for name in inputs),
            ahead=len(ahead_columns(inputs)),
            context_length=context_length,
            hidden_size=hidden_size,
            horizon=horizon,
            levels=levels,
        )
