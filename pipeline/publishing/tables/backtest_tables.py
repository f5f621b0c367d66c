"""The forecasts of a backtest as Parquet or CSV: the columns of the published tables, and `report_due`."""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import BadFile, CorruptFile
from pipeline.forecast_schema import REPORT_DUE
from pipeline.publishing.tables import daily_tables
from pipeline.storage.atomic_files import sha256_bytes, write_atomic

SCHEMA = daily_tables.SCHEMA.append(pa.field(REPORT_DUE, pa.bool_()))
_ORDER = ["as_of", "symbol", "model", "step"]
FORMATS = (".parquet", ".csv")


def in_order(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of many frames by as_of, symbol, model and step, whatever order they came in."""
    return pd.concat(frames, ignore_index=True).sort_values(_ORDER, kind="stable", ignore_index=True)


def as_parquet(frame: pd.DataFrame) -> bytes:
    """Return the frame as Parquet: every option that shapes the bytes is fixed here."""
    table = pa.Table.from_pandas(frame[SCHEMA.names], preserve_index=False).cast(SCHEMA).replace_schema_metadata(None)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=3, version="2.6", use_dictionary=True)
    return buffer.getvalue()


def read_parquet(path: Path, digest: str) -> pd.DataFrame:
    """Return the frame that was written to `path`. Raises CorruptFile where a byte of it has changed."""
    data = path.read_bytes()
    if sha256_bytes(data) != digest:
        raise CorruptFile(f"{path} is not what was written (its SHA-256 differs); run the backtest's fold again")
    frame: pd.DataFrame = pq.read_table(io.BytesIO(data)).to_pandas()
    days = {name: pd.to_datetime(frame[name]).astype("datetime64[s]") for name in ("as_of", "target_session")}
    return frame.assign(**days, **{REPORT_DUE: frame[REPORT_DUE].astype("boolean")})


def check(path: Path) -> Path:
    """Return `path` if a frame can be written there. Raises BadFile for another suffix or a missing folder."""
    if path.suffix not in FORMATS:
        raise BadFile(f"--out {path}: the name must end with {' or '.join(FORMATS)}")
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise BadFile(f"--out {path}: name a file in a folder that exists")
    return path


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write the frame to `path` in one move, as Parquet or CSV by its suffix."""
    if check(path).suffix == ".parquet":
        write_atomic(path, as_parquet(frame))
    else:
        text = frame[SCHEMA.names].to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d")
        write_atomic(path, text)
