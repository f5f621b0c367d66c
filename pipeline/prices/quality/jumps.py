"""Rules about one-day moves: a warning, except for an unlisted split of a simple ratio, which is held back.

A spin-off or a special dividend that is not adjusted for looks like a fall over night on an otherwise ordinary day;
news moves the range and the volume as well. Neither is proof, so both are let through with a warning.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.prices.quality.findings import Findings
from pipeline.prices.quality.series import Array, Mask, Panel, Rows
from pipeline.prices.quality.typical import typical_at

# Log return from which a person should look: −33 % or +49 %. In 1.8 million bars of large US shares some sixty.
_JUMP = 0.4
# A fall over night of this much (−13 %) may be an event that is not adjusted for …
_EVENT = 0.14
# … where it is far beyond the usual move, while range and volume are not: news brings five to thirty times the volume.
_EVENT_SIGMAS, _EVENT_RANGE, _EVENT_VOLUME = 10.0, 4.0, 7.0
# Ratios that companies split by; the smaller ones are too near to what markets do.
_RATIOS = np.log([1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50])
# The open after a split is within a day's opening move of the ratio.
_RATIO_FIT = 0.03
# A split is not news: its volume, in shares, grows by the ratio and barely more. A rights issue's does.
_RATIO_RANGE, _RATIO_VOLUME = 5.0, 1.75
# Nor does trading all but cease: that is a company that has failed.
_RATIO_VOLUME_LEAST = 0.3
# Where two steps leave no more than this part of the second, the second takes back the first: the bar between was odd.
_TAKEN_BACK = 0.4
# One bar before a step stands alone among more than so many.
_ALONE_AMONG = 3
# A distribution of this share of the price, shown by the adjusted close alone, raises a warning.
_DISTRIBUTION = 0.15


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A move between two rows: logs from close to close, and from the close before to the open."""

    before: int
    row: int
    moved: float
    opened: float


def check_jumps(panel: Panel, wrong: Mask, found: Findings) -> None:
    """Add a warning for each implausible move between valid rows."""
    rows = np.flatnonzero(~wrong)
    before, rows = rows[:-1], rows[1:]
    same = (panel.symbol[before] == panel.symbol[rows]) & panel.is_new[rows]
    before, rows = before[same], rows[same]
    split, paid = panel.split_between(before, rows), panel.paid_between(before, rows)
    moved = np.log((panel["close"][rows] + paid) * split / panel["close"][before])
    opened = np.log((panel["open"][rows] + paid) * split / panel["close"][before])
    for place in np.flatnonzero((np.abs(moved) > _JUMP) | (opened < -_EVENT) | (np.abs(opened) > _RATIOS[0])):
        step = _Step(
            before=int(before[place]), row=int(rows[place]), moved=float(moved[place]), opened=float(opened[place])
        )
        _check(panel, step, wrong, found)
    _distributions(panel, rows, before, found)


def _check(panel: Panel, step: _Step, wrong: Mask, found: Findings) -> None:
    before, row, moved, opened = step.before, step.row, step.moved, step.opened
    typical = typical_at(panel, before)
    volume, width = typical.volume_ratio(panel, row), typical.range_ratio(panel, row)
    near = int(np.argmin(np.abs(_RATIOS - abs(opened))))
    ratio = float(np.exp(_RATIOS[near]))
    words = f"{np.exp(moved) - 1:+.1%}"
    odd = f"a range {width:.1f} times and a volume {volume:.1f} times the typical one"
    fits = abs(abs(opened) - _RATIOS[near]) < _RATIO_FIT and abs(opened) > _EVENT_SIGMAS * typical.sigma
    volume_goes_on = volume > _RATIO_VOLUME_LEAST * (1.0 if opened < 0 else 1.0 / ratio)
    plain = (
        volume_goes_on
        and volume < _RATIO_VOLUME * (ratio if opened < 0 else 1.0)
        and width < _RATIO_RANGE
        and typical.volume > 0
    )
    odd_row = _odd_one(panel, step, wrong) if fits and plain else None
    if odd_row is not None:
        named = f"{ratio:g}:1" if opened < 0 else f"1:{ratio:g}"
        text = f"{words}: looks like an unlisted {named} split, with {odd}"
        verdict = "quarantine" if abs(opened) > np.log(1.9) else "warn"
        found.add([panel.at[odd_row]], verdict, "unlisted_split", text)
    elif (
        opened < -_EVENT and -opened > _EVENT_SIGMAS * typical.sigma and width < _EVENT_RANGE and volume < _EVENT_VOLUME
    ):
        found.add(
            [panel.at[row]], "warn", "unadjusted", f"{words} overnight, with {odd}: a spin-off or special dividend?"
        )
    elif abs(moved) > _JUMP:
        found.add([panel.at[row]], "warn", "jump", f"{words}, with {odd}")


def _odd_one(panel: Panel, step: _Step, wrong: Mask) -> int | None:
    """Return the one bar to hold back at a step that looks like a split: a bad bar says nothing about its neighbours.

    That is the bar behind the step, where everything behind it may be on another basis; the bar before it where that
    stands alone, at the beginning of the series; neither where the step only takes back the one before it.
    """
    first, last = panel.span(step.row)
    sound = np.flatnonzero(~wrong[first:last]) + first
    place = int(np.searchsorted(sound, step.before))
    limit = _TAKEN_BACK * abs(step.opened)
    if place and abs(_net(panel, int(sound[place - 1]), step.row)) < limit:
        return None
    comes_back = place + 2 < len(sound) and abs(_net(panel, step.before, int(sound[place + 2]))) < limit
    alone = place == 0 and len(sound) > _ALONE_AMONG and panel.is_new[step.before]
    return step.before if alone and not comes_back else step.row


def _net(panel: Panel, before: int, row: int) -> float:
    """Return the log move between two rows of a symbol, adjusted for the splits between them."""
    split = float(panel.split_between(np.array([before]), np.array([row]))[0])
    return float(np.log(panel["close"][row] * split / panel["close"][before]))


def _distributions(panel: Panel, rows: Rows, before: Rows, found: Findings) -> None:
    share: Array = panel["dividend"][rows] * panel["split_ratio"][rows] / panel["close"][before]
    is_known = np.isfinite(panel["adjusted_close"][rows])
    for place in np.flatnonzero((share > _DISTRIBUTION) & (share < 1) & ~is_known):
        text = f"{share[place]:.0%} of the price paid out, according to the adjusted close alone: a spin-off?"
        found.add([panel.at[rows[place]]], "warn", "distribution", text)
