"""The symbols of a file: from its column, from the request, or from the name of the file."""

import re
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.errors import BadFile, BadSymbol
from pipeline.market.symbols import parse_symbol
from pipeline.prices.sources.files.raw import RawTable, as_text, coded

# How vendors name their downloads: Stooq, Investing.com, Alpha Vantage.
_BY_VENDOR = (
    re.compile(r"(?P<symbol>[^_]+)_us_d", re.IGNORECASE),
    re.compile(r"(?P<symbol>\S+) Historical (?:Data|Prices)", re.IGNORECASE),
    re.compile(r"daily_(?:adjusted_)?(?P<symbol>[^_]+)", re.IGNORECASE),
)


@dataclass(frozen=True, kw_only=True)
class Symbols:
    names: list[str]  # of each code, empty if the text is not a symbol
    code_N: NDArray[np.int64]
    faults: dict[int, str]


def symbols_of(raw: RawTable, column: pa.ChunkedArray | None, asked: tuple[str, ...]) -> Symbols:
    """Return the symbol of each row. Raises BadFile if there is no column and the name of the file is not a symbol."""
    if column is None:
        name = symbol_of(raw.name, asked)
        return Symbols(names=[name], code_N=np.zeros(len(raw), np.int64), faults={})
    texts, code_N = coded(as_text(column))
    names: list[str] = []
    faults: dict[int, str] = {}
    for code, text in enumerate(texts):
        try:
            names.append(parse_symbol(text))
        except BadSymbol as error:
            names.append("")
            faults[code] = str(error) if text else "the symbol is blank"
    return Symbols(names=names, code_N=code_N, faults=faults)


def symbol_of(name: str, asked: tuple[str, ...]) -> str:
    """Return the symbol of a file without a column for it.

    A file name counts where a vendor gives it, or where it is in capitals as symbols are (`AAPL.csv`): `prices.csv` is
    no symbol. Raises BadFile that says what to do.
    """
    if len(asked) == 1:
        return asked[0]
    if (symbol := _named(name)) is not None:
        return symbol
    raise BadFile(
        f"{name} has no column symbol, and its name is none; add the column, name the file after its symbol "
        "(AAPL.csv), or name the one symbol with --symbols (PIPELINE_SYMBOLS)"
    )


def _named(name: str) -> str | None:
    stem = PurePath(name).name
    while (suffix := PurePath(stem).suffix.lower()) in _SUFFIXES:
        stem = stem[: -len(suffix)]
    for pattern in _BY_VENDOR:
        if found := pattern.fullmatch(stem):
            return _symbol(found["symbol"])
    return _symbol(stem) if stem == stem.upper() else None


_SUFFIXES = {".csv", ".tsv", ".txt", ".tab", ".psv", ".parquet", ".pq", ".parq", ".feather", ".arrow", ".ipc"}
_SUFFIXES |= {".gz", ".bz2", ".xz", ".zst", ".zip"}


def _symbol(text: str) -> str | None:
    try:
        return parse_symbol(text)
    except BadSymbol:
        return None
