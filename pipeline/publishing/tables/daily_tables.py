"""The forecasts as Parquet, CSV and JSON: bytes that depend only on the content."""

import io
import json
from dataclasses import asdict
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.forecast_schema import (
    ESTIMATED,
    LAST_SESSION,
    LEVELS,
    QUANTILES,
    RANGES,
    RECORD,
    REPORT_DUE,
    inside_column,
    level_key,
    quantile_column,
)
from pipeline.publishing.edition import Edition
from pipeline.storage.documents import to_document

SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("as_of", pa.date32()),
        ("step", pa.int64()),
        ("target_session", pa.date32()),
        ("last_close", pa.float64()),
        ("model", pa.string()),
        ("model_version", pa.string()),
        *((name, pa.float64()) for name in QUANTILES),
    ]
)
PUBLISHED_SCHEMA = SCHEMA.append(pa.field(LAST_SESSION, pa.date32())).append(pa.field(ESTIMATED, pa.bool_()))
RECORD_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("as_of", pa.date32()),
        ("target_session", pa.date32()),
        ("last_close", pa.float64()),
        ("model", pa.string()),
        ("model_version", pa.string()),
        ("in_time", pa.bool_()),
        *((name, pa.float64()) for name in (*QUANTILES, "close", "crps_bp", "baseline_crps_bp")),
        *((inside_column(share), pa.bool_()) for share in RANGES),
        (REPORT_DUE, pa.bool_()),  # null where no calendar was known
    ]
)
# Closes of each symbol before its forecast, for charts.
_CLOSES = 60
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_parquet(edition: Edition) -> bytes:
    """Return the table as Parquet: every option that shapes the bytes is fixed here."""
    return _parquet(edition.table, PUBLISHED_SCHEMA)


def record_as_parquet(edition: Edition) -> bytes:
    """Return as Parquet the recent forecasts of the next session with their ranges, closes and scores."""
    found = pd.DataFrame(columns=list(RECORD)) if edition.recent is None else edition.recent[list(RECORD)]
    table = found.sort_values(["symbol", "as_of"], ignore_index=True)
    for name in ("as_of", "target_session"):
        table[name] = pd.to_datetime(table[name]).dt.date
    flags = ["in_time", *map(inside_column, RANGES)]
    return _parquet(table.astype(dict.fromkeys(flags, bool)), RECORD_SCHEMA)


def _parquet(frame: pd.DataFrame, schema: pa.Schema) -> bytes:
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=3, version="2.6", use_dictionary=True)
    return buffer.getvalue()


def as_csv(edition: Edition) -> bytes:
    """Return the table as CSV in UTF-8, prices in full precision; no cell begins like a formula."""
    table = edition.table.copy()
    for name in ("symbol", "model", "model_version"):
        table[name] = table[name].map(_harmless)
    return table.to_csv(index=False, lineterminator="\n").encode()


def as_json(edition: Edition) -> bytes:
    """Return the table as JSON: one entry per symbol, within it one per step."""
    closes = {fan.symbol: fan.closes_N[-_CLOSES:].tolist() for fan in edition.fans}
    document: dict[str, Any] = {
        "as_of": edition.as_of.isoformat(),
        "exchange": edition.exchange,
        "model": edition.model,
        "model_version": edition.model_version,
        "horizon": edition.horizon,
        "trial": list(edition.trial),
        "levels": list(LEVELS),
        "forecasts": [
            _symbol(rows, closes[str(symbol)]) | _outlook(edition, str(symbol))
            for symbol, rows in edition.table.groupby("symbol", sort=False)
        ],
        "withheld": [asdict(each) for each in edition.withheld],
    }
    if market := edition.outlook.market:
        document["market_events"] = [to_document(event) for event in market]
    return dump(document)


def dump(document: Any) -> bytes:
    """Return a document as readable JSON; a NaN, which JSON does not have, raises ValueError."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _symbol(rows: pd.DataFrame, closes: list[float]) -> dict[str, Any]:
    first = rows.iloc[0]
    return {
        "symbol": first["symbol"],
        LAST_SESSION: first[LAST_SESSION].isoformat(),
        "last_close": float(first["last_close"]),
        "model": first["model"],
        "model_version": first["model_version"],
        "recent_closes": closes,
        "steps": [_step(row) for row in rows.to_dict("records")],
    }


def _outlook(edition: Edition, symbol: str) -> dict[str, Any]:
    """Return what is known of a symbol's scheduled events as an entry; nothing without a calendar."""
    found = edition.outlook.symbols.get(symbol)
    return {} if found is None else {"outlook": to_document(found)}


def _step(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        "step": int(row["step"]),
        "target_session": row["target_session"].isoformat(),
        ESTIMATED: bool(row[ESTIMATED]),
        "quantiles": {level_key(level): float(row[quantile_column(level)]) for level in LEVELS},
    }


def _harmless(cell: str | None) -> str | None:
    return f"'{cell}" if cell is not None and cell.startswith(_FORMULA) else cell
