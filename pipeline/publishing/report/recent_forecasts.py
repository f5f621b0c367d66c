"""Recent forecasts of the next session as a small chart: each range and the actual close, as changes in per cent.

Legend: N sessions.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from pipeline.publishing import formatting
from pipeline.publishing.charts.svg import RANGE_COLUMNS, Scale, drawing, ranges_and_closes
from pipeline.publishing.edition import Edition

SHOWN = 20
_WIDTH, _HEIGHT, _LEFT, _PAD = 440, 96, 42, 8


@dataclass(frozen=True, kw_only=True)
class RecentForecasts:
    """The last matured forecasts of one symbol, as a chart and in words."""

    svg: Markup
    sentence: str


def recent_by_symbol(edition: Edition) -> dict[str, RecentForecasts]:
    """Return the recent forecasts of each symbol that has any."""
    if edition.recent is None or edition.recent.empty:
        return {}
    ordered = edition.recent.sort_values(["symbol", "target_session"])
    return {
        str(symbol): _recent(str(symbol), part.tail(SHOWN)) for symbol, part in ordered.groupby("symbol", sort=False)
    }


def _recent(symbol: str, part: pd.DataFrame) -> RecentForecasts:
    held = {each: int(part[f"inside_{each}"].astype(bool).sum()) for each in (80, 90)}
    sentence = (
        f"{held[80]} of the last {len(part)} closes were inside the 80 % range published the evening before, "
        f"{held[90]} inside the 90 % range."
    )
    first, last = (pd.Timestamp(part["target_session"].iloc[at]).date() for at in (0, -1))
    label = f"{symbol}, {formatting.short_day(first)} to {formatting.short_day(last)}: {sentence}"
    return RecentForecasts(svg=drawing("past", _WIDTH, _HEIGHT, label, _parts(part)), sentence=sentence)


def _parts(part: pd.DataFrame) -> list[str]:
    columns = [*RANGE_COLUMNS, "close"]
    moves_N5 = part[columns].to_numpy(float) / part[["last_close"]].to_numpy(float) - 1
    reach = max(float(np.abs(moves_N5).max()) * 1.08, 1e-6)
    x_N = _LEFT + (_WIDTH - _LEFT - _PAD) * (np.arange(len(part)) + 0.5) / SHOWN
    y_N5 = Scale(0, reach, _HEIGHT / 2, _PAD)(moves_N5)
    edge = formatting.percent(reach / 1.08)[1:]
    return [
        f'<path class="grid" d="M{_LEFT} {_HEIGHT / 2}H{_WIDTH - _PAD}"/>',
        f'<text class="price" x="{_LEFT - 7}" y="{_PAD + 6}">{edge}</text>',
        f'<text class="price" x="{_LEFT - 7}" y="{_HEIGHT / 2 + 4:.0f}">0{formatting.PER_CENT}</text>',
        *ranges_and_closes(x_N, dict(zip(columns, y_N5.T, strict=True)), part["inside_90"].to_numpy(bool)),
    ]
