"""Price files made for tests: rows of one symbol, and what a source makes of a text."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.market.sessions import Sessions
from pipeline.prices.sources.files import FileOptions, FilesSource

TODAY = date(2026, 11, 27)
HEADER = "symbol,date,open,high,low,close,volume"
SESSIONS = Sessions("XNYS").between(date(2012, 9, 4), date(2013, 3, 1))
FEW = SESSIONS[:12]


def rows(dates: Iterable[object], *, symbol: str = "IBM") -> str:
    """A file of plain numbers on the dates as they are written."""
    lines = [
        f"{symbol},{day},{100 + i / 4:.2f},{102 + i / 4:.2f},{99 + i / 4:.2f},{101 + i / 4:.2f},{1_000_000 + i}"
        for i, day in enumerate(dates)
    ]
    return "\n".join([HEADER, *lines, ""])


def without_symbol(header: str, line: str, dates: Iterable[date] = FEW) -> str:
    """A file of one line for each date, `{d}` in it."""
    return "\n".join([header, *(line.format(d=day) for day in dates), ""])


def opened(path: Path, content: str | bytes, **options: Any) -> FilesSource:
    """The source of a file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return FilesSource(path, FileOptions(**{"today": TODAY, **options}))


def bars_of(source: FilesSource) -> pd.DataFrame:
    return source.bars(source.symbols(), source.last_session())


def days_of(source: FilesSource) -> list[date]:
    return [stamp.date() for stamp in bars_of(source)["session"]]


def said(bars: pd.DataFrame, kind: str) -> list[str]:
    """The details of what was noted or rejected."""
    return [row.detail for row in bars.attrs[kind]]
