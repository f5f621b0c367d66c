"""The sizes of a network, without the network: this module does not import torch."""

from dataclasses import dataclass


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
