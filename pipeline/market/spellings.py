"""Yahoo's spelling of a symbol in the notation of another vendor: a suggestion for an error message.

Nothing is corrected silently: one symbol can mean different listings. Unrecognized text gets no suggestion.
"""

import re
from collections.abc import Callable

# Exchanges as TradingView, Google, Bloomberg (two letters), Stooq, Refinitiv and ISO 10383 name them → Yahoo's suffix.
_UNITED_STATES = (
    "NASDAQ NYSE AMEX NYSEARCA NYSEAMERICAN ARCA BATS CBOE OTC OTCMKTS XNAS XNYS XASE ARCX US UN UQ UW UA UP UR UV N O "
    "OQ P K PK"
)
_ELSEWHERE = {
    "AS": "AMS XAMS EURONEXTAMSTERDAM NA",
    "AX": "ASX XASX AU AT",
    "BO": "BOM BSE XBOM IB",
    "BR": "EBR XBRU BB",
    "CO": "CPH OMXCOP XCSE DC",
    "DE": "ETR XETR XETRA GR GY",
    "F": "FRA FWB XFRA GF",
    "HE": "HEL OMXHEX XHEL FH",
    "HK": "HKG HKEX SEHK XHKG",
    "JO": "JSE XJSE SJ",
    "KS": "KRX XKRX KP",
    "L": "LON LSE XLON LN UK",
    "LS": "ELI XLIS PL",
    "MC": "BME XMAD SM",
    "MI": "BIT MIL XMIL IM",
    "NS": "NSE XNSE IS IN",
    "NZ": "NZE NZX XNZE",
    "OL": "OSL OSE XOSL NO",
    "PA": "EPA XPAR FP",
    "SA": "BVMF BMFBOVESPA BZ BS",
    "SI": "SGX XSES SP",
    "SS": "SHA SSE XSHG CG SH",
    "ST": "STO OMXSTO XSTO",
    "SW": "SWX SIX XSWX SE SW VX",
    "SZ": "SHE SZSE XSHE CS",
    "T": "TYO TSE XTKS JP JT",
    "TO": "TSX XTSE CN CT CA",
    "TW": "TPE TWSE XTAI TT",
    "V": "CVE TSXV XTSX CV",
    "VI": "VIE XWBO AV",
    "WA": "WSE GPW XWAR PW",
}
_SUFFIX_OF = dict.fromkeys(_UNITED_STATES.split(), "") | {
    name: f".{suffix}" for suffix, names in _ELSEWHERE.items() for name in names.split()
}
_BLOOMBERG_CODES = frozenset(name for name in _SUFFIX_OF if len(name) == 2) | {"SS"}
# More suffixes of Yahoo, some with another meaning above: a symbol with one of these is not changed.
_MORE_SUFFIXES = (
    "AE AT BA BC BD BE BK BM CA CL CN CR DU EG HA HM IC IL IR IS JK KL KQ KW MU MX NE NX PR PS QA RG RO SG SN SR TA TL "
    "TWO VN VS XA XC XD"
)
_YAHOO_SUFFIXES = frozenset(_ELSEWHERE) | frozenset(_MORE_SUFFIXES.split())
_DIGITS = {".HK": 4, ".SZ": 6, ".SS": 6, ".KS": 6}
_INDICES = {
    "SPX": "^GSPC", "INX": "^GSPC", "SP500": "^GSPC", "DJI": "^DJI", "DJIA": "^DJI", "INDU": "^DJI", "IXIC": "^IXIC",
    "CCMP": "^IXIC", "COMP": "^IXIC", "NDX": "^NDX", "RUT": "^RUT", "RTY": "^RUT", "VIX": "^VIX", "FTSE": "^FTSE",
    "UKX": "^FTSE", "DAX": "^GDAXI", "CAC": "^FCHI", "CAC40": "^FCHI", "NKY": "^N225", "N225": "^N225",
    "NI225": "^N225", "HSI": "^HSI", "SX5E": "^STOXX50E", "STOXX50E": "^STOXX50E", "NIFTY": "^NSEI", "SENSEX": "^BSESN",
}  # fmt: skip
_MONEY = "USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|BRL|CNY|CNH|HKD|SGD|KRW|INR"
_COINS = "BTC|ETH|SOL|XRP|ADA|DOGE|LTC|BCH|DOT|AVAX|LINK|BNB"
_PAIR = re.compile(rf"(?P<what>{_MONEY}|(?P<coin>{_COINS}))[-/_ ]?(?P<money>{_MONEY})")
_CLASS = r"(?P<name>[A-Z]{1,5})(?:[./_ ]|\.CL\.)(?P<letter>[A-Z])"
_PREFERRED = re.compile(r"(?P<name>[A-Z]{1,5})(?:[./ ^_-]?PR[./ _-]?|\^|/P)(?P<letter>[A-Z])")
_BLOOMBERG = re.compile(r"(?P<name>[A-Z0-9/.]+) (?P<exchange>[A-Z]{2})(?: EQUITY)?")


def suggestion(text: str) -> str:
    """Return "; Yahoo's spelling is BRK-B" for another vendor's spelling, or "" where none is recognized."""
    if found := yahoo_spelling(text):
        return f"; Yahoo's spelling is {found}"
    if text in _BLOOMBERG_CODES:  # a list of symbols is split at spaces, so this part stands alone
        return f"; an exchange code after a space is Bloomberg's: what is `VOD {text}` there is {_vod(text)} at Yahoo"
    return ""


def _vod(code: str) -> str:
    return _bloomberg(f"VOD {code}") or "VOD"


def yahoo_spelling(text: str) -> str | None:
    """Return Yahoo's spelling of the symbol in `text`, None if it is already that or not recognized."""
    written = " ".join(text.upper().split()).removeprefix("$")
    readings: tuple[Callable[[str], str | None], ...] = (
        _index, _pair, _prefixed, _bloomberg, _preferred, _suffixed, _share_class, _future, _plain,
    )  # fmt: skip
    found = next((reading for read in readings if (reading := read(written))), None)
    return None if found == text.strip().upper() else found


def _plain(text: str) -> str | None:
    return text if re.fullmatch(r"[A-Z]{1,5}", text) else None


def _index(text: str) -> str | None:
    return _INDICES.get(text.removesuffix(" INDEX").lstrip("^.$"))


def _pair(text: str) -> str | None:
    match = _PAIR.fullmatch(text.removeprefix("FX:"))
    if match is None:
        return None
    return f"{match['coin']}-{match['money']}" if match["coin"] else f"{match['what']}{match['money']}=X"


def _prefixed(text: str) -> str | None:
    """`NASDAQ:AAPL`. `TSE:` is Tokyo for numbers and Toronto for letters."""
    exchange, colon, name = text.partition(":")
    if not colon:
        return None
    name = name.strip()
    if exchange == "TSE" and not name[:1].isdigit():
        exchange = "TSX"
    return _listed(name, _SUFFIX_OF.get(exchange.replace(" ", "")))


def _bloomberg(text: str) -> str | None:
    """`AAPL US`, `BRK/B US Equity`. `SS` is Stockholm there, `HK` has no leading zeros."""
    match = _BLOOMBERG.fullmatch(text)
    if match is None:
        return None
    suffix = {"SS": ".ST", "HK": ".HK", "CH": ".SS", "NZ": ".NZ", "KS": ".KS"}.get(match["exchange"])
    name = match["name"]
    if suffix == ".ST" or match["exchange"] == "DC":  # share classes are glued on there
        name = re.sub(r"([A-Z]{3,})([AB])", r"\1-\2", name)
    return _listed(name, _SUFFIX_OF.get(match["exchange"]) if suffix is None else suffix)


def _suffixed(text: str) -> str | None:
    """`AAPL.US`, `AAPL.OQ`, `BP.UK`, `RCI.B.TO`, `700.HK`."""
    name, dot, exchange = text.rpartition(".")
    if not dot:
        return None
    own = f".{exchange}" if exchange in _YAHOO_SUFFIXES else None
    return _listed(name, own or _SUFFIX_OF.get(exchange))


def _listed(name: str, suffix: str | None) -> str | None:
    if suffix is None or not re.fullmatch(r"[A-Z0-9]+(?:[./_-][A-Z0-9]+)*", name):
        return None
    if name.isdigit():
        name = name.zfill(_DIGITS.get(suffix, 0))
    share = None if suffix else _preferred(name)
    return (share or re.sub(r"[./_]", "-", name)) + suffix


def _share_class(text: str) -> str | None:
    match = re.fullmatch(_CLASS, text)
    if match is None or match["letter"] in _YAHOO_SUFFIXES:
        return None
    return f"{match['name']}-{match['letter']}"


def _preferred(text: str) -> str | None:
    if match := _PREFERRED.fullmatch(text):
        return f"{match['name']}-P{match['letter']}"
    if match := re.fullmatch(r"([A-Z]{1,5})[./ ](WS|WT|UN)", text):
        return f"{match[1]}-{match[2].replace('WS', 'WT')}"
    return None


def _future(text: str) -> str | None:
    match = re.fullmatch(r"([A-Z]{1,3})[12]!", text)
    return f"{match[1]}=F" if match else None
