"""Symbols: the valid spelling of one, and lists of them. Whether a source has a symbol is up to the source."""

import re
from collections.abc import Iterable

from pipeline.errors import BadSymbol
from pipeline.market.spellings import suggestion

# Yahoo's conventions: BRK-B, BP.L, 7203.T, EURUSD=X, ^GSPC. A symbol becomes part of URLs, file names and
# spreadsheet cells, so the first character is a letter, a digit or ^, and no other punctuation is allowed.
_SYMBOL = re.compile(r"\^?[A-Z0-9]+([.\-=][A-Z0-9]+)*")
MAX_LENGTH = 20


def parse_symbol(text: str) -> str:
    """Return the symbol in `text`, in capitals.

    Raises BadSymbol for anything that is not plain ASCII letters and digits, separated by single `.`, `-` or `=`.
    """
    symbol = text.strip()
    if symbol.isascii():
        symbol = symbol.upper()
    if len(symbol) > MAX_LENGTH or not _SYMBOL.fullmatch(symbol):
        raise BadSymbol(
            f"{text!r} is not a symbol: use up to {MAX_LENGTH} letters and digits, separated by . - or =, "
            f"such as AAPL, BRK-B, BP.L or ^GSPC{suggestion(text)}"
        )
    return symbol


def parse_symbols(texts: str | Iterable[str]) -> tuple[str, ...]:
    """Return the symbols of a list, or of one text separated by commas or spaces: sorted, each once.

    Sorted, so that the order of input changes no digest and no weight.
    """
    parts = re.split(r"[,\s]+", texts.strip()) if isinstance(texts, str) else list(texts)
    return tuple(sorted({parse_symbol(part) for part in parts if part}))
