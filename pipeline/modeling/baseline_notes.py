"""Notes on the forecasts of a baseline: how many of them are not its own. This module does not import torch.

Legend: N origins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np

from pipeline.storage.documents import OMIT_NONE

if TYPE_CHECKING:
    from pipeline.modeling.data.panel import Index
    from pipeline.modeling.data.windows import Origins


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many symbols and forecasts something applies to."""

    symbols: int
    forecasts: int

    @classmethod
    def of(cls, origins: "Origins", rows: "Index") -> Self:
        """Count the origins in these rows."""
        return cls(symbols=len(np.unique(origins.s_N[rows])), forecasts=len(rows))


@dataclass(frozen=True, kw_only=True)
class BaselineNotes:
    """What a reader should know about the forecasts; None for what does not apply."""

    borrowed: Annotated[Count | None, OMIT_NONE] = None  # with the outcomes of the symbol's market instead of its own
    fits: Annotated[int | None, OMIT_NONE] = None  # models fitted
    by_ewma: Annotated[Mapping[str, Count] | None, OMIT_NONE] = None  # without a model, by reason
