"""The track record: every published forecast, the baseline next to it, and the scores of both.

A forecast belongs to the run whose edition it was published in: another run of the same session adds rows and replaces
none. The same run again may correct a forecast that has no score yet; what is scored stays as it is. A forecast is *in
time* if its target session had not closed when it was published: the live record is made of these. All others are
replays, stored and scored the same way, and never called live.

The forecasts of the standing configuration form the series `""`; those of each trial (`pipeline.jobs.trials`) form a
separate series, so that no trial enters the live record, an abstention or a decision to retrain. Where a series has
several forecasts for one symbol, session and step, the one published last counts, and one in time before any replay.
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Table, and_, bindparam, delete, insert, select

from pipeline.database.engine import reading, writing
from pipeline.database.schema import forecasts, scores
from pipeline.errors import BadSymbol
from pipeline.evaluation.metrics import crps_bp, inside
from pipeline.forecast_schema import BASELINES, LEVELS, RANGES, REPORT_DUE, inside_column, level_key, quantile_column
from pipeline.market.clock import MarketClock
from pipeline.modeling.data.panel import Array
from pipeline.prices.adjustments import total_return

_KEY = ["symbol", "as_of", "step", "model_version", "run_key"]
_STEP_KEY = ["symbol", "as_of", "step"]
STANDING = ""
# Different files have this one name, so only a run of the same series has the prices that a forecast was made from.
_MANY_IN_ONE = "files"


def log_forecasts(
    engine: Engine,
    source: str,
    published: pd.DataFrame,
    baseline: pd.DataFrame,
    run_key: str,
    *,
    now: datetime,
    complete_at: Callable[[str, date], datetime],
    series: str = STANDING,
) -> int:
    """Store the published frame and the baseline's, in one transaction; return the rows written.

    `report_due` may be missing or null in either frame, where no calendar of reports was known.
    The same frames a second time write nothing new, and keep the time of the first. `complete_at` gives the moment from
    which a symbol's session is complete.
    """
    rows = pd.concat([published.assign(role="published"), baseline.assign(role="baseline")], ignore_index=True)
    rows = rows.assign(run_key=run_key).drop_duplicates(_KEY)  # a published baseline is its own baseline
    columns = {level: quantile_column(level) for level in LEVELS}
    records = rows.assign(
        quantiles=[
            json.dumps({level_key(level): row[name] for level, name in columns.items()})
            for row in rows.to_dict("records")
        ],
        as_of=rows["as_of"].dt.date,
        target_session=rows["target_session"].dt.date,
    )
    pairs = zip(records["symbol"], records["target_session"], strict=True)
    records = records.assign(
        source=source,
        series=series,
        published_at=now.astimezone(UTC).replace(tzinfo=None),
        in_time=[now < complete_at(*pair) for pair in pairs],
        **{REPORT_DUE: _known_flags(records)},
    )
    with writing(engine) as connection:
        settled = _keys(connection, scores, records) | _same(connection, records)
        fresh = records[[key not in settled for key in _key_of(records)]]
        _delete(connection, forecasts, fresh)
        _insert(connection, forecasts, fresh)
    return len(fresh)


def score_matured(
    engine: Engine,
    source: str,
    bars: pd.DataFrame,
    as_of: date,
    clock: MarketClock | None = None,
    series: str = STANDING,
) -> int:
    """Score every forecast from a source made before `as_of` whose session has come; return how many.

    `bars` are the source's, as known then. A standing run scores trials on the same source as well, unless that is
    `files`; a trial scores its own series and no other.

    A forecast whose target bar is missing is left for a later run. `clock` gives the session that a symbol was forecast
    from, which on another exchange may be one earlier than `as_of`, and a forecast whose target has turned out not to
    be the session that its step stands for is never scored: see `_on_its_session`. Without a clock neither is checked.
    """
    with writing(engine) as connection:
        due = _due(connection, source, as_of, series)
        if due.empty:
            return 0
        origins = [_origin(clock, symbol, day) for symbol, day in zip(due["symbol"], due["as_of"], strict=True)]
        due = due.assign(origin=origins)
        outcome = _outcomes(due, bars)
        if clock is not None:
            outcome[~_on_its_session(due, outcome, bars, clock)] = np.nan
        scored = due.assign(actual=outcome)[np.isfinite(outcome)]
        if scored.empty:
            return 0
        quantiles_NHQ = _log_quantiles(scored)[:, None, :]
        actual_NH = scored["actual"].to_numpy(float)[:, None]
        rows = scored.assign(
            scored_as_of=as_of,
            close=scored["last_close"] * np.exp(scored["actual"]),
            crps_bp=crps_bp(quantiles_NHQ, actual_NH, LEVELS)[:, 0],
            **{
                inside_column(share): inside(quantiles_NHQ, actual_NH, LEVELS, share)[:, 0].astype(int)
                for share in RANGES
            },
        )
        _insert(connection, scores, rows)
    return len(rows)


def live_record(
    engine: Engine,
    source: str,
    symbols: tuple[str, ...] | None,
    as_of: date | None,
    *,
    series: str | None = STANDING,
    since: date | None = None,
) -> pd.DataFrame:
    """Return the scored forecasts from a source that had matured by `as_of`, oldest first, each with its baseline.

    `symbols` None: of every symbol; `as_of` None: all that is scored; `series` None: of the standing one and of every
    trial. `since` leaves out earlier target sessions.

    Columns: symbol, as_of, step, target_session, last_close, model, model_version, in_time, run_key, series, report_due
    (None: not known), quantiles (JSON, price by level), close, crps_bp, baseline_crps_bp, inside_50, inside_80,
    inside_90.
    """
    same = and_(*(forecasts.c[name] == scores.c[name] for name in _KEY))
    names = (
        *(*_STEP_KEY, "target_session", "last_close", "model", "model_version", "in_time", "run_key", "series"),
        *(REPORT_DUE, "quantiles", "role", "published_at"),
    )
    query = (
        select(
            *(forecasts.c[name] for name in names),
            *(scores.c[name] for name in ("close", "crps_bp", *map(inside_column, RANGES))),
        )
        .join(scores, same)
        .where(forecasts.c.source.in_([source, ""]))
        .order_by(*(forecasts.c[name] for name in ("target_session", "symbol", "as_of", "step", "run_key")))
    )
    if symbols is not None:
        query = query.where(forecasts.c.symbol.in_(symbols))
    if as_of is not None:
        query = query.where(forecasts.c.target_session <= as_of, scores.c.scored_as_of <= as_of)
    if series is not None:
        query = query.where(forecasts.c.series == series)
    if since is not None:
        query = query.where(forecasts.c.target_session >= since)
    with reading(engine) as connection:
        result = connection.execute(query)
        rows = pd.DataFrame.from_records(result.fetchall(), columns=list(result.keys()))
    published = _in_force(rows[rows["role"] == "published"])
    return published.drop(columns=["role", "published_at"]).assign(baseline_crps_bp=_baseline_crps(published, rows))


def _known_flags(rows: pd.DataFrame) -> "pd.Series[Any]":
    """Return `report_due` of some forecasts as True, False, or None where it is not known."""
    if REPORT_DUE not in rows:
        return pd.Series(None, index=rows.index, dtype=object)
    return rows[REPORT_DUE].astype("boolean").astype(object).where(rows[REPORT_DUE].notna(), None)


def _in_force(published: pd.DataFrame) -> pd.DataFrame:
    """Return, of each series, symbol, session and step, the forecast that counts: see the top of this file."""
    moments = pd.to_datetime(published["published_at"])  # not known of the oldest, which come first then
    ranked = published.assign(_in_time=published["in_time"].astype(bool), _moment=moments)
    ranked = ranked.sort_values(["_in_time", "_moment"], kind="stable", na_position="first")
    kept = ranked.drop_duplicates(["series", *_STEP_KEY], keep="last").index
    return published.loc[published.index.isin(kept)].reset_index(drop=True)


def _baseline_crps(published: pd.DataFrame, rows: pd.DataFrame) -> Array:
    """Return the CRPS of the baseline next to each published forecast: its own where it is a baseline itself.

    It is the one of the same run. Before forecasts belonged to runs it may carry the key of another.
    """
    baselines = rows[rows["role"] == "baseline"]
    own = published["crps_bp"].where(published["model"].isin(BASELINES))
    found = []
    for key in (["series", *_STEP_KEY, "run_key"], ["series", *_STEP_KEY]):
        column = baselines.drop_duplicates(key, keep="last")[[*key, "crps_bp"]]
        merged = published[key].merge(column, on=key, how="left", validate="many_to_one")
        found.append(merged["crps_bp"].set_axis(published.index))
    return found[0].fillna(own).fillna(found[1]).to_numpy(float)


def _due(connection: Connection, source: str, as_of: date, series: str) -> pd.DataFrame:
    same = and_(*(forecasts.c[name] == scores.c[name] for name in _KEY))
    query = (
        select(forecasts)
        .join(scores, same, isouter=True)
        .where(forecasts.c.source.in_([source, ""]), scores.c.symbol.is_(None))
        .where(forecasts.c.target_session <= as_of, forecasts.c.as_of < as_of)
    )
    if series != STANDING or source == _MANY_IN_ONE:
        query = query.where(forecasts.c.series == series)
    result = connection.execute(query)
    return pd.DataFrame.from_records(result.fetchall(), columns=list(result.keys()))


def _origin(clock: MarketClock | None, symbol: str, as_of: date) -> date:
    """Return the session that a symbol was forecast from."""
    if clock is None:
        return as_of
    try:
        return clock.at(as_of).last(symbol)
    except BadSymbol:  # published before its market was refused: it has no bars to be scored with
        return as_of


def _outcomes(due: pd.DataFrame, bars: pd.DataFrame) -> Array:
    """Return the log total return from each forecast's origin to its target, NaN where a bar is missing."""
    returns = total_return(bars).fillna(0.0)
    cumulative = returns.groupby(bars["symbol"], sort=False).cumsum()
    keys = zip(bars["symbol"], bars["session"].dt.date, strict=True)
    level = dict(zip(keys, cumulative, strict=True))
    nowhere = float("nan")
    pairs = zip(due["symbol"], due["origin"], due["target_session"], strict=True)
    return np.array(
        [
            level.get((symbol, target), nowhere) - level.get((symbol, origin), nowhere)
            for symbol, origin, target in pairs
        ]
    )


def _on_its_session(due: pd.DataFrame, outcome: Array, bars: pd.DataFrame, clock: MarketClock) -> NDArray[np.bool_]:
    """Return which of the forecasts with an outcome name the session that lies `step` sessions after their origin.

    A target may have been estimated, beyond the end of the calendar, and a holiday before it then moves it. Where the
    calendar still does not reach so far, the symbol's own bars count the sessions.
    """
    days = {str(symbol): part.to_numpy("datetime64[D]") for symbol, part in bars.groupby("symbol")["session"]}
    right = np.isfinite(outcome)
    apart: dict[tuple[str, date, date], int] = {}  # many symbols share their sessions
    for at in np.flatnonzero(right).tolist():
        row = due.iloc[at]
        symbol, origin, target, step = row["symbol"], row["origin"], row["target_session"], int(row["step"])
        sessions = clock.sessions_of(symbol)
        if sessions.is_estimated(target):
            own = days[symbol]
            right[at] = int(((own > np.datetime64(origin)) & (own <= np.datetime64(target))).sum()) == step
        else:
            key = (sessions.exchange, origin, target)
            if key not in apart:
                apart[key] = len(sessions.between(origin, target)) - 1
            right[at] = apart[key] == step
    return right


def _log_quantiles(due: pd.DataFrame) -> Array:
    prices = np.array([[json.loads(text)[level_key(level)] for level in LEVELS] for text in due["quantiles"]])
    return np.asarray(np.log(prices / due["last_close"].to_numpy(float)[:, None]))


def _key_of(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rows[_KEY].itertuples(index=False, name=None))


def _keys(connection: Connection, table: Table, rows: pd.DataFrame) -> set[tuple[object, ...]]:
    query = select(*(table.c[name] for name in _KEY)).where(table.c.as_of.in_(rows["as_of"].unique().tolist()))
    return {tuple(row) for row in connection.execute(query)}


def _same(connection: Connection, rows: pd.DataFrame) -> set[tuple[object, ...]]:
    """Return the keys of the rows that are stored exactly so already."""
    names = [*_KEY, "role", "model", "last_close", "quantiles", "series"]
    query = select(*(forecasts.c[name] for name in names)).where(forecasts.c.as_of.in_(rows["as_of"].unique().tolist()))
    stored = {tuple(row) for row in connection.execute(query)}
    mine = rows[names].itertuples(index=False, name=None)
    return {key for key, row in zip(_key_of(rows), mine, strict=True) if row in stored}


def _delete(connection: Connection, table: Table, rows: pd.DataFrame) -> None:
    if len(rows):
        condition = and_(*(table.c[name] == bindparam(f"key_{name}") for name in _KEY))
        names = [f"key_{name}" for name in _KEY]
        keys = [dict(zip(names, key, strict=True)) for key in _key_of(rows)]
        connection.execute(delete(table).where(condition), keys)


def _insert(connection: Connection, table: Table, rows: pd.DataFrame) -> None:
    if len(rows):
        columns = [column.name for column in table.columns if column.name in rows]
        values = rows[columns].itertuples(index=False, name=None)
        connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in values])
