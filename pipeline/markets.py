"""Which market a symbol is traded on: its calendar and its currency, by Yahoo's conventions for symbols.

A suffix after a dot names the exchange (`BP.L`, `7203.T`), `-USD` a crypto pair that never closes, `=X` a currency
pair, `=F` a future, `^` an index. A symbol without any of these is traded where the settings say.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Market:
    """Where a symbol is traded."""

    calendar: str  # code of exchange_calendars
    currency: str = ""  # of its prices, the minor unit spelled as the vendor does (GBp); empty where it varies


# exchange_calendars cannot make the calendars of Athens and Tel Aviv on pandas 3.1: there every weekday counts as a
# session. A holiday is then a gap, and Tel Aviv's Sundays (until 2025) lie off the calendar, which quality notes.
_WEEKDAYS = "24/5"
# Lots as they are quoted: London in pence, Johannesburg in cents, Tel Aviv in agorot.
_BY_SUFFIX = {
    "AS": Market(calendar="XAMS", currency="EUR"),
    "AT": Market(calendar=_WEEKDAYS, currency="EUR"),
    "AX": Market(calendar="XASX", currency="AUD"),
    "BO": Market(calendar="XBOM", currency="INR"),
    "BR": Market(calendar="XBRU", currency="EUR"),
    "CO": Market(calendar="XCSE", currency="DKK"),
    "DE": Market(calendar="XETR", currency="EUR"),
    "F": Market(calendar="XFRA", currency="EUR"),
    "HE": Market(calendar="XHEL", currency="EUR"),
    "HK": Market(calendar="XHKG", currency="HKD"),
    "IC": Market(calendar="XICE", currency="ISK"),
    "IR": Market(calendar="XDUB", currency="EUR"),
    "IS": Market(calendar="XIST", currency="TRY"),
    "JK": Market(calendar="XIDX", currency="IDR"),
    "JO": Market(calendar="XJSE", currency="ZAc"),
    "KL": Market(calendar="XKLS", currency="MYR"),
    "KQ": Market(calendar="XKRX", currency="KRW"),
    "KS": Market(calendar="XKRX", currency="KRW"),
    "L": Market(calendar="XLON", currency="GBp"),
    "LS": Market(calendar="XLIS", currency="EUR"),
    "MC": Market(calendar="XMAD", currency="EUR"),
    "MI": Market(calendar="XMIL", currency="EUR"),
    "MX": Market(calendar="XMEX", currency="MXN"),
    "NS": Market(calendar="XBOM", currency="INR"),
    "NZ": Market(calendar="XNZE", currency="NZD"),
    "OL": Market(calendar="XOSL", currency="NOK"),
    "PA": Market(calendar="XPAR", currency="EUR"),
    "PR": Market(calendar="XPRA", currency="CZK"),
    "SA": Market(calendar="BVMF", currency="BRL"),
    "SI": Market(calendar="XSES", currency="SGD"),
    "SN": Market(calendar="XSGO", currency="CLP"),
    "SS": Market(calendar="XSHG", currency="CNY"),
    "ST": Market(calendar="XSTO", currency="SEK"),
    "SW": Market(calendar="XSWX", currency="CHF"),
    "SZ": Market(calendar="XSHG", currency="CNY"),
    "T": Market(calendar="XTKS", currency="JPY"),
    "TA": Market(calendar=_WEEKDAYS, currency="ILA"),
    "TO": Market(calendar="XTSE", currency="CAD"),
    "TW": Market(calendar="XTAI", currency="TWD"),
    "TWO": Market(calendar="XTAI", currency="TWD"),
    "V": Market(calendar="XTSE", currency="CAD"),
    "VI": Market(calendar="XWBO", currency="EUR"),
    "WA": Market(calendar="XWAR", currency="PLN"),
}
_INDICES = {
    "^AXJO": Market(calendar="XASX", currency="AUD"),
    "^BVSP": Market(calendar="BVMF", currency="BRL"),
    "^DJI": Market(calendar="XNYS", currency="USD"),
    "^FCHI": Market(calendar="XPAR", currency="EUR"),
    "^FTSE": Market(calendar="XLON", currency="GBP"),
    "^GDAXI": Market(calendar="XETR", currency="EUR"),
    "^GSPC": Market(calendar="XNYS", currency="USD"),
    "^GSPTSE": Market(calendar="XTSE", currency="CAD"),
    "^HSI": Market(calendar="XHKG", currency="HKD"),
    "^IXIC": Market(calendar="XNYS", currency="USD"),
    "^KS11": Market(calendar="XKRX", currency="KRW"),
    "^N225": Market(calendar="XTKS", currency="JPY"),
    "^RUT": Market(calendar="XNYS", currency="USD"),
    "^STOXX50E": Market(calendar="XETR", currency="EUR"),
    "^VIX": Market(calendar="XNYS", currency="USD"),
}
_CRYPTO = re.compile(r".+-(USD|USDT|USDC|EUR|GBP|JPY|CAD|AUD|KRW|INR|BTC|ETH)")


def market_of(symbol: str, exchange: str) -> Market:
    """Return the market of a symbol; one that names none is traded on `exchange`, a calendar code."""
    if symbol in _INDICES:
        return _INDICES[symbol]
    if symbol.endswith("=X"):
        return Market(calendar="24/5")
    if symbol.endswith("=F"):
        return Market(calendar="CMES")
    if match := _CRYPTO.fullmatch(symbol):
        return Market(calendar="24/7", currency=match[1])
    _, dot, suffix = symbol.rpartition(".")
    return _BY_SUFFIX.get(suffix, Market(calendar=exchange)) if dot else Market(calendar=exchange)
