"""Rates of the track record: by session, over the last quarter, and by symbol."""

import json

import numpy as np
import pandas as pd

from pipeline.evaluation.event_split import next_session_scores
from pipeline.evaluation.model_scores import EVENTS, OTHER, EventSplit, NextSessionScores
from pipeline.evaluation.recent_rates import RecentRates
from pipeline.forecast_schema import (
    LEVELS,
    RANGES,
    REPORT_DUE,
    coverage_key,
    inside_column,
    level_key,
    quantile_column,
)

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
_INSIDE = tuple(map(inside_column, RANGES))


def by_kind(record: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the forecasts of a record that were published before their session closed, and the others."""
    in_time = record["in_time"].astype(bool)
    parts = {"live": record[in_time], "replayed": record[~in_time]}
    return {kind: part for kind, part in parts.items() if len(part)}


def recent_rates(record: pd.DataFrame) -> RecentRates:
    """Return the rates of a record, which must not be empty, over its last `ROLLING` sessions."""
    recent = _recent(record)
    rates = _rates(_sums(recent.assign(all=""), "all")).iloc[0]
    sessions = int(recent["target_session"].nunique())
    return RecentRates(
        **{name: float(rates[name]) for name in ("crps_bp", "baseline_crps_bp", "skill_percent", "forecasts")},
        coverage={share: float(rates[coverage_key(share)]) for share in RANGES},
        sessions=sessions,
        breach=breach(float(rates[coverage_key(90)]), int(rates["forecasts"]), sessions),
        events=event_split(recent),
    )


def by_session(record: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each target session of a record, oldest first.

    Columns: crps_bp, baseline_crps_bp, skill_percent, coverage_50, coverage_80, coverage_90, forecasts, and the same
    with `rolling_` before it over the last `ROLLING` sessions that have any. Where a calendar of reports was known also
    `events/rolling_…` and `other/rolling_…`: of forecasts of the next session alone, NaN where there is none.
    """
    sums = _sums(record, "target_session")
    rolled = sums.rolling(ROLLING, min_periods=1).sum()
    tables = [_rates(sums), _rates(rolled).add_prefix("rolling_")]
    for kind, part in _by_event(record).items():
        mine = _sums(part, "target_session").reindex(sums.index, fill_value=0.0)
        tables.append(_rates(mine.rolling(ROLLING, min_periods=1).sum()).add_prefix(f"{kind}/rolling_"))
    return pd.concat(tables, axis=1)


def event_split(record: pd.DataFrame) -> EventSplit | None:
    """Return the scores of the next session, on sessions that a scheduled report may have moved and on others.

    Skill and t are against the baseline next to each forecast. None where no calendar of reports was known.
    """
    parts = _by_event(record)
    return EventSplit(on=_next_session_scores(parts[EVENTS]), off=_next_session_scores(parts[OTHER])) if parts else None


def by_symbol(record: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each symbol over the last `ROLLING` sessions of a record: the columns of `by_session`."""
    return _rates(_sums(_recent(record), "symbol"))


def next_session(record: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts of the next session that matured over the last `ROLLING` sessions of a record.

    Columns: as of `one_ahead`.
    """
    return one_ahead(_recent(record[record["step"] == 1]))


def one_ahead(record: pd.DataFrame) -> pd.DataFrame:
    """Return a record's forecasts of the next session.

    Columns: those of the record without step, and a price for each of `LEVELS` instead of `quantiles`.
    """
    ahead = record[record["step"] == 1].reset_index(drop=True)
    names = {level_key(level): quantile_column(level) for level in LEVELS}
    quantiles = pd.DataFrame(json.loads(f"[{','.join(ahead['quantiles'])}]"), columns=list(names))
    return ahead.drop(columns=["step", "quantiles"]).join(quantiles.rename(columns=names).astype(float))


def out_of_bounds(record: pd.DataFrame) -> dict[str, str]:
    """Return the symbols whose recent coverage is out of bounds, each with the reason."""
    recent = _recent(record)
    table = by_symbol(recent)
    sessions = recent.groupby("symbol")["target_session"].nunique().to_dict()
    found = {
        str(symbol): breach(float(row[coverage_key(90)]), int(row["forecasts"]), sessions[symbol])
        for symbol, row in table.iterrows()
    }
    return {symbol: words for symbol, words in found.items() if words is not None}


def breach(coverage: float, forecasts: int, sessions: int) -> str | None:
    """Return in words how the coverage of 90 % ranges is out of bounds; None if it is not, or if data are too few."""
    if sessions < ENOUGH_SESSIONS or forecasts < ENOUGH_FORECASTS or LEAST_COVERAGE <= coverage <= MOST_COVERAGE:
        return None
    return f"its 90 % ranges contained {100 * coverage:.0f} % of the closes of the last {sessions} sessions"


def _by_event(record: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the forecasts of the next session on event sessions and on others; empty where none of them is known."""
    if REPORT_DUE not in record:
        return {}
    known = record[(record["step"] == 1) & record[REPORT_DUE].notna()]
    due = known[REPORT_DUE].astype(bool)
    return {EVENTS: known[due], OTHER: known[~due]} if len(known) else {}


def _next_session_scores(part: pd.DataFrame) -> NextSessionScores | None:
    prices = pd.DataFrame(json.loads(f"[{','.join(part['quantiles'])}]"))
    low, high = map(level_key, RANGES[90])
    baseline_N = part["baseline_crps_bp"].to_numpy(float)
    return next_session_scores(
        part["crps_bp"].to_numpy(float),
        coverage={share: part[inside_column(share)].to_numpy(bool) for share in RANGES},
        width_N=np.log(prices[high].to_numpy(float) / prices[low].to_numpy(float)) if len(part) else np.empty(0),
        origins_N=part["target_session"].to_numpy(),
        baseline=None,
        baseline_loss_N=baseline_N if np.isfinite(baseline_N).all() else None,
    )


def _recent(record: pd.DataFrame) -> pd.DataFrame:
    sessions = sorted(record["target_session"].unique())[-ROLLING:]
    return record[record["target_session"].isin(sessions)]


def _sums(record: pd.DataFrame, key: str) -> pd.DataFrame:
    numbers = record[["crps_bp", "baseline_crps_bp", *_INSIDE]].astype(float).assign(forecasts=1.0)
    return numbers.groupby(record[key]).sum()


def _rates(sums: pd.DataFrame) -> pd.DataFrame:
    each = sums.div(sums["forecasts"], axis=0)
    inside = {coverage_key(share): each[inside_column(share)] for share in RANGES}
    skill = 100 * (1 - each["crps_bp"] / each["baseline_crps_bp"])
    scores = each[["crps_bp", "baseline_crps_bp"]].assign(skill_percent=skill, **inside)
    return scores.assign(forecasts=sums["forecasts"])
