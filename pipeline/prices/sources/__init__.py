"""Sources of prices, one interface. A new source is a class here and a name in `pipeline.config.SourceName`."""

from datetime import date
from typing import Literal, Protocol

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import BadSymbol

# What a series' prices are: as traded, divided by later splits, or the vendor does not say.
Basis = Literal["raw", "split_adjusted", "as_given"]


class Source(Protocol):
    """Where prices come from. Each method may raise a PipelineError that names the symbol or the file."""

    name: str
    # Whether its answers may change by themselves, so that asking again later makes sense.
    live: bool
    # Sessions asked for again in front of the new ones, to see what has changed; None: the whole history each time.
    overlap: int | None

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols that are used when nobody names any."""

    def require(self, symbols: tuple[str, ...]) -> None:
        """Raise BadSymbol for symbols that the source is known not to have."""

    def first_session(self) -> date | None:
        """Return the session before which the source has nothing; None where that is not known."""

    def last_session(self) -> date | None:
        """Return the session after which the source will never have anything; None where it goes on."""

    def basis(self, symbol: str) -> Basis:
        """Return what the prices of a symbol are."""

    def description(self, last: date | None = None) -> str:
        """Return in one line how the source's prices are understood, counted up to `last`."""

    def bars(self, symbols: tuple[str, ...], last: date, first: date | None = None) -> pd.DataFrame:
        """Return the bars of `symbols` from `first` (or their beginning) to `last`, in the shape of `frames`.

        Raises UnknownSymbol, NoData, RateLimited or BadUpstream.
        """


def open_source(settings: Settings, *, today: date | None = None) -> Source:
    """Return the source that the settings name; given `today`, a date beyond tomorrow is a fault of its row."""
    if settings.source == "yahoo":
        from pipeline.prices.sources.yahoo.yahoo_source import YahooSource

        return YahooSource(settings)
    if settings.source == "files":
        from pipeline.prices.sources.files import FileOptions, FilesSource

        options = FileOptions(
            symbols=settings.symbols,
            exchange=settings.exchange,
            markets=settings.markets,
            dates=settings.files_dates,
            decimal=settings.files_decimal,
            today=today,
        )
        return FilesSource(settings.files, options)
    from pipeline.prices.sources.sample import SampleSource

    return SampleSource()


def require_known(symbols: tuple[str, ...], known: tuple[str, ...], where: str) -> None:
    """Raise BadSymbol that names the symbols that are not among the known ones, and some that are."""
    unknown = [symbol for symbol in symbols if symbol not in known]
    if unknown:
        some = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
        raise BadSymbol(f"{where} has no {', '.join(unknown)}; it has {some}")
