"""Columns of numbers as people and vendors write them, parsed by one convention per column or not at all.

Which of `.` and `,` is the decimal separator follows from the cells that allow only one of them: first of the column,
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
from pipeline.prices.sources.files.cells import MISSING, PLAIN, bare_of, number_of
from pipeline.prices.sources.files.evidence import Evidence, of_plain
from pipeline.prices.sources.files.raw import as_text, coded, is_text

Decimal = Literal["", "point", "comma"]
SETTING = "PIPELINE_FILES_DECIMAL (--files-decimal)"


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Columns as numbers: NaN where a cell is blank or not a number; `unreadable` quotes the latter by row."""

    values: dict[str, NDArray[np.float64]]
    unreadable: dict[str, dict[int, str]] = field(default_factory=dict)
    commas: bool = False  # decimal commas were read


@dataclass(frozen=True, kw_only=True)
class _Column:
    values: NDArray[np.float64]
    odd: dict[str, NDArray[np.int64]]  # texts that are no plain number, and their rows
    evidence: Evidence


def parse_numbers(
    name: str, columns: Mapping[str, pa.ChunkedArray], decimal: Decimal, *, points_are_decimal: bool = False
) -> Numbers:
    """Return the columns as numbers. Raises BadFile if the decimal separator of one is ambiguous."""
    read = {title: _column(name, title, column) for title, column in columns.items()}
    file = Evidence()
    for one in read.values():
        file.add(one.evidence)
    default: Decimal = "point" if points_are_decimal and file.sign is None else ""
    values, unreadable, commas = {}, {}, False
    for title, one in read.items():
        sign = _decimal_sign(name, title, one.evidence, file, decimal or default)
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
        return _Column(values=values, odd={}, evidence=Evidence())
    text = as_text(column)
    values, rest = _plain_values(text)
    evidence = of_plain(text)
    odd: dict[str, NDArray[np.int64]] = {}
    if len(rest):
        texts, codes = coded(text.take(pa.array(rest)))
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(texts)))[:-1]
        for code, rows in zip(texts, np.split(rest[order], ends), strict=True):
            if code.casefold() not in MISSING:
                odd[code] = rows
                evidence.see(code, len(rows))
    return _Column(values=values, odd=odd, evidence=evidence)


def _plain_values(text: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a column as numbers, NaN where a cell is not a plain number, and those rows."""
    try:  # most columns hold nothing else
        return np.asarray(pc.cast(text, pa.float64()).to_numpy(), float).copy(), np.zeros(0, np.int64)
    except pa.ArrowInvalid:
        plain = pc.match_substring_regex(text, rf"^(?:{PLAIN.pattern})$")
    numbers = pc.cast(pc.if_else(plain, text, pa.scalar(None, pa.string())), pa.float64())
    values = np.asarray(pc.fill_null(numbers, np.nan).to_numpy(), float).copy()
    return values, np.flatnonzero(~np.asarray(plain.to_numpy(), bool))


def _typed(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    try:
        numbers = pc.cast(column, pa.float64(), safe=False)
    except pa.ArrowException:
        return None
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(), float).copy()


def _decimal_sign(name: str, title: str, own: Evidence, file: Evidence, decimal: Decimal) -> str:
    """Return the decimal separator of a column, or an empty string if only unambiguous cells can be parsed."""
    if decimal:
        return "." if decimal == "point" else ","
    for sign in (own.sign, file.sign):
        if sign is not None:
            return sign
    if not own.doubtful:
        return "."
    if own.ungrouped or file.ungrouped:  # thousands are not separated, so the one sign there is the decimal separator
        return "," if "," in own.doubtful else "."
    sign = "," if "," in own.doubtful else "."
    digits = re.sub(r"\D", "", own.doubtful)
    raise BadFile(
        f"{name}: column {title}: {own.doubtful!r} is {own.doubtful.replace(',', '.')} or {digits}, and no cell tells "
        f"whether {sign!r} is the decimal separator; set {SETTING} to point or comma"
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
            doubt = "can be read as two numbers" if not sign and bare_of(text) else "is not a number"
            faults |= dict.fromkeys(rows.tolist(), f"{text!r} {doubt}")
    return values, faults


def _with_points(text: pa.ChunkedArray) -> dict[str, NDArray[np.int64]]:
    rows = np.flatnonzero(np.asarray(pc.match_substring_regex(text, r"^[+-]?\d+\.\d+$").to_numpy(), bool))
    texts, codes = coded(text.take(pa.array(rows)))
    return {one: rows[codes == code] for code, one in enumerate(texts)}
