"""The date format of a column, decided from all of its cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadFile
from pipeline.prices.sources.files.date_formats import Format, Moment, formats, strptime_format
from pipeline.prices.sources.files.reading_options import FIRST_DAY, FileOptions

SETTING = "PIPELINE_FILES_DATES (--files-dates)"
# A column of which a larger share does not fit the best format has no single format.
_ODD_SHARE = 0.05
# From so many days on, a reading that puts this share of them on days without trading is wrong, next to one that
# does not.
_DENSE_DAYS = 31
_FEWEST_DAYS, _OFF_SHARE, _CLEAN_SHARE = 15, 0.15, 0.02

# The share of dates that are not sessions of their market; None if that is unknown.
OffSessions = Callable[[list[date | None]], float | None]


@dataclass(frozen=True, kw_only=True)
class Dates:
    """The distinct texts of a column as moments."""

    name: str  # of the format
    wall: NDArray[np.datetime64]  # seconds; NaT where a text is not a date
    offset: NDArray[np.int64]  # minutes east of Greenwich
    has_zone: NDArray[np.bool_]
    faults: dict[int, str]  # what is wrong with a text, by its number


def parse_dates(name: str, texts: Sequence[str], options: FileOptions, off_sessions: OffSessions) -> Dates:
    """Return the moments of a column's distinct texts in its format.

    Raises BadFile where no format reads it, where two do and nothing decides, or where it mixes several.
    """
    moments = _by_format(texts, options)
    moments = {form: found for form, found in moments.items() if _is_reading(form, found, options)}
    if not moments:
        example = next((text for text in texts if text), "")
        raise BadFile(
            f"{name}: column date: {example!r} is not a date in any format that is known; "
            f"set {SETTING} to its strptime format, such as %d.%m.%y"
        )
    chosen = _chosen(name, texts, moments, options, off_sessions)
    return _as_dates(chosen, texts, moments[chosen], options)


def _by_format(texts: Sequence[str], options: FileOptions) -> dict[Format, list[Moment | None]]:
    year = options.last_day.year
    known: Sequence[Format] = formats()
    if "%" in options.dates:
        known = (strptime_format(options.dates),)
    elif options.dates:
        known = [one for one in known if one.order in ("", options.dates)]
    return {one: [one.parse(text, year) for text in texts] for one in known}


def _is_reading(form: Format, found: Sequence[Moment | None], options: FileOptions) -> bool:
    """Whether a format parses anything; a rare one that was not requested must also give dense dates."""
    days = sorted({one[0].toordinal() for one in found if one is not None})
    if not form.daily or options.dates:
        return bool(days)
    return len(days) > 1 and float(np.median(np.diff(days))) <= _DENSE_DAYS


def _chosen(
    name: str,
    texts: Sequence[str],
    moments: dict[Format, list[Moment | None]],
    options: FileOptions,
    off_sessions: OffSessions,
) -> Format:
    fits = {form: np.array([_fits(one, options) for one in found]) for form, found in moments.items()}
    if not any(fit.any() for fit in fits.values()):  # dates, but none of them can be: each is named later
        fits = {form: np.array([one is not None for one in found]) for form, found in moments.items()}
    votes = {form: int(fit.sum()) for form, fit in fits.items()}
    readable = int(np.any(list(fits.values()), axis=0).sum())
    whole = [form for form in fits if votes[form] == readable]
    if not whole:
        return _majority(name, texts, fits, votes, readable)
    whole = _distinct(whole, moments)
    if len(whole) == 1:
        return whole[0]
    plain = _on_sessions(whole, moments, off_sessions)
    if len(plain) == 1:
        return plain[0]
    at, readings = _ambiguous(whole, moments)
    readings_text = " or ".join(f"{moment.date()} ({form.order or form.name})" for form, moment in readings)
    settings = " or ".join(dict.fromkeys(form.order or form.name for form, _ in readings))
    raise BadFile(
        f"{name}: column date: {texts[at]!r} is {readings_text}, and no row tells which; set {SETTING} to {settings}"
    )


def _ambiguous(
    whole: list[Format], moments: dict[Format, list[Moment | None]]
) -> tuple[int, list[tuple[Format, datetime]]]:
    """Return the first text that formats parse as different dates, and each result."""
    for at in range(len(moments[whole[0]])):
        readings = [(form, moment[0]) for form in whole if (moment := moments[form][at]) is not None]
        if len({moment for _, moment in readings}) > 1:
            return at, readings
    raise AssertionError("formats that read the same are one")


def _majority(
    name: str,
    texts: Sequence[str],
    fits: dict[Format, NDArray[np.bool_]],
    votes: dict[Format, int],
    readable: int,
) -> Format:
    """Return the format of nearly all; the rest are faults of their rows. Raises BadFile where there is none."""
    best = max(votes, key=votes.__getitem__)
    left = [form for form in votes if form is not best and bool((fits[form] & ~fits[best]).any())]
    other = max(left, key=votes.__getitem__)
    if readable - votes[best] <= max(1, _ODD_SHARE * readable) and votes[other] < (1 - _ODD_SHARE) * votes[best]:
        return best
    here = int(np.flatnonzero(fits[best] & ~fits[other])[0]) if (fits[best] & ~fits[other]).any() else 0
    there = int(np.flatnonzero(fits[other] & ~fits[best])[0])
    raise BadFile(
        f"{name}: column date mixes formats: {texts[here]!r} fits {best.name} and {texts[there]!r} {other.name}; "
        "write all of them in one, best YYYY-MM-DD"
    )


def _distinct(whole: list[Format], moments: dict[Format, list[Moment | None]]) -> list[Format]:
    """Return the formats without those that parse the same moments as an earlier one."""
    kept: list[Format] = []
    for form in whole:
        if not any(moments[form] == moments[other] for other in kept):
            kept.append(form)
    return kept


def _on_sessions(
    whole: list[Format], moments: dict[Format, list[Moment | None]], off_sessions: OffSessions
) -> list[Format]:
    """Return the formats whose dates are trading days, if those of the others clearly are not."""
    shares: dict[Format, float] = {}
    for form in whole:
        days = [None if one is None else one[0].date() for one in moments[form]]
        share = off_sessions(days) if len({day for day in days if day}) >= _FEWEST_DAYS else None
        if share is None:
            return whole
        shares[form] = share
    clean = [form for form in whole if shares[form] <= _CLEAN_SHARE]
    return (
        clean if len(clean) == 1 and all(shares[form] >= _OFF_SHARE for form in whole if form not in clean) else whole
    )


def _fits(moment: Moment | None, options: FileOptions) -> bool:
    return moment is not None and not _outside(moment[0], options)


def _outside(moment: datetime, options: FileOptions) -> str:
    day = moment.date()
    if day < FIRST_DAY:
        return f"is before {FIRST_DAY.year}"
    return "is in the future" if day > options.last_day else ""


def _as_dates(chosen: Format, texts: Sequence[str], moments: Sequence[Moment | None], options: FileOptions) -> Dates:
    wall = np.full(len(texts), "NaT", "datetime64[s]")
    offset, has_zone = np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)
    faults: dict[int, str] = {}
    for place, (text, moment) in enumerate(zip(texts, moments, strict=True)):
        if moment is None:
            faults[place] = f"{text!r} is not a date" if text else "the date is blank"
        elif reason := _outside(moment[0], options):
            faults[place] = f"the date {text!r} {reason}"
        else:
            wall[place] = np.datetime64(moment[0], "s")
            has_zone[place] = moment[1] is not None
            offset[place] = moment[1] or 0
    return Dates(name=chosen.name, wall=wall, offset=offset, has_zone=has_zone, faults=faults)
