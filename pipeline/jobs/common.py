"""What the steps share: the run's snapshot and the features made from it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.markets import market_of
from pipeline.prices.snapshot import Snapshot, read_snapshot
from pipeline.runs import Run

if TYPE_CHECKING:
    from pipeline.learning.features import Features

Summary = dict[str, Any]
Asked = Callable[[int, int, str], None]  # told the symbols done, how many there are, and which is asked for now
Progress = Callable[[int, float], None]  # told the training step and its loss


def snapshot_of(this: Run) -> Snapshot:
    """Return the snapshot that the run was frozen on."""
    kept = this.read("snapshot", made_by="ingest")
    return Snapshot(path=Path(kept["path"]), digest=kept["digest"])


def features_of(this: Run) -> "Features":
    """Return the features of the run's snapshot."""
    from pipeline.learning.features import make_features
    from pipeline.learning.panel import panel_from_bars

    settings = this.settings
    panel = panel_from_bars(
        read_snapshot(snapshot_of(this)),
        market_of=lambda symbol: market_of(symbol, settings.exchange).calendar,
        last_of=lambda symbol: settings.last_session(symbol, this.as_of),
    )
    return make_features(panel)
