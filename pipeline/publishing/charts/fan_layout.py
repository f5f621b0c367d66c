"""Where everything in a fan chart lies, in pixels from the top left; `svg` and `charts` only put ink there.

The forecast gets a wider scale than the past: five sessions next to sixty would be a sliver. A line parts the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from pipeline.forecast_schema import MEDIAN, RANGE_POSITIONS
from pipeline.publishing.charts.svg import Floats, Points, Scale, places_of, points, round_values
from pipeline.publishing.edition import Fan
from pipeline.publishing.event_sentences import reports
from pipeline.publishing.formatting import decimals, price, short_day, target_day

WIDTH, HEIGHT = 440, 230
SHOWN_SESSIONS = 60
_LEFT, _RIGHT, _TOP, _BOTTOM = 42.0, 60.0, 10.0, 26.0
_LINE = 13.0  # height of a label
_LETTER = 6.0  # width of a digit
_ROOM = 46.0  # width of a label of the day


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A fan chart, ready to be drawn; polygons are closed by the pen."""

    closes: Points
    bands: dict[int, Points]
    median: Points
    baseline: list[Points]  # the lines above and below the range of the baseline
    origin: tuple[float, float]
    left: float
    right: float
    top: float
    bottom: float
    prices: list[tuple[float, str]]  # y, text
    days: list[tuple[float, str]]  # x of the middle, text
    ends: list[tuple[float, str]]  # y, text: the last step's highest, middle and lowest quantile
    events: list[tuple[float, str]]  # x of the first session that a scheduled report may move, what it is


def fan_layout(fan: Fan, *, shown: int = SHOWN_SESSIONS) -> Layout:
    """Return the layout of one symbol's chart with the last `shown` sessions of its past."""
    sessions, closes_N = fan.sessions[-shown:], fan.closes_N[-shown:]
    if not len(closes_N):
        sessions, closes_N = (fan.targets[0],), np.array([fan.last_close])
    down, ys = _scale(fan, closes_N, _TOP, HEIGHT - _BOTTOM)
    last_Q = fan.quantiles_HQ[-1]
    places = decimals(last_Q[0], last_Q[-1])
    prices = [(float(down(value)), price(value, places_of(ys))) for value in ys]
    ends = [(float(down(last_Q[at])), price(last_Q[at], places)) for at in (-1, MEDIAN, 0)]
    left, right = _wide_enough(_LEFT, 6, prices), WIDTH - _wide_enough(_RIGHT, 8, ends)
    x_N, x_H = _across(len(closes_N), len(fan.targets), left, right)
    start = (round(float(x_N[-1]), 1), round(float(down(fan.last_close)), 1))
    ribbons = {coverage: _ribbon(start, x_H, fan.quantiles_HQ, coverage, down) for coverage in (90, 80, 50)}
    return Layout(
        closes=points(x_N, down(closes_N)),
        bands=ribbons,
        median=[start, *points(x_H, down(fan.quantiles_HQ[:, MEDIAN]))],
        baseline=[] if fan.baseline_HQ is None else _edges(start, x_H, fan.baseline_HQ, 90, down),
        origin=start,
        left=left,
        right=right,
        top=_TOP,
        bottom=HEIGHT - _BOTTOM,
        prices=prices,
        days=_days(
            sessions,
            x_N,
            target_day(fan.targets[-1], estimated=fan.estimated[-1]),
            float(x_H[-1]),
            left=left,
            labelled=len(fan.sessions) > 0,
        ),
        ends=_apart(ends),
        events=_events(fan, x_H),
    )


def _events(fan: Fan, x_H: Floats) -> list[tuple[float, str]]:
    """Return where the reports in the forecast are, and each in words."""
    return [
        (round(float(x_H[fan.targets.index(event.sessions[0])]), 1), reports(event))
        for event in fan.outlook.moving
        if event.sessions[0] in fan.targets
    ]


def spark_layout(fan: Fan, width: float, height: float, *, shown: int = 30) -> tuple[Points, Points]:
    """Return the closes and the 80 % ribbon of a chart the size of a word."""
    closes_N = fan.closes_N[-shown:] if len(fan.closes_N) else np.array([fan.last_close])
    x_N, x_H = _across(len(closes_N), len(fan.targets), 1, width - 1)
    down, _ = _scale(fan, closes_N, 3, height - 3)
    start = (round(float(x_N[-1]), 1), round(float(down(fan.last_close)), 1))
    return points(x_N, down(closes_N)), _ribbon(start, x_H, fan.quantiles_HQ, 80, down)


def _wide_enough(margin: float, letters: int, labels: list[tuple[float, str]]) -> float:
    """Return a margin that has room for its labels; as it is, for so many letters."""
    longest = max((len(text) for _, text in labels), default=0)
    return margin + _LETTER * max(longest - letters, 0)


def _scale(fan: Fan, closes_N: Floats, top: float, bottom: float) -> tuple[Scale, list[float]]:
    """Return the map from prices to pixels, and round prices for two to five grid lines."""
    baseline = np.empty(0) if fan.baseline_HQ is None else fan.baseline_HQ.ravel()
    every = np.concatenate([closes_N, fan.quantiles_HQ.ravel(), baseline, np.array([fan.last_close])])
    low, high = float(every.min()), float(every.max())
    pad = max((high - low) * 0.05, high * 1e-4)
    low, high = low - pad, high + pad
    return Scale(high, low, top, bottom), round_values(low, high)


def _across(past: int, horizon: int, left: float, right: float) -> tuple[Floats, Floats]:
    """Return the x of each session of the past and of each step; the horizon gets 30 to 60 % of the width."""
    ahead = min(max(horizon / (horizon + past), 0.3), 0.6) * (right - left)
    origin = right - ahead
    x_N = np.linspace(left, origin, past) if past > 1 else np.array([origin])
    return x_N, origin + ahead * np.arange(1, horizon + 1) / horizon


def _edges(start: tuple[float, float], x_H: Floats, quantiles_HQ: Floats, coverage: int, down: Scale) -> list[Points]:
    return [[start, *points(x_H, down(quantiles_HQ[:, column]))] for column in reversed(RANGE_POSITIONS[coverage])]


def _ribbon(start: tuple[float, float], x_H: Floats, quantiles_HQ: Floats, coverage: int, down: Scale) -> Points:
    upper, lower = _edges(start, x_H, quantiles_HQ, coverage, down)
    return [*upper, *reversed(lower[1:])]


def _days(
    sessions: Sequence[date], x_N: Floats, target: str, x: float, *, left: float, labelled: bool
) -> list[tuple[float, str]]:
    """Return labels of the last target, the origin, then of months, each only where the ones before leave room."""
    wanted = [(x, target)]
    if labelled:
        wanted.append((float(x_N[-1]), short_day(sessions[-1])))
        months = [at for at in range(1, len(sessions)) if sessions[at].month != sessions[at - 1].month]
        wanted += [(float(x_N[at]), f"{sessions[at]:%b}") for at in months]
    taken: list[tuple[float, str]] = []
    for x, text in wanted:
        if x > left + 8 and all(abs(x - other) >= _ROOM for other, _ in taken):
            taken.append((round(x, 1), text))
    return taken


def _apart(labels: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return three labels, highest first, moved from the middle one so far that none covers another."""
    (high, top), (middle, centre), (low, below) = labels
    return [(min(high, middle - _LINE), top), (middle, centre), (max(low, middle + _LINE), below)]
