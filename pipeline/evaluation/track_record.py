"""Rates of the track record: by session, over the last quarter, and by symbol."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.forecast_schema import LEVELS, quantile_column

# The sessions of recent rates: a quarter of a year, in which a symbol has some three hundred forecasts.
ROLLING = 63
# Coverage of the 90 % ranges below or above this over the last quarter is out of bounds …
LEAST_COVERAGE, MOST_COVERAGE = 0.80, 0.97
# … once there are enough sessions and forecasts that chance is unlikely.
ENOUGH_SESSIONS, ENOUGH_FORECASTS = 20, 60
# Descriptions of the two kinds of a record.
NOTES = {
    "live": "Forecasts published before their session closed, scored on the actual closes, with the baseline on the "
    "same closes. The step of a curve is the days since 1970, its time the session.",
    "replayed": "Forecasts made after their session had closed (backfills, the sample), scored in the same way. They "
    "are not part of the live record.",
}
_INSIDE = ("inside_50", "inside_80", "inside_90")


def by_kind(record: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the forecasts of a record that were published before their session closed, and the others."""
    in_time = record["in_time"].astype(bool)
    parts = {"live": record[in_time], "replayed": record[~in_time]}
    return {kind: part for kind, part in parts.items() if len(part)}


def lately(record: pd.DataFrame) -> dict[str, Any]:
    """Return how a record that is not empty has done over the last `ROLLING` sessions, ready for JSON.

    crps_bp, baseline_crps_bp, skill_percent, coverage_50, coverage_80, coverage_90, forecasts, sessions, and `breach`:
    how its coverage is out of bounds, or None.
    """
    recent = _lately(record)
    sums = _sums(recent.assign(all=""), "all")
    rates = {str(name): float(value) for name, value in _rates(sums).iloc[0].items()}
    sessions = int(recent["target_session"].nunique())
    return {**rates, "sessions": sessions, "breach": breach(rates, sessions)}


def by_session(record: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each target session of a record, oldest first.

    Columns: crps_bp, baseline_crps_bp, skill_percent, coverage_50, coverage_80, coverage_90, forecasts, and the same
    with `rolling_` before it over the last `ROLLING` sessions that have any.
    """
    sums = _sums(record, "target_session")
    rolled = sums.rolling(ROLLING, min_periods=1).sum()
    return pd.concat([_rates(sums), _rates(rolled).add_prefix("rolling_")], axis=1)


def by_symbol(record: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each symbol over the last `ROLLING` sessions of a record: the columns of `by_session`."""
    return _rates(_sums(_lately(record), "symbol"))


def next_session(record: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts of the next session that matured over the last `ROLLING` sessions of a record.

    Columns: as of `one_ahead`.
    """
    return one_ahead(_lately(record[record["step"] == 1]))


def one_ahead(record: pd.DataFrame) -> pd.DataFrame:
    """Return a record's forecasts of the next session.

    Columns: those of the record without step, and a price for each of `LEVELS` instead of `quantiles`.
    """
    ahead = record[record["step"] == 1].reset_index(drop=True)
    names = {f"{level:g}": quantile_column(level) for level in LEVELS}
    quantiles = pd.DataFrame(json.loads(f"[{','.join(ahead['quantiles'])}]"), columns=list(names))
    return ahead.drop(columns=["step", "quantiles"]).join(quantiles.rename(columns=names).astype(float))


def out_of_bounds(record: pd.DataFrame) -> dict[str, str]:
    """Return the symbols whose recent coverage is out of bounds, each with the reason."""
    recent = _lately(record)
    table = by_symbol(recent)
    sessions = recent.groupby("symbol")["target_session"].nunique().to_dict()
    found = {str(symbol): breach(row.to_dict(), sessions[symbol]) for symbol, row in table.iterrows()}
    return {symbol: words for symbol, words in found.items() if words is not None}


def breach(rates: Mapping[Any, Any], sessions: int) -> str | None:
    """Return in words how coverage is out of bounds, or None. `rates` has coverage_90 and forecasts."""
    coverage, forecasts = float(rates["coverage_90"]), int(rates["forecasts"])
    if sessions < ENOUGH_SESSIONS or forecasts < ENOUGH_FORECASTS or LEAST_COVERAGE <= coverage <= MOST_COVERAGE:
        return None
    return f"its 90 % ranges contained {100 * coverage:.0f} % of the closes of the last {sessions} sessions"


def _lately(record: pd.DataFrame) -> pd.DataFrame:
    sessions = sorted(record["target_session"].unique())[-ROLLING:]
    return record[record["target_session"].isin(sessions)]


def _sums(record: pd.DataFrame, key: str) -> pd.DataFrame:
    numbers = record[["crps_bp", "baseline_crps_bp", *_INSIDE]].astype(float).assign(forecasts=1.0)
    return numbers.groupby(record[key]).sum()


def _rates(sums: pd.DataFrame) -> pd.DataFrame:
    each = sums.div(sums["forecasts"], axis=0)
    inside = {name.replace("inside", "coverage"): each[name] for name in _INSIDE}
    skill = 100 * (1 - each["crps_bp"] / each["baseline_crps_bp"])
    scores = each[["crps_bp", "baseline_crps_bp"]].assign(skill_percent=skill, **inside)
    return scores.assign(forecasts=sums["forecasts"])
