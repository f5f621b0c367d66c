"""Rules about the level of prices: units switched, splits half applied, blocks and single bars on another basis.

A seam is a place where a bar's whole range lies away from that of the bar before, after split and dividend. A seam
whose size is a known mistake, a hundred times, a listed split or one that is taken back soon, shifts the basis of what
follows. The bars on another basis than the series' own are wrong; which basis is its own, `_anchor` says. A seam of any
other size is the market's, and left to `moves`.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from pipeline.prices.quality.findings import Findings
from pipeline.prices.quality.series import Array, Mask, Panel, Rows
from pipeline.prices.quality.typical import Typical, typical_at

Kind = Literal["unit", "split", "spike"]

# A range this far away (log) is looked at; smaller mistakes drown in what markets do.
_SEAM = 0.10
# A price in the wrong unit is a hundred times off; with a day's move between, between fifty and two hundred times.
_UNIT_LOW, _UNIT_HIGH, _UNIT = np.log(50.0), np.log(200.0), np.log(100.0)
# Vendors apply a split some days early or late, but not months.
_SPLIT_DAYS = 45
# How well a seam must fit a listed split: a share of the split's own size, because a market moves at a split as well.
_SPLIT_FIT, _SPLIT_FIT_LEAST = 0.3, 0.12
# A block that goes and comes back by the same size within two weeks was never there.
_SPIKE_BARS = 10
_SPIKE_FIT = 0.25
# A move that reverses may be real: to be an error it must be far beyond the typical one, on an otherwise typical day.
_SPIKE_SIGMAS, _SPIKE_VOLUME, _SPIKE_RANGE = 8.0, 3.0, 3.0
# Beyond this, and taken back, no market explains it whatever the volume says (vendors scale volume with the mistake).
_SPIKE_SURE = np.log(3.0)
# Of a unit that switches once, the newer side is the series' own, unless it has only just begun.
_JUST_BEGUN_BARS, _JUST_BEGUN_SHARE = 5, 0.1
# Bars without a trade are a vendor's arithmetic: they count this much for which basis is the right one.
_UNTRADED_WEIGHT = 0.05
# A field this far (log) from the bar's others and from both neighbours is another number.
_FIELD = np.log(3.0)
# Another company: this many days without a bar, then another level.
_REUSED_DAYS, _REUSED_JUMP = 60, np.log(1.5)


@dataclass(frozen=True, kw_only=True)
class _Seam:
    row: int  # the first row behind it
    size: float  # log of the step
    kind: Kind
    detail: str
    is_listed: bool = False  # a split is listed on this very row


def check_levels(panel: Panel, doubtful: Mask, found: Findings) -> Mask:
    """Add what is on another basis; return the rows (R,) that no rule about moves should take for the market's.

    `doubtful`, (bars,), are bars whose own fields contradict each other: theirs is no level.
    """
    wrong = panel.is_new.copy()
    wrong[wrong] = doubtful[panel.at[panel.is_new]]
    if not len(panel):
        return wrong
    _fields(panel, wrong, found)
    steps = _steps(panel, wrong)
    for first in sorted({panel.span(int(row))[0] for row in steps.rows[np.abs(steps.gap) > _SEAM]}):
        _check_symbol(panel, steps, panel.span(first), wrong, found)
    return wrong


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """Steps between usable rows that follow each other, (S,): the rows on both sides and three sizes (log)."""

    rows: Rows
    before: Rows
    gap: Array  # between the ranges; 0 where they overlap
    opened: Array  # from the close before to the open
    closed: Array  # from close to close

    def sizes(self, step: int) -> tuple[float, float, float]:
        return float(self.gap[step]), float(self.opened[step]), float(self.closed[step])


def _steps(panel: Panel, wrong: Mask) -> _Steps:
    rows = np.flatnonzero(~wrong)
    before, rows = rows[:-1], rows[1:]
    same = panel.symbol[before] == panel.symbol[rows]
    before, rows = before[same], rows[same]
    split, paid = panel.split_between(before, rows), panel.paid_between(before, rows)
    up = np.log(panel["low"][rows] * split / panel["high"][before])
    down = np.log((panel["high"][rows] + paid) * split / panel["low"][before])
    return _Steps(
        rows=rows,
        before=before,
        gap=np.where(up > 0, up, np.where(down < 0, down, 0.0)),
        opened=np.log((panel["open"][rows] + paid) * split / panel["close"][before]),
        closed=np.log((panel["close"][rows] + paid) * split / panel["close"][before]),
    )


def _fields(panel: Panel, wrong: Mask, found: Findings) -> None:
    """Single fields that are another number: far from the bar's others and from the bars around."""
    prices = np.log(np.stack([panel[name] for name in ("open", "high", "low", "close")], axis=1))
    for row in np.flatnonzero(prices.max(axis=1) - prices.min(axis=1) > _FIELD):
        first, last = panel.span(int(row))
        around = [prices[near, 3 if near < row else 0] for near in (row - 1, row + 1) if first <= near < last]
        if not around:
            continue
        off = np.array([min(abs(value - one) for one in around) > _FIELD for value in prices[row]])
        if not off.any() or off.all():
            continue
        far = float(np.abs(prices[row][off] - np.median(around)).max())
        rule = "unit" if _UNIT_LOW < far < _UNIT_HIGH else "field"
        names = " and ".join(np.array(["open", "high", "low", "close"])[off])
        found.add(
            [panel.at[row]], "quarantine", rule, f"{names} {np.exp(far):.3g} times off the other values of the bar"
        )
        wrong[row] = True


def _check_symbol(panel: Panel, steps: _Steps, span: tuple[int, int], wrong: Mask, found: Findings) -> None:
    first, last = (int(np.searchsorted(steps.rows, edge)) for edge in span)
    here = range(first, last)
    large = [step for step in here if abs(steps.gap[step]) > _SEAM]
    reused = [step for step in large if _is_reused(panel, steps, step)]
    for step in reused:
        _reused(panel, steps, step, span, wrong, found)
    seams: list[_Seam] = []
    taken = set(reused)
    for step in large:
        if step in taken or _paid_nearby(panel, steps, step, span):
            continue
        if seam := _known_size(panel, steps, step, span):
            seams.append(seam)
            taken.add(step)
    for step in large:
        if step not in taken:
            seams += _taken_back(panel, steps, step, last, taken)
    if seams:
        _blocks(panel, sorted(seams, key=lambda seam: seam.row), span, wrong, found)


def _paid_nearby(panel: Panel, steps: _Steps, step: int, span: tuple[int, int]) -> bool:
    """Whether a dividend listed on the row before or after explains a step: in weekly bars its date is rounded."""
    row, before = int(steps.rows[step]), int(steps.before[step])
    near = [one for one in (row - 1, row + 1) if span[0] <= one < span[1] and panel["dividend"][one] > 0]
    base = np.log(panel["close"][before] / panel["split_ratio"][row])
    left = [abs(np.log(panel["close"][row] + panel["dividend"][one]) - base) for one in near]
    return bool(left) and min(left) < 0.5 * abs(float(steps.closed[step]))


def _known_size(panel: Panel, steps: _Steps, step: int, span: tuple[int, int]) -> _Seam | None:
    """Return the seam where a step is a listed split or a unit."""
    row = int(steps.rows[step])
    sizes = steps.sizes(step)
    for listed in _splits_near(panel, row, span):
        fit = max(_SPLIT_FIT * abs(listed), _SPLIT_FIT_LEAST)
        for sign in (-1, 1):
            if min(abs(size - sign * listed) for size in sizes) < fit and abs(listed) > _SEAM:
                text = f"the prices step by {np.exp(sizes[2]):.3g} next to a listed split of {np.exp(listed):.4g}"
                return _Seam(row=row, size=sign * listed, kind="split", detail=text, is_listed=_lists_split(panel, row))
    if _UNIT_LOW < abs(sizes[0]) < _UNIT_HIGH:
        text = f"the prices step by {np.exp(sizes[2]):.4g}: another unit"
        return _Seam(row=row, size=float(np.sign(sizes[0]) * _UNIT), kind="unit", detail=text)
    return None


def _lists_split(panel: Panel, row: int) -> bool:
    return bool((panel["listed_split"][row] > 0 and panel["listed_split"][row] != 1) or panel["split_ratio"][row] != 1)


def _splits_near(panel: Panel, row: int, span: tuple[int, int]) -> list[float]:
    """Return the logs of the listed splits around a row, the nearest first."""
    first, last = span
    near = np.arange(first, last)[np.abs(panel.day[first:last] - panel.day[row]) <= _SPLIT_DAYS]
    listed = np.where(panel["listed_split"][near] > 0, panel["listed_split"][near], panel["split_ratio"][near])
    logs = np.log(np.where(listed > 0, listed, 1.0))
    order = np.argsort(np.abs(panel.day[near] - panel.day[row]), kind="stable")
    return [float(logs[one]) for one in order if logs[one] != 0]


def _taken_back(panel: Panel, steps: _Steps, step: int, last: int, taken: set[int]) -> list[_Seam]:
    """Return the two seams around bars that go and come back by the same size."""
    size, opened, _ = steps.sizes(step)
    if abs(opened) <= _SEAM:
        return []
    for back in range(step + 1, min(step + 1 + _SPIKE_BARS, last)):
        other = float(steps.gap[back])
        if back in taken or abs(other) <= _SEAM or np.sign(other) == np.sign(size):
            continue
        if abs(opened + float(steps.opened[back])) > _SPIKE_FIT * min(abs(size), abs(other)):
            continue
        if not _is_no_market(panel, steps, step, back, min(abs(size), abs(other))):
            continue
        taken.update((step, back))
        text = f"{np.exp(opened) - 1:+.0%} and back {back - step} bars later, on an otherwise ordinary day"
        rows = int(steps.rows[step]), int(steps.rows[back])
        return [
            _Seam(row=row, size=sign * opened, kind="spike", detail=text)
            for row, sign in zip(rows, (1, -1), strict=True)
        ]
    return []


def _is_no_market(panel: Panel, steps: _Steps, step: int, back: int, size: float) -> bool:
    if size > _SPIKE_SURE:
        return True
    typical: Typical = typical_at(panel, int(steps.before[step]))
    if back - step > 1 or size < _SPIKE_SIGMAS * typical.sigma:
        return False
    rows = [int(steps.rows[step]), int(steps.rows[back])]
    calm_volume = all(typical.volume_ratio(panel, row) < _SPIKE_VOLUME for row in rows)
    return calm_volume and all(typical.range_ratio(panel, row) < _SPIKE_RANGE for row in rows)


def _blocks(panel: Panel, seams: list[_Seam], span: tuple[int, int], wrong: Mask, found: Findings) -> None:
    """Quarantine the bars that are on another basis than the series."""
    first, last = span
    offset = np.zeros(last - first)
    for seam in seams:
        offset[seam.row - first :] += seam.size
    offset = np.round(offset, 6)
    own = _anchor(panel, seams, span, offset)
    for edge, until in _runs(offset):
        if offset[edge] == own:
            continue
        near = [seam for seam in seams if seam.row - first in (edge, until)]
        rule, detail = _words(near)
        rows = np.arange(first + edge, first + until)
        wrong[rows] = True
        found.add(panel.at[rows], "quarantine", rule, detail)
    for seam in seams:
        if seam.kind == "unit" and offset[seam.row - first] == own:
            found.add([panel.at[seam.row]], "warn", "unit", f"{seam.detail} than the bars before, which are held back")


def _anchor(panel: Panel, seams: list[_Seam], span: tuple[int, int], offset: Array) -> float:
    """Return the offset of the basis of the series.

    What is accepted already; else behind a single step the newer side (a vendor rescales history and forgets a part),
    unless it has only just begun and no split is listed for that day: a bad bar at the end says nothing about those
    before it; else the basis on which most was traded.
    """
    first, last = span
    levels = np.unique(offset)
    known = ~panel.is_new[first:last]
    weight = np.where(panel.traded[first:last], 1.0, _UNTRADED_WEIGHT)
    if known.any():
        weight = known.astype(float)
    elif len(seams) == 1:
        behind = last - seams[0].row
        just_begun = behind <= _JUST_BEGUN_BARS or behind < _JUST_BEGUN_SHARE * (last - first)
        before = seams[0].row - first
        if seams[0].is_listed or not (just_begun and before > behind):
            return float(offset[-1])
    totals = [float(weight[offset == level].sum()) for level in levels]
    best = max(totals)
    return float(max(level for level, total in zip(levels, totals, strict=True) if total == best))


def _runs(offset: Array) -> list[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(np.diff(offset)) + 1).tolist(), len(offset)]
    return list(pairwise(edges))


def _words(near: list[_Seam]) -> tuple[str, str]:
    for kind in ("split", "unit", "spike"):
        for seam in near:
            if seam.kind == kind:
                return kind, seam.detail
    return "level", "on another basis than the rest"


def _is_reused(panel: Panel, steps: _Steps, step: int) -> bool:
    apart = panel.day[steps.rows[step]] - panel.day[steps.before[step]]
    return bool(apart > _REUSED_DAYS and abs(steps.closed[step]) > _REUSED_JUMP)


def _reused(panel: Panel, steps: _Steps, step: int, span: tuple[int, int], wrong: Mask, found: Findings) -> None:
    """Hold back what follows if the older part is accepted already, else the first bar, and note the symbol."""
    row, before = int(steps.rows[step]), int(steps.before[step])
    apart, times = panel.day[row] - panel.day[before], np.exp(steps.closed[step])
    text = f"{apart} days without a bar, then {times:.3g} times the price: another company?"
    rows = np.array([row]) if panel.is_new[span[0] : row].all() else np.arange(row, span[1])
    wrong[rows] = True
    found.add(panel.at[rows], "quarantine", "reused", text)
    found.note(
        str(panel.symbol[row]),
        "reused",
        f"{row - span[0]} bars before {np.datetime64(int(panel.day[row]), 'D')}, {text}",
    )
