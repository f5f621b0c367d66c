"""Price files as a source: CSV and Parquet as people and vendors write them, parsed strictly.

Every cell is text until the whole column has been looked at; then one meaning is chosen for the column, or the file is
refused. Nothing is guessed cell by cell. One subject a file:

    containers.py   compression, archives, folders, and what is no price table at all
    limits.py       whether it fits into memory, before it is read
    delimited.py    encoding, delimiter and header line of text
    columnar.py     Parquet and Arrow
    raw.py          what both give: named columns of cells, and the line of each
    headers.py      whose format it is, and which column means what
    names.py        the symbols, also of a file that has no column for them
    dates.py        the one date format of a column
    date_formats.py the formats, and the text each of them reads
    stamps.py       time zones: from a moment to the market's date
    years.py        mistyped years
    numbers.py      columns of numbers, each by one decimal separator
    evidence.py     what the cells of a column tell about that sign
    cells.py        one cell: separators, currency, suffix
    wide.py         symbols side by side, as yfinance writes them
    typed_dates.py  dates that Parquet has as such
    table.py        rows with their symbol, session and numbers
    left_out.py     rows that belong to no bar
    daily.py        intraday rows, dividends and splits
    files_source.py the source
"""

from pipeline.prices.sources.files.files_source import FilesSource
from pipeline.prices.sources.files.reading_options import FileOptions

__all__ = ["FileOptions", "FilesSource"]
