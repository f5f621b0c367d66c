"""What a forecast consists of: quantile levels, ranges, columns, and the names of networks, baselines and inputs.

Each is defined here once; every table, score, chart and file is derived from it.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Literal

NetworkName = Literal["lstm", "rnn", "mlp"]

# Quantile levels of every forecast, ascending.
LEVELS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
MEDIAN_LEVEL = 0.50
MEDIAN = LEVELS.index(MEDIAN_LEVEL)  # its position in LEVELS

# The central ranges by the share of outcomes that each should contain, in per cent: the levels at its ends.
RANGES = {50: (0.25, 0.75), 80: (0.10, 0.90), 90: (0.05, 0.95)}
# The same as positions in LEVELS.
RANGE_POSITIONS = {share: (LEVELS.index(low), LEVELS.index(high)) for share, (low, high) in RANGES.items()}

# What a network must beat, by the names under which their forecasts are published. Those made together share a task;
# the event-aware ones exist only in a run that has a calendar of reports.
BASELINE_FAMILIES = {
    "random_walk": ("random_walk",),
    "ewma_historical": ("ewma_historical", "ewma_events"),
    "garch": ("garch", "garch_events"),
}
EVENT_BASELINES = ("ewma_events", "garch_events")
BASELINES = (*BASELINE_FAMILIES, *EVENT_BASELINES)

# The names of models for people.
MODEL_NAMES = {
    "lstm": "LSTM",
    "rnn": "RNN",
    "mlp": "MLP",
    "random_walk": "random walk",
    "ewma_historical": "EWMA",
    "garch": "GARCH",
    "ewma_events": "event-aware EWMA",
    "garch_events": "event-aware GARCH",
}

# What a network may read of each session of its window; `pipeline.modeling.data.features` defines each.
PAST_INPUTS = (
    "return",
    "overnight_gap",
    "high_above_close",
    "low_below_close",
    "volume_against_average",
    "market_return",
    "market_turbulence",
    "volatility_against_past",
    "quarters_ago_next",
    "quarters_ago_ahead",
    "reported_today",
    "reported_yesterday",
    "earnings_calendar",
)
# What it may know at the end of its window of the sessions to come.
SCHEDULED = "scheduled_volatility"  # the one that scales the targets; the others are columns
AHEAD_INPUTS = ("days_to_next_session", "half_day_next", SCHEDULED)
INPUTS = (*PAST_INPUTS, *AHEAD_INPUTS)
# Those that need a calendar of earnings reports.
EVENT_INPUTS = ("reported_today", "reported_yesterday", "earnings_calendar", SCHEDULED)
# The price columns that inputs read in addition to `close`, dividends and splits.
_READS = {
    "overnight_gap": ("open",),
    "high_above_close": ("high",),
    "low_below_close": ("low",),
    "volume_against_average": ("volume",),
}


def price_columns(inputs: Iterable[str] = INPUTS) -> tuple[str, ...]:
    """Return the columns of a price table that a network with these inputs reads: a part of open to volume, in order.

    Dividends and splits are read too, where there are any.
    """
    read = {"close", *chain.from_iterable(_READS.get(name, ()) for name in inputs)}
    return tuple(name for name in ("open", "high", "low", "close", "volume") if name in read)


def ahead_columns(inputs: Iterable[str] = AHEAD_INPUTS) -> tuple[str, ...]:
    """Return those among these inputs that a network reads as columns known ahead."""
    return tuple(name for name in inputs if name in AHEAD_INPUTS and name != SCHEDULED)


def level_key(level: float) -> str:
    """Return a level as the key of a JSON object: `0.05`, `0.5`."""
    return f"{level:g}"


def quantile_column(level: float) -> str:
    """Return the column of a level: `q0.05`, `q0.5`."""
    return f"q{level_key(level)}"


def range_columns(share: int) -> tuple[str, str]:
    """Return the columns at the ends of a range: `("q0.1", "q0.9")` for 80."""
    low, high = RANGES[share]
    return quantile_column(low), quantile_column(high)


def coverage_key(share: int) -> str:
    """Return the key of a range's coverage in tables and documents: `coverage_80`."""
    return f"coverage_{share}"


def inside_column(share: int) -> str:
    """Return the column that says whether the close was inside a range: `inside_80`."""
    return f"inside_{share}"


# The columns of a published table of forecasts: one row for each symbol and step.
KEYS = ("symbol", "as_of", "step", "target_session", "last_close", "model", "model_version")
QUANTILES = tuple(quantile_column(level) for level in LEVELS)
COLUMNS = (*KEYS, *QUANTILES)
# After these: the session of the last close, and whether the target lies outside the recorded calendar.
LAST_SESSION, ESTIMATED = "last_session", "target_session_estimated"

# Whether a scheduled report may move the session after `as_of`, as known then; null without a calendar.
REPORT_DUE = "report_due"

# The columns of a track record: how forecasts of the next session did.
RECORD = (
    *("symbol", "as_of", "target_session", "last_close", "model", "model_version", "in_time"),
    *QUANTILES,
    *("close", "crps_bp", "baseline_crps_bp"),
    *(f"inside_{share}" for share in RANGES),
    REPORT_DUE,
)
