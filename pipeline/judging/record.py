"""The record: every published forecast, the baseline beside it, and how both did when their session came.

Rows are written once. A later run of the same session may correct a forecast that nothing has been said about yet;
what has been scored stays as it is. A forecast is *in time* if its target session had not closed when it was published:
the live record is made of these. All others are replays, kept and scored the same, and never called live.
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Table, and_, bindparam, delete, insert, select

from pipeline.config import LEVELS
from pipeline.database.engine import reading, writing
from pipeline.database.schema import forecasts, scores
from pipeline.judging.metrics import RANGES, crps_bp, inside
from pipeline.learning.frame import quantile_column
from pipeline.learning.panel import Array
from pipeline.prices.adjustments import total_return
from pipeline.sessions import Sessions

_KEY = ["symbol", "as_of", "step", "model_version"]
_STEP_KEY = ["symbol", "as_of", "step"]


def keep(
    engine: Engine,
    source: str,
    published: pd.DataFrame,
    baseline: pd.DataFrame,
    run_key: str,
    *,
    now: datetime,
    complete_at: Callable[[str, date], datetime],
) -> int:
    """Store the published frame and the baseline's, in one transaction; return the rows written.

    The same frames a second time write nothing new, and keep the time of the first. `complete_at` gives the moment from
    which a symbol's session is complete.
    """
    rows = pd.concat([published.assign(role="published"), baseline.assign(role="baseline")], ignore_index=True)
    rows = rows.drop_duplicates(_KEY)  # a published baseline is its own baseline
    columns = {level: quantile_column(level) for level in LEVELS}
    records = rows.assign(
        quantiles=[
            json.dumps({f"{level:g}": row[name] for level, name in columns.items()}) for row in rows.to_dict("records")
        ],
        run_key=run_key,
        as_of=rows["as_of"].dt.date,
        target_session=rows["target_session"].dt.date,
    )
    pairs = zip(records["symbol"], records["target_session"], strict=True)
    records = records.assign(
        source=source,
        published_at=now.astimezone(UTC).replace(tzinfo=None),
        in_time=[now < complete_at(*pair) for pair in pairs],
    )
    with writing(engine) as connection:
        settled = _keys(connection, scores, records) | _same(connection, records)
        fresh = records[[key not in settled for key in _key_of(records)]]
        _delete(connection, forecasts, fresh)
        _insert(connection, forecasts, fresh)
    return len(fresh)


def score_due(
    engine: Engine,
    source: str,
    bars: pd.DataFrame,
    as_of: date,
    origin_of: Callable[[str, date], date] = lambda _symbol, as_of: as_of,
    sessions_of: Callable[[str], Sessions] | None = None,
) -> int:
    """Score every forecast from a source made before `as_of` whose session has come; return how many.

    `bars` are the source's, as known then.

    `origin_of` gives the session that a symbol was forecast from: on another exchange it may be one earlier. A forecast
    whose target bar is missing is left for a later run. With `sessions_of`, the calendar of each symbol, a forecast
    whose target has turned out not to be the session that its step stands for is never scored: see `_on_its_session`.
    """
    with writing(engine) as connection:
        due = _due(connection, source, as_of)
        if due.empty:
            return 0
        origins = [origin_of(symbol, day) for symbol, day in zip(due["symbol"], due["as_of"], strict=True)]
        due = due.assign(origin=origins)
        outcome = _outcomes(due, bars)
        if sessions_of is not None:
            outcome[~_on_its_session(due, outcome, bars, sessions_of)] = np.nan
        scored = due.assign(actual=outcome)[np.isfinite(outcome)]
        if scored.empty:
            return 0
        quantiles_NHQ = _log_quantiles(scored)[:, None, :]
        actual_NH = scored["actual"].to_numpy(float)[:, None]
        rows = scored.assign(
            scored_as_of=as_of,
            close=scored["last_close"] * np.exp(scored["actual"]),
            crps_bp=crps_bp(quantiles_NHQ, actual_NH, LEVELS)[:, 0],
            **{f"inside_{name}": inside(quantiles_NHQ, actual_NH, LEVELS, name)[:, 0].astype(int) for name in RANGES},
        )
        _insert(connection, scores, rows)
    return len(rows)


def live_record(engine: Engine, source: str, symbols: tuple[str, ...], as_of: date) -> pd.DataFrame:
    """Return the scored forecasts from a source that had come due by `as_of`, oldest first, each beside its baseline.

    Columns: symbol, as_of, step, target_session, last_close, model, model_version, in_time, quantiles (JSON, price by
    level), close, crps_bp, baseline_crps_bp, inside_50, inside_80, inside_90.
    """
    same = and_(*(forecasts.c[name] == scores.c[name] for name in _KEY))
    query = (
        select(
            *(
                forecasts.c[name]
                for name in (
                    *_STEP_KEY,
                    "target_session",
                    "last_close",
                    "model",
                    "model_version",
                    "in_time",
                    "quantiles",
                    "role",
                )
            ),
            *(scores.c[name] for name in ("close", "crps_bp", "inside_50", "inside_80", "inside_90")),
        )
        .join(scores, same)
        .where(forecasts.c.source.in_([source, ""]), forecasts.c.symbol.in_(symbols))
        .where(forecasts.c.target_session <= as_of, scores.c.scored_as_of <= as_of)
        .order_by(forecasts.c.target_session, forecasts.c.symbol, forecasts.c.as_of, forecasts.c.step)
    )
    with reading(engine) as connection:
        result = connection.execute(query)
        rows = pd.DataFrame.from_records(result.fetchall(), columns=list(result.keys()))
    published = rows[rows["role"] == "published"].drop_duplicates(_STEP_KEY, keep="last")
    # Where the baseline itself was published there is no second row: it is its own baseline.
    beside = pd.concat([rows[rows["role"] == "baseline"], published]).drop_duplicates(_STEP_KEY)
    baseline = beside[[*_STEP_KEY, "crps_bp"]].rename(columns={"crps_bp": "baseline_crps_bp"})
    return published.drop(columns="role").merge(baseline, on=_STEP_KEY, how="left", validate="one_to_one")


def _due(connection: Connection, source: str, as_of: date) -> pd.DataFrame:
    same = and_(*(forecasts.c[name] == scores.c[name] for name in _KEY))
    query = (
        select(forecasts)
        .join(scores, same, isouter=True)
        .where(forecasts.c.source.in_([source, ""]), scores.c.symbol.is_(None))
        .where(forecasts.c.target_session <= as_of, forecasts.c.as_of < as_of)
    )
    result = connection.execute(query)
    return pd.DataFrame.from_records(result.fetchall(), columns=list(result.keys()))


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


def _on_its_session(
    due: pd.DataFrame, outcome: Array, bars: pd.DataFrame, sessions_of: Callable[[str], Sessions]
) -> NDArray[np.bool_]:
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
        sessions = sessions_of(symbol)
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
    prices = np.array([[json.loads(text)[f"{level:g}"] for level in LEVELS] for text in due["quantiles"]])
    return np.asarray(np.log(prices / due["last_close"].to_numpy(float)[:, None]))


def _key_of(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rows[_KEY].itertuples(index=False, name=None))


def _keys(connection: Connection, table: Table, rows: pd.DataFrame) -> set[tuple[object, ...]]:
    query = select(*(table.c[name] for name in _KEY)).where(table.c.as_of.in_(rows["as_of"].unique().tolist()))
    return {tuple(row) for row in connection.execute(query)}


def _same(connection: Connection, rows: pd.DataFrame) -> set[tuple[object, ...]]:
    """Return the keys of the rows that are stored exactly so already."""
    names = [*_KEY, "role", "model", "last_close", "quantiles"]
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
