"""What published JSON files hold: `manifest.json` and `forecasts.json`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SymbolReason:
    """A symbol and why it has no forecast, or one by another model."""

    symbol: str
    reason: str
