"""Formats of dates and the text that each of them parses; `dates` decides which one a column has."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

# Wall time, and minutes east of Greenwich where the text says so.
Moment = tuple[datetime, int | None]
Parse = Callable[[str, int], Moment | None]  # text, last year that two digits may mean

_TIME = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?\s*(?P<zone>[Zz]|[A-Z]{3,4}|[+-]\d{2}(?::?\d{2})?)?"
)
_DAY_NAME = r"(?:[A-Za-z]{3,9},?\s+)?"
_ISO = re.compile(r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})" + _TIME)
_WHOLE = re.compile(r"(?P<year>(?:1[89]|2[01])\d{2})(?P<month>\d{2})(?P<day>\d{2})(?:\.0*)?" + _TIME)
_WHOLE_WITH_TIME = re.compile(
    r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})"
)
_THREE = re.compile(r"(?P<a>\d{1,2})\s*(?P<sign>[-/.])\s*(?P<b>\d{1,2})\s*(?P=sign)\s*(?P<c>\d{4}|\d{2})" + _TIME)
_NAME_INSIDE = re.compile(
    _DAY_NAME + r"(?P<a>\d{1,4})(?:st|nd|rd|th)?[-/. ,]*(?P<name>[A-Za-z]{3,9})\.?[-/. ,]*(?P<c>\d{1,4})" + _TIME
)
_NAME_FIRST = re.compile(
    _DAY_NAME + r"(?P<name>[A-Za-z]{3,9})\.?[-/ ]*(?P<a>\d{1,2})(?:st|nd|rd|th)?[-/, ]+(?P<c>\d{4}|\d{2})" + _TIME
)
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d*)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
    *("november", "december", "sept"),
)
_UNIX, _EXCEL = datetime(1970, 1, 1), datetime(1899, 12, 30)


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of dates: its name, and a parser that returns a moment or None."""

    name: str
    parse: Parse
    order: str = ""  # the setting that selects it where another format parses the same text
    daily: bool = False  # rare, so considered only if the dates are consecutive


def formats() -> tuple[Format, ...]:
    """Return all formats except those of a setting."""
    return _ALL


def strptime_format(pattern: str) -> Format:
    """Return the format of a pattern in the language of `strptime`."""

    def parse(text: str, _last_year: int) -> Moment | None:
        try:
            moment = datetime.strptime(text, pattern)
        except ValueError:
            return None
        offset = moment.utcoffset()
        return moment.replace(tzinfo=None), None if offset is None else int(offset.total_seconds() // 60)

    return Format(name=f"dates as {pattern}", parse=parse)


def _iso(text: str, _last_year: int) -> Moment | None:
    match = _ISO.fullmatch(text)
    return _moment(match, match["year"], match["month"], match["day"]) if match else None


def _whole(text: str, _last_year: int) -> Moment | None:
    match = _WHOLE.fullmatch(text) or _WHOLE_WITH_TIME.fullmatch(text)
    return _moment(match, match["year"], match["month"], match["day"]) if match else None


def _three(order: str) -> Parse:
    def parse(text: str, last_year: int) -> Moment | None:
        match = _THREE.fullmatch(text)
        if match is None or (order == "ymd" and len(match["c"]) == 4):
            return None
        part = dict(zip(order, (match["a"], match["b"], match["c"]), strict=True))
        if len(part["y"]) == 1:
            return None
        return _moment(match, _year(part["y"], last_year), part["m"], part["d"])

    return parse


def _named(order: str) -> Parse:
    def parse(text: str, last_year: int) -> Moment | None:
        match = _NAME_INSIDE.fullmatch(text)
        if match is not None:
            part = dict(zip(order, (match["a"], match["c"]), strict=True))
        elif order == "dy" and (match := _NAME_FIRST.fullmatch(text)) is not None:
            part = {"d": match["a"], "y": match["c"]}
        else:
            return None
        name = match["name"].lower()
        known = name in _MONTHS or name in _FULL
        # `01-Mar-13` ends with its year everywhere; a year in front has four digits.
        if not known or len(part["d"]) > 2 or len(part["y"]) not in ((2, 4) if order == "dy" else (4,)):
            return None
        return _moment(match, _year(part["y"], last_year), str(_MONTHS.index(name[:3]) + 1), part["d"])

    return parse


def _since(start: datetime, digits: tuple[int, ...], per_second: float) -> Parse:
    """Numbers that count from `start`; `dates` checks how many digits they have."""

    def parse(text: str, _last_year: int) -> Moment | None:
        whole = text.partition(".")[0].lstrip("-")
        if not _NUMBER.fullmatch(text) or len(whole) not in digits:
            return None
        try:
            return start + timedelta(seconds=float(text) / per_second), 0 if start == _UNIX else None
        except OverflowError:
            return None

    return parse


def _year(text: str, last_year: int) -> str:
    if len(text) == 4:
        return text
    year = last_year - last_year % 100 + int(text)
    return str(year if year <= last_year else year - 100)


def _moment(match: re.Match[str], year: str, month: str, day: str) -> Moment | None:
    groups = match.groupdict()
    hour, half = int(groups.get("hour") or 0), (groups.get("half") or "").lower()
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    try:
        wall = datetime(int(year), int(month), int(day), hour, int(groups.get("minute") or 0))
        wall += timedelta(seconds=int(groups.get("second") or 0))
    except ValueError:
        return None
    return wall, _offset(groups.get("zone"))


def _offset(zone: str | None) -> int | None:
    """Return minutes east of Greenwich; a zone by another name (EST) is that of the exchange and adds nothing."""
    if not zone:
        return None
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
        return -minutes if zone[0] == "-" else minutes
    return 0 if zone.upper() in ("Z", "UTC", "GMT") else None


_ALL = (
    Format(name="ISO dates", parse=_iso),
    Format(name="dates as YYYYMMDD", parse=_whole),
    Format(name="day-first dates", parse=_three("dmy"), order="day-first"),
    Format(name="month-first dates", parse=_three("mdy"), order="month-first"),
    Format(name="year-first dates", parse=_three("ymd"), order="year-first", daily=True),
    Format(name="dates with month names", parse=_named("dy")),
    Format(name="year-first dates with month names", parse=_named("yd")),
    Format(name="Excel serial numbers", parse=_since(_EXCEL, (5,), 1 / 86400)),
    Format(name="epoch seconds", parse=_since(_UNIX, (9, 10), 1.0)),
    Format(name="epoch milliseconds", parse=_since(_UNIX, (12, 13), 1e3)),
    Format(name="epoch microseconds", parse=_since(_UNIX, (15, 16), 1e6)),
    Format(name="epoch nanoseconds", parse=_since(_UNIX, (18, 19), 1e9)),
)
