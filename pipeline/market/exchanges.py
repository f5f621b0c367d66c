"""Markets of symbols: calendar and currency, by Yahoo's conventions for symbols.

A suffix after a dot names the exchange (`BP.L`, `7203.T`), `-USD` a crypto pair that never closes, `=X` a currency
pair, `=F` a future, `^` an index. A symbol without any of these, and one whose suffix is a class of US shares
(`BRK.B`), is traded on the exchange of the settings. Every other symbol is refused: a guessed calendar would give
wrong dates without a warning.
The tables are in `pipeline.market.exchange_tables`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from pipeline.errors import BadSymbol
from pipeline.market.calendars import known_calendars
from pipeline.market.exchange_tables import BY_INDEX, BY_SUFFIX, WITHOUT_CALENDAR, Market

# Suffix without its dot, or index symbol -> calendar code; sorted, so that it can be compared and hashed.
Mapped = tuple[tuple[str, str], ...]

_CURRENCIES = (
    "USD EUR GBP JPY CAD AUD NZD CHF CNY HKD SGD KRW INR TWD THB IDR MYR PHP VND SEK NOK DKK ISK PLN CZK HUF RON TRY "
    "ILS ZAR BRL MXN ARS CLP COP PEN RUB UAH NGN PKR AED SAR KWD"
)
_CRYPTO = re.compile(rf"[A-Z0-9]+-({'|'.join(_CURRENCIES.split())}|USDT|USDC|DAI|BTC|ETH|BNB)")
# Classes (BRK.B), units (.U), warrants (.WS), when-issued (.WI) and preferred shares (.PRA, .PR.L) of US companies.
_SHARE_CLASS = re.compile(r"[A-Z0-9]+\.([A-Z]|W[IS]|PR[A-Z])|[A-Z0-9]+\.PR\.[A-Z]")
_KEY = re.compile(r"\^[A-Z0-9][A-Z0-9.\-]*|[A-Z0-9]{1,8}")


def market_of(symbol: str, exchange: str, mapped: Mapped = ()) -> Market:
    """Return the market of a symbol; one without a suffix is traded on `exchange`, a calendar code.

    `mapped`, the calendars that the settings name, takes precedence. Raises BadSymbol for a symbol whose
    market is not known.
    """
    stem, _, suffix = symbol.rpartition(".")
    own = dict(mapped)
    if code := own.get(symbol if symbol.startswith("^") else "") or (own.get(suffix) if stem else None):
        return replace(BY_INDEX.get(symbol) or BY_SUFFIX.get(suffix) or Market(calendar=code), calendar=code)
    if symbol in BY_INDEX:
        return BY_INDEX[symbol]
    if symbol.endswith("=X"):
        return Market(calendar="24/5")
    if symbol.endswith("=F"):
        return Market(calendar="CMES")
    if match := _CRYPTO.fullmatch(symbol):
        return Market(calendar="24/7", currency=match[1])
    if symbol.count(".PR.") and _SHARE_CLASS.fullmatch(symbol):
        return Market(calendar=exchange)
    if stem and suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if not symbol.startswith("^") and "=" not in symbol and (not stem or _SHARE_CLASS.fullmatch(symbol)):
        return Market(calendar=exchange)
    raise BadSymbol(_refusal(symbol, suffix if stem else ""))


def refusals(symbols: Iterable[str], exchange: str, mapped: Mapped = ()) -> dict[str, str]:
    """Return the reason for each of the symbols whose market is not known."""
    found = {}
    for symbol in symbols:
        try:
            market_of(symbol, exchange, mapped)
        except BadSymbol as error:
            found[symbol] = str(error).removeprefix(f"{symbol}: ")
    return found


def parse_mapped(value: str | Mapping[str, str] | Iterable[tuple[str, str]]) -> Mapped:
    """Return the calendar of each suffix or index in a setting such as `SR=XSAU,^TASI=XSAU`, sorted.

    Raises ValueError for anything else, and for a code that is not a calendar.
    """
    pairs = (
        [_pair(part) for part in value.replace(" ", ",").split(",") if part.strip()]
        if isinstance(value, str)
        else [(str(key), str(code)) for key, code in (value.items() if isinstance(value, Mapping) else value)]
    )
    if not pairs:
        return ()
    known = _known()
    found: dict[str, str] = {}
    for key, code in ((key.strip().upper().removeprefix("."), code.strip()) for key, code in pairs):
        name = known.get(code.upper())
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is neither a suffix such as SR nor an index such as ^TASI")
        if name is None:
            raise ValueError(f"{key}={code}: {code!r} is not a calendar; use a code such as XSAU, or 24/5 for weekdays")
        if found.setdefault(key, name) != name:
            raise ValueError(f"{key} is mapped to two calendars, {found[key]} and {name}")
    return tuple(sorted(found.items()))


def _pair(text: str) -> tuple[str, str]:
    key, equals, code = text.rpartition("=")
    if not equals or not key or not code:
        raise ValueError(f"{text!r} is not SUFFIX=CALENDAR, such as SR=XSAU")
    return key, code


@lru_cache(maxsize=1)
def _known() -> dict[str, str]:
    return {code.upper(): code for code in known_calendars()}


def _refusal(symbol: str, suffix: str) -> str:
    if symbol.startswith("^") and not suffix:
        return (
            f"{symbol}: the market of this index is not known; name its calendar, such as "
            f"PIPELINE_MARKETS={symbol}=XNYS (--markets), or leave it out"
        )
    if "=" in symbol and not suffix:
        kind = symbol.rpartition("=")[2]
        return f"{symbol}: ={kind} is neither =X (a currency pair) nor =F (a future); leave it out"
    place = WITHOUT_CALENDAR.get(suffix)
    why = (
        f"there is no calendar of the exchange of .{suffix} ({place})"
        if place
        else f"the suffix .{suffix} belongs to no market that is known"
    )
    return (
        f"{symbol}: {why}; name a calendar, such as PIPELINE_MARKETS={suffix}=24/5 (--markets; 24/5 is every weekday), "
        "or leave it out"
    )
