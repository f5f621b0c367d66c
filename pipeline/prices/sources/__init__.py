"""Sources of prices, one interface. A new source is a class here and a name in `pipeline.config.SourceName`."""

from datetime import date
from typing import Literal, Protocol

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import BadSymbol

# The basis of prices: as traded, divided by later splits, or not stated by the vendor.
Basis = Literal["raw", "split_adjusted", "as_given"]


class Source(Protocol):
    """A source of prices. Each method may raise a PipelineError that names the symbol or the file."""

    name: str
    # Whether its answers may change over time, so that a later request may succeed.
    live: bool
    # Stored sessions requested again before the new ones, to find revisions; None: the whole history each time.
    overlap: int | None

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that are used if none are named."""

    def require(self, symbols: tuple[str, ...]) -> None:
        """Raise BadSymbol for symbols that the source is known not to have."""

    def first_session(self) -> date | None:
        """Return the first session that the source may have; None if unknown."""

    def last_session(self) -> date | None:
        """Return the last session that the source will ever have; None if it continues."""

    def basis(self, symbol: str) -> Basis:
        """Return the basis of the prices of a symbol."""

    def description(self, last: date | None = None) -> str:
        """Return in one line how the prices are interpreted, with counts up to `last`."""

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        """Return the bars of `symbols` from `first` (or their beginning) to `last`, columns as in `prices.bars`.

        Raises UnknownSymbol, NoData, RateLimited or BadUpstream.
        """


def open_source(settings: Settings, *, today: date | None = None) -> Source:
    """Return the source that the settings name; given `today`, rows dated after tomorrow are rejected."""
    # One source is used, and each import takes 0.2 to 0.5 s.
    if settings.source == "yahoo":
        from pipeline.prices.sources.yahoo.yahoo_source import YahooSource

        return YahooSource(settings)
    if settings.source == "files":
        from pipeline.prices.sources.files import FileOptions, FilesSource

        options = FileOptions(
            symbols=settings.symbols,
            clock=settings.clock,
            dates=settings.files_dates,
            decimal=settings.files_decimal,
            today=today,
        )
        return FilesSource(settings.files, options)
    from pipeline.prices.sources.sample import SampleSource

    return SampleSource()


def require_known(symbols: tuple[str, ...], known: tuple[str, ...], where: str) -> None:
    """Raise BadSymbol for symbols that are not among the known ones; the message lists some that are."""
    unknown = [symbol for symbol in symbols if symbol not in known]
    if unknown:
        some = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
        raise BadSymbol(f"{where} has no {', '.join(unknown)}; it has {some}")
