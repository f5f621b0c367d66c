"""Columns of numbers as people and vendors write them, read by one convention for the column or not at all.

Which of `.` and `,` is the decimal sign is told by the cells in which it can be only one of them: first of the column,
then of the file. Where nothing tells, the file is refused: `1.234` is either of two numbers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import BadFile
from pipeline.prices.sources.files.raw import as_text, coded, is_text

Decimal = Literal["", "point", "comma"]
SETTING = "PIPELINE_FILES_DECIMAL (--files-decimal)"

# Programs write these for a value that is missing; `n/a`, `-` and the like are what people write, and are quoted.
_MISSING = ("", "nan", "null", "none", "<na>", "nat")
_SIGNS = "$€£¥₹₩₽₺₫฿₪₱₦₴₸"
_CODES = "|".join(
    [
        "USD",
        "EUR",
        "GBP",
        "JPY",
        "CHF",
        "CNY",
        "CNH",
        "RMB",
        "HKD",
        "INR",
        "AUD",
        "CAD",
        "NZD",
        "SEK",
        "NOK",
        "DKK",
        "ISK",
        "PLN",
        "CZK",
        "HUF",
        "RON",
        "TRY",
        "RUB",
        "ZAR",
        "ILS",
        "SAR",
        "AED",
        "QAR",
        "KWD",
        "EGP",
        "BRL",
        "MXN",
        "CLP",
        "ARS",
        "COP",
        "PEN",
        "KRW",
        "TWD",
        "SGD",
        "MYR",
        "IDR",
        "THB",
        "PHP",
        "VND",
        "PKR",
        "USDT",
        "USDC",
        "BTC",
        "ETH",
    ]
)
_MONEY = re.compile(rf"^(?:[A-Z]{{0,3}}[{_SIGNS}]|(?:{_CODES})(?=[\s\d+-]))\s*|\s*(?:[{_SIGNS}]|(?:{_CODES}))$")
_SCALE = {"k": 3, "m": 6, "mn": 6, "mm": 6, "b": 9, "bn": 9, "t": 12, "tn": 12}
_SCALED = re.compile(r"(?<=[\d.])\s*(k|mn|mm|m|bn|b|tn|t)$", re.IGNORECASE)
_SPACES = re.compile(r"(?<=\d)[\s'’_](?=\d{3}(?!\d))")
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_GROUPED = {
    sign: re.compile(rf"[+-]?\d{{1,3}}(?:{re.escape(sign)}\d{{2,3}})*{re.escape(sign)}\d{{3}}") for sign in ".,"
}
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
# What shows, in cells that are plain numbers, that a point is a decimal point, and that thousands are not separated.
_TELLS_POINT = r"^[+-]?(0|\d{4,})?\.\d|\.(\d{1,2}|\d{4,})$|[eE]"
_TELLS_PLAIN = r"^[+-]?\d{4,}"


@dataclass(kw_only=True)
class _Evidence:
    point: bool = False  # a decimal point, or a comma between thousands
    comma: bool = False  # a decimal comma, or a point between thousands
    ungrouped: bool = False  # thousands that nothing separates
    doubtful: str = ""  # a cell that can be either

    def __or__(self, other: "_Evidence") -> "_Evidence":
        return _Evidence(
            point=self.point or other.point,
            comma=self.comma or other.comma,
            ungrouped=self.ungrouped or other.ungrouped,
        )


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Columns as numbers: NaN where a cell is blank, and where it is none, which `unreadable` quotes by row."""

    values: dict[str, NDArray[np.float64]]
    unreadable: dict[str, dict[int, str]] = field(default_factory=dict)
    commas: bool = False  # decimal commas were read


@dataclass(frozen=True, kw_only=True)
class _Column:
    values: NDArray[np.float64]
    odd: dict[str, NDArray[np.int64]]  # texts that are no plain number, and their rows
    evidence: _Evidence


def parse_numbers(
    name: str, columns: Mapping[str, pa.ChunkedArray], decimal: Decimal, *, points_are_decimal: bool = False
) -> Numbers:
    """Return the columns as numbers. Raises BadFile where the decimal sign of one cannot be told."""
    read = {title: _column(name, title, column) for title, column in columns.items()}
    file = _Evidence(point=points_are_decimal)
    for one in read.values():
        file |= one.evidence
    values, unreadable, commas = {}, {}, False
    for title, one in read.items():
        sign = _decimal_sign(name, title, one.evidence, file, decimal)
        commas = commas or (sign == "," and bool(one.odd))
        values[title], faults = _settled(one, sign, columns[title])
        if faults:
            unreadable[title] = faults
    return Numbers(values=values, unreadable=unreadable, commas=commas)


def _column(name: str, title: str, column: pa.ChunkedArray) -> _Column:
    if not is_text(column):
        values = _typed(column)
        if values is None:
            raise BadFile(f"{name}: column {title} holds {column.type}, not numbers; write it as numbers")
        return _Column(values=values, odd={}, evidence=_Evidence())
    text = as_text(column)
    plain = pc.match_substring_regex(text, rf"^(?:{_PLAIN.pattern})$")
    numbers = pc.cast(pc.if_else(plain, text, pa.scalar(None, pa.string())), pa.float64())
    values = np.asarray(pc.fill_null(numbers, np.nan).to_numpy(), float).copy()
    rest = np.flatnonzero(~np.asarray(plain.to_numpy(), bool))
    evidence = _plain_evidence(text)
    odd: dict[str, NDArray[np.int64]] = {}
    if len(rest):
        texts, codes = coded(text.take(pa.array(rest)))
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(texts)))[:-1]
        for code, rows in zip(texts, np.split(rest[order], ends), strict=True):
            if code.casefold() not in _MISSING:
                odd[code] = rows
                evidence = _with(evidence, code)
    return _Column(values=values, odd=odd, evidence=evidence)


def _typed(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    try:
        numbers = pc.cast(column, pa.float64(), safe=False)
    except pa.ArrowException:
        return None
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(), float).copy()


def _plain_evidence(text: pa.ChunkedArray) -> _Evidence:
    """Return what the plain numbers of a column tell; the first chunk that tells is enough."""
    evidence = _Evidence()
    for chunk in text.chunks:
        for pattern, what in ((_TELLS_POINT, "point"), (_TELLS_PLAIN, "ungrouped")):
            if not getattr(evidence, what) and pc.any(pc.match_substring_regex(chunk, pattern)).as_py():
                setattr(evidence, what, True)
        if not evidence.doubtful:
            found = chunk.filter(pc.match_substring_regex(chunk, r"^[+-]?[1-9]\d{0,2}\.\d{3}$"))
            evidence.doubtful = found[0].as_py() if len(found) else ""
        if evidence.point and evidence.ungrouped:
            break
    return evidence


def _with(evidence: _Evidence, text: str) -> _Evidence:
    """Return the evidence with that of one cell which is no plain number."""
    bare = _bare(text)
    found = _Evidence(doubtful=evidence.doubtful)
    if bare is None:
        return evidence
    number, spaced = bare
    points, commas = number.count("."), number.count(",")
    if points and commas:
        last = "point" if number.rfind(".") > number.rfind(",") else "comma"
        setattr(found, last, True)
    elif points + commas > 1:  # only thousands are separated more than once
        setattr(found, "comma" if points else "point", True)
    elif points + commas:
        sign = "." if points else ","
        before, _, after = number.lstrip("+-").partition(sign)
        if spaced or len(after) != 3 or len(before) > 3 or before in ("", "0"):
            setattr(found, "point" if points else "comma", True)
        elif not found.doubtful:
            found.doubtful = text
    elif len(number.lstrip("+-")) > 3 and not spaced:
        found.ungrouped = True
    joined = evidence | found
    joined.doubtful = found.doubtful
    return joined


def _decimal_sign(name: str, title: str, own: _Evidence, file: _Evidence, decimal: Decimal) -> str:
    """Return the decimal sign of a column, or nothing where only cells that tell by themselves can be read."""
    if decimal:
        return "." if decimal == "point" else ","
    for evidence in (own, file):
        if evidence.point != evidence.comma:
            return "." if evidence.point else ","
        if evidence.point:
            return ""
    if not own.doubtful:
        return "."
    if own.ungrouped or file.ungrouped:  # thousands are not separated, so the one sign there is the decimal sign
        return "," if "," in own.doubtful else "."
    sign = "," if "," in own.doubtful else "."
    digits = re.sub(r"\D", "", own.doubtful)
    raise BadFile(
        f"{name}: column {title}: {own.doubtful!r} is {own.doubtful.replace(',', '.')} or {digits}, and no cell tells "
        f"whether {sign!r} is the decimal sign; set {SETTING} to point or comma"
    )


def _settled(one: _Column, sign: str, column: pa.ChunkedArray) -> tuple[NDArray[np.float64], dict[int, str]]:
    values = one.values
    faults: dict[int, str] = {}
    odd = one.odd
    if sign != "." and is_text(column):  # a plain `1.234` is not one and a quarter where commas are decimal
        odd = odd | _with_points(as_text(column))
    for text, rows in odd.items():
        number = number_of(text, sign)
        values[rows] = np.nan if number is None else number
        if number is None:
            doubt = "can be read as two numbers" if not sign and _bare(text) else "is not a number"
            faults |= dict.fromkeys(rows.tolist(), f"{text!r} {doubt}")
    return values, faults


def _with_points(text: pa.ChunkedArray) -> dict[str, NDArray[np.int64]]:
    rows = np.flatnonzero(np.asarray(pc.match_substring_regex(text, r"^[+-]?\d+\.\d+$").to_numpy(), bool))
    texts, codes = coded(text.take(pa.array(rows)))
    return {one: rows[codes == code] for code, one in enumerate(texts)}


def number_of(text: str, sign: str) -> float | None:
    """Return the number that a cell is where `sign` is the decimal sign, None where it is none.

    Without a sign only cells are read in which `.` and `,` can be nothing else.
    """
    if _INFINITE.fullmatch(text):
        return float(text)
    bare = _bare(text)
    if bare is None:
        return None
    number, _ = bare
    power = _power(text)
    negative = text.startswith("(")
    plain = _plain(number, sign or _own_sign(number))
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
    return plain if _PLAIN.fullmatch(plain) else None


def _own_sign(number: str) -> str:
    told = _with(_Evidence(), number)
    if told.point == told.comma:
        return "" if told.doubtful or told.point else "."
    return "." if told.point else ","


def _bare(text: str) -> tuple[str, bool] | None:
    """Return a cell without currency, suffix, brackets and spaces, and whether spaces parted its thousands."""
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
