"""Rules about dividends: against the vendor's adjusted close, against the fall of the price, against each other.

On an ex-date the factor adjusted/close steps by split / (1 − dividend/close before), the convention of Yahoo and CRSP;
read backwards, the step gives the dividend that the vendor adjusted by. Where a dividend itself is wrong, returns with
dividends are, and the bar is held back; where only the adjusted close is wrong, which is not stored, it is a warning.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.prices.adjustments import decimals
from pipeline.prices.quality.findings import Findings
from pipeline.prices.quality.series import Array, Mask, Panel, Rows
from pipeline.prices.quality.typical import typical_at

# Two readings of one dividend agree within a tenth: vendors round, and take the close of another hour.
_AGREE = 0.1
# Shares of a price below this are not distinguished: an adjusted close with two decimals cannot show them.
_LEAST = 3e-4
# A dividend of a tenth of the price shows in it; if not even a quarter does, far beyond the typical move, it is false.
_SEEN, _SEEN_SHARE, _SEEN_SIGMAS = 0.10, 0.25, 4.0
# Paid in another unit: a hundred times, within what two roundings make of it.
_UNIT_LOW, _UNIT_HIGH = 50.0, 200.0
# The same amount twice within ten days is one dividend listed twice, but for those who pay every week or fortnight.
_TWICE_DAYS, _TWICE_FIT, _OFTEN_DAYS = 10, 0.01, 14
# A false dividend above this share of the price falsifies returns enough to hold the bar back.
_GRAVE = 0.05
# A hundredth of the true dividend shows in the falls on many ex-dates together: odds of e⁴, some fifty to one.
_TINY, _TINY_COUNT, _TINY_ODDS = 1e-3, 4, 4.0


@dataclass(frozen=True, kw_only=True)
class _Dates:
    """One symbol's steps between usable rows, (S,). Amounts are shares of the close before, on the basis of the row."""

    panel: Panel
    rows: Rows
    before: Rows
    comparable: Mask  # both rows on one basis

    @cached_property
    def base(self) -> Array:
        return np.asarray(self.panel["close"][self.before] / self.panel["split_ratio"][self.rows])

    @cached_property
    def listed(self) -> Array:
        return np.asarray(self.panel["dividend"][self.rows] / self.base)

    @cached_property
    def gain(self) -> Array:
        return np.nan_to_num(self.panel["capital_gain"][self.rows]) / self.base

    @cached_property
    def implied(self) -> Array:
        """The dividend implied by the adjusted close; NaN if there is none."""
        adjusted, close = self.panel["adjusted_close"], self.panel["close"]
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = adjusted / close
            step = factor[self.rows] / factor[self.before]
            return np.asarray(np.where(self.comparable, 1 - self.panel["split_ratio"][self.rows] / step, np.nan))

    @cached_property
    def slack(self) -> Array:
        """The tolerance of `implied` from the rounding of the adjusted close."""
        adjusted = self.panel["adjusted_close"]
        finite = adjusted[self.rows][np.isfinite(adjusted[self.rows])]
        half = 0.5 * 10.0 ** -decimals(finite) if len(finite) else 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            one, other = np.abs(half / adjusted[self.rows]), np.abs(half / adjusted[self.before])
        return np.asarray(np.maximum(2 * (one + other) + 1e-6, _LEAST))

    @cached_property
    def fall(self) -> Array:
        """The fall of the price, to the open or to the close, whichever is larger."""
        lowest = np.minimum(self.panel["open"][self.rows], self.panel["close"][self.rows])
        return np.asarray(1 - lowest / self.base)

    @cached_property
    def opened(self) -> Array:
        """The overnight fall of the price."""
        return np.asarray(1 - self.panel["open"][self.rows] / self.base)

    def is_unseen(self, step: int) -> bool:
        """Whether the price contradicts a large dividend."""
        share, fall = float(self.listed[step]), float(self.fall[step])
        if share >= 1:
            return True
        sigma = typical_at(self.panel, int(self.before[step])).sigma
        return share > _SEEN and fall < _SEEN_SHARE * share and share - fall > _SEEN_SIGMAS * sigma

    def place(self, step: int) -> int:
        return int(self.panel.at[self.rows[step]])


def check_dividends(panel: Panel, wrong: Mask, not_daily: frozenset[str], found: Findings) -> None:
    """Add findings about dividends, on the session of each."""
    is_listed = (panel["dividend"] > 0) | np.isfinite(panel["adjusted_close"])
    for first, last in zip(panel.starts[:-1], panel.starts[1:], strict=True):
        if last - first < 2 or not is_listed[first:last].any() or not panel.is_new[first:last].any():
            continue
        rows = np.arange(first + 1, last)
        dates = _Dates(
            panel=panel, rows=rows, before=rows - 1, comparable=wrong[first + 1 : last] == wrong[first : last - 1]
        )
        unseen = _unseen(dates, found)
        _against_adjusted(dates, unseen, str(panel.symbol[first]) in not_daily, found)
        _twice(dates, found)
        _tiny(dates, found)


def _unseen(dates: _Dates, found: Findings) -> set[int]:
    unseen = {
        int(step) for step in np.flatnonzero(dates.comparable & (dates.listed > _SEEN)) if dates.is_unseen(int(step))
    }
    for step in sorted(unseen):
        words = f"a dividend of {dates.listed[step]:.0%} of the price, which fell by {max(dates.fall[step], 0):.1%}"
        found.add([dates.place(step)], "quarantine", "dividend_too_large", words)
    return unseen


def _against_adjusted(dates: _Dates, unseen: set[int], not_daily: bool, found: Findings) -> None:
    listed, implied = dates.listed, dates.implied
    off = np.abs(implied - listed)
    limit = np.maximum(dates.slack, _AGREE * np.maximum(listed, np.abs(implied)))
    odd = np.flatnonzero(np.isfinite(implied) & (off > limit))
    twice = _gains_twice(dates, [int(step) for step in odd])
    late: set[int] = set()
    for step in odd.tolist():
        if step in late or (step in twice and not twice[step]):
            continue
        if not_daily and (neighbour := _of_the_neighbour(dates, step)) is not None:
            late.add(neighbour)
            if _agrees(dates, step, neighbour):
                continue
        rule = (
            "capital_gain_twice"
            if step in twice
            else _kind(float(listed[step]), float(implied[step]), float(dates.slack[step]))
        )
        verdict = "quarantine" if step in unseen else "warn"
        words = f"dividend {listed[step]:.3%} of the price, the adjusted close implies {implied[step]:.3%}"
        found.add([dates.place(step)], verdict, rule, words)


def _kind(listed: float, implied: float, slack: float) -> str:
    if listed <= 0:
        return "dividend_missing"
    if abs(implied) > 0 and _UNIT_LOW < max(implied / listed, listed / implied) < _UNIT_HIGH:
        return "dividend_unit"
    return "dividend_not_adjusted" if abs(implied) <= slack else "dividend_mismatch"


def _gains_twice(dates: _Dates, odd: list[int]) -> dict[int, bool]:
    """Return the steps adjusted by dividend and capital gain, and whether the falls contradict counting both."""
    steps = [
        step
        for step in odd
        if dates.gain[step] > 0
        and abs(dates.implied[step] - dates.listed[step] - dates.gain[step])
        < max(_AGREE * dates.gain[step], dates.slack[step])
    ]
    odds = 0.0
    for step in steps:
        sigma = typical_at(dates.panel, int(dates.before[step])).sigma
        odds += _odds(float(dates.fall[step]), float(dates.listed[step]), float(dates.implied[step]), sigma)
    return dict.fromkeys(steps, odds > 0)


def _odds(fall: float, one: float, other: float, sigma: float) -> float:
    """Return the log odds that a fall is `one` rather than `other`: Student's t of three degrees, for days of news."""
    return float(2 * (np.log1p(((fall - other) / sigma) ** 2 / 3) - np.log1p(((fall - one) / sigma) ** 2 / 3)))


def _of_the_neighbour(dates: _Dates, step: int) -> int | None:
    """Return the step next to one, of a weekly series, at which its dividend was adjusted for."""
    for other in (step + 1, step - 1):
        if not 0 <= other < len(dates.rows) or dates.listed[step] <= 0 or dates.listed[other] > 0:
            continue
        if np.isfinite(dates.implied[other]) and dates.implied[other] > dates.slack[other]:
            return other
    return None


def _agrees(dates: _Dates, step: int, other: int) -> bool:
    amount = dates.listed[step] * dates.base[step]
    return bool(abs(dates.implied[other] * dates.base[other] / amount - 1) < _AGREE)


def _twice(dates: _Dates, found: Findings) -> None:
    """Find the same dividend on two nearby days: the one that the price does not show is false."""
    paid = np.flatnonzero(dates.listed > 0)
    days, amount = dates.panel.day[dates.rows[paid]], dates.panel["dividend"][dates.rows[paid]]
    apart = np.diff(days)
    for one in np.flatnonzero(apart <= _TWICE_DAYS).tolist():
        others = np.delete(apart, one)
        if len(others) and float(np.median(others)) <= _OFTEN_DAYS:
            continue
        ratio = amount[one + 1] / amount[one]
        if min(abs(ratio * unit - 1) for unit in (1.0, 100.0, 0.01)) > _TWICE_FIT:
            continue
        first, second = int(paid[one]), int(paid[one + 1])
        if abs(ratio - 1) < _TWICE_FIT:
            false = first if dates.opened[first] <= dates.opened[second] else second
        else:
            false = first if ratio < 1 else second
        verdict = "quarantine" if dates.listed[false] > _GRAVE else "warn"
        found.add([dates.place(false)], verdict, "dividend_twice", f"the same dividend again within {apart[one]} days")


def _tiny(dates: _Dates, found: Findings) -> None:
    """Find dividends a hundred times too small, judged by all price falls on their days."""
    steps = np.flatnonzero((dates.listed > 0) & (dates.listed < _TINY) & dates.comparable)
    if len(steps) < _TINY_COUNT:
        return
    odds = 0.0
    for step in steps.tolist():
        share = float(dates.listed[step])
        sigma = typical_at(dates.panel, int(dates.before[step])).sigma
        odds += _odds(float(dates.opened[step]), 100 * share, share, sigma)
    if odds > _TINY_ODDS:
        for step in steps.tolist():
            words = f"dividend {dates.listed[step]:.4%} of the price, which falls as for 100 times that amount"
            found.add([dates.place(step)], "warn", "dividend_unit", words)
