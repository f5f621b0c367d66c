"""Numbers in single cells, if the decimal separator is known or the cell shows it."""

import re

# Programs write these for a missing value; `n/a`, `-` and the like are written by people, and are reported.
MISSING = ("", "nan", "null", "none", "<na>", "nat")
_SIGNS = "$€£¥₹₩₽₺₫฿₪₱₦₴₸"
_CODES = (
    "USD|EUR|GBP|JPY|CHF|CNY|CNH|RMB|HKD|INR|AUD|CAD|NZD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|TRY|RUB|ZAR|ILS|SAR|AED|QAR|KWD"
    "|EGP|BRL|MXN|CLP|ARS|COP|PEN|KRW|TWD|SGD|MYR|IDR|THB|PHP|VND|PKR|USDT|USDC|BTC|ETH"
)
_MONEY = re.compile(rf"^(?:[A-Z]{{0,3}}[{_SIGNS}]|(?:{_CODES})(?=[\s\d+-]))\s*|\s*(?:[{_SIGNS}]|(?:{_CODES}))$")
_SCALE = {"k": 3, "m": 6, "mn": 6, "mm": 6, "b": 9, "bn": 9, "t": 12, "tn": 12}
_SCALED = re.compile(r"(?<=[\d.])\s*(k|mn|mm|m|bn|b|tn|t)$", re.IGNORECASE)
_SPACES = re.compile(r"(?<=\d)[\s'’_](?=\d{3}(?!\d))")
PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_GROUPED = {
    sign: re.compile(rf"[+-]?\d{{1,3}}(?:{re.escape(sign)}\d{{2,3}})*{re.escape(sign)}\d{{3}}") for sign in ".,"
}
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def number_of(text: str, sign: str) -> float | None:
    """Return the number in a cell with the decimal separator `sign`, None if it is not a number.

    Without a sign only cells are read in which `.` and `,` can be nothing else.
    """
    if _INFINITE.fullmatch(text):
        return float(text)
    bare = bare_of(text)
    if bare is None:
        return None
    number, _ = bare
    power = _power(text)
    negative = text.startswith("(")
    plain = _plain(number, sign or own_sign(number))
    if plain is None:
        return None
    value = float(f"{plain}e{power}") if power else float(plain)
    return -value if negative else value


def _plain(number: str, sign: str) -> str | None:
    other = "," if sign == "." else "."
    whole, found, decimals = number.partition(sign) if sign else (number, "", "")
    if not sign and ("." in number or "," in number):
        return None
    if sign and (other in decimals or sign in decimals):
        return None
    if other in whole:
        if not _GROUPED[other].fullmatch(whole):
            return None
        whole = whole.replace(other, "")
    plain = f"{whole}.{decimals}" if found else whole
    return plain if PLAIN.fullmatch(plain) else None


def bare_of(text: str) -> tuple[str, bool] | None:
    """Return a cell without currency, suffix, brackets and spaces, and whether spaces separate its thousands."""
    bare = text.strip().replace("−", "-").replace("‒", "-").replace("–", "-")
    if bare.startswith("(") and bare.endswith(")"):
        bare = bare[1:-1].strip()
        if bare.startswith("-"):
            return None
    minus = bare.startswith("-")
    bare = bare.removeprefix("-").strip() if minus else bare
    bare = _MONEY.sub("", bare, count=1).strip()
    bare = _SCALED.sub("", bare).strip()
    spaced = bool(_SPACES.search(bare))
    bare = _SPACES.sub("", bare)
    if not bare or not re.fullmatch(r"[+-]?[\d.,]+(?:[eE][+-]?\d+)?", bare) or not re.search(r"\d", bare):
        return None
    if minus and bare.startswith(("+", "-")):
        return None
    return ("-" + bare if minus else bare), spaced


def _power(text: str) -> int:
    bare = _MONEY.sub("", text.strip().rstrip(")")).strip()
    found = _SCALED.search(bare)
    return _SCALE[found[1].lower()] if found else 0


def own_sign(number: str) -> str:
    """Return the decimal separator that a number without a suffix shows by itself, or an empty string."""
    points, commas = number.count("."), number.count(",")
    if not points + commas:
        return "."
    if points and commas:
        return "." if number.rfind(".") > number.rfind(",") else ","
    sign = "." if points else ","
    if points + commas > 1:  # only thousands are separated more than once
        return ("," if points else ".") if _GROUPED[sign].fullmatch(number) else ""
    before, _, after = number.lstrip("+-").partition(sign)
    return sign if len(after) != 3 or len(before) > 3 or before in ("", "0") else ""
