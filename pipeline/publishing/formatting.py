"""Formats for people: names of models, dates, prices, shares and scores. Without pandas."""

import math
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.model_scores import SessionScores
from pipeline.forecast_schema import BASELINES, MODEL_NAMES

if TYPE_CHECKING:  # pandas, which a table in the terminal does without
    from pipeline.publishing.edition import Fan

NOTHING = "–"
ESTIMATED = "~"
PER_CENT = "\N{NO-BREAK SPACE}%"


def model_name(name: str, version: str | None = None) -> str:
    """Return a model's name as a label: `LSTM, version 3`, `Random walk`."""
    label = MODEL_NAMES.get(name, name)
    label = f"{label[:1].upper()}{label[1:]}" if name in MODEL_NAMES else label
    return f"{label}, version {version}" if version and name not in BASELINES else label


def in_prose(name: str | None) -> str:
    """Return a model's name within a sentence: `the random walk`, `GARCH`."""
    if name is None:
        return "the best baseline"
    label = MODEL_NAMES.get(name, name)
    return f"the {label}" if label.islower() and name in MODEL_NAMES else label


def day(when: date, *, weekday: bool = True, year: bool = True) -> str:
    """Return `Friday 1 March 2013`, without the weekday or the year where not wanted."""
    parts = [f"{when:%A}" if weekday else "", str(when.day), f"{when:%B}", str(when.year) if year else ""]
    return " ".join(part for part in parts if part)


def short_day(when: date) -> str:
    """Return `Fri 1 Mar`."""
    return f"{when:%a} {when.day} {when:%b}"


def target_day(when: date, *, estimated: bool) -> str:
    """Return a session that was forecast, as `Fri 1 Mar`, and as `~Fri 1 Mar` where its date is estimated."""
    return f"{ESTIMATED if estimated else ''}{short_day(when)}"


def iso_day(text: str) -> str:
    """Return `1 March 2013` for 2013-03-01, and anything else as it is."""
    try:
        return day(date.fromisoformat(text), weekday=False)
    except ValueError:
        return text


def decimals(low: float, high: float) -> int:
    """Return how many decimals show a range of prices in about twenty steps: 2 for shares, 4 for currencies.

    A price below 1 keeps at least three significant digits, however small it is.
    """
    below_one = max(-math.floor(math.log10(low)), 0) if low > 0 else 0  # zeros before its first digit, and that digit
    steps = math.ceil(-math.log10((high - low) / 20)) if high > low else 2
    return max(min(steps, 6 + below_one), below_one + 2 if below_one else 2)


def price(value: float, places: int | None = None) -> str:
    """Return a price with a comma between thousands; without `places`, with the decimals that suit its size."""
    return f"{value:,.{decimals(value, value) if places is None else places}f}"


def percent(value: float, places: int = 1) -> str:
    """Return a relative change with its sign, such as +1.6 %."""
    return f"{value * 100:+.{places}f}{PER_CENT}".replace("-", "−")


def price_range(low: float, high: float, places: int) -> str:
    """Return a range of prices: 418.57 – 443.18."""
    return f"{price(low, places)} – {price(high, places)}"


def change(low: float, high: float, close: float) -> str:
    """Return a range of prices against the last close: −2.8 % to +3.0 %."""
    return f"{percent(low / close - 1)} to {percent(high / close - 1)}"


def range_of(fan: "Fan", coverage: int, step: int) -> tuple[str, str]:
    """Return a range as `price_range` and as `change`, with the decimals that suit the symbol."""
    low, high = fan.range(coverage, step)
    return price_range(low, high, decimals(*fan.range(80, 1))), change(low, high, fan.last_close)


def share(value: Any) -> str:
    """Return a fraction as 89.7 %, and a dash if unknown."""
    fraction = finite(value)
    return NOTHING if fraction is None else f"{fraction * 100:.1f}{PER_CENT}"


def share_range(low: Any, high: Any) -> str:
    """Return an interval of fractions as 46.1 – 53.9 %, and a dash if unknown."""
    first, last = finite(low), finite(high)
    return NOTHING if first is None or last is None else f"{first * 100:.1f} – {share(last)}"


def chance(value: Any) -> str:
    """Return a p-value: 0.021, < 0.001, and a dash where there was no test."""
    p = finite(value)
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: Any, places: int = 1) -> str:
    """Return a number, and a dash if unknown."""
    figure = finite(value)
    return NOTHING if figure is None else f"{figure:,.{places}f}".replace("-", "−")


def skill(crps: Any, baseline: Any, places: int = 1) -> str:
    """Return the share of a baseline's CRPS that a model saves: above 0 the model is better. A dash if unknown."""
    mine, other = finite(crps), finite(baseline)
    return NOTHING if mine is None or not other else percent(1 - mine / other, places)


def power_of_ten(power: int) -> str:
    """Return 10⁻³ for -3."""
    return "1" if power == 0 else f"10{str(power).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def median_quality(scores: SessionScores) -> str:
    """Return how good a model's median was: its direction next to "always up", its rank IC with its t."""
    interval = share_range(scores.direction_low, scores.direction_high)
    direction = f"direction correct in {share(scores.direction)} ({interval}; always up: {share(scores.up)})"
    return f"{direction}, rank IC {number(scores.rank_ic, 3)} (t {number(scores.rank_ic_t, 2)})"


def finite(value: Any) -> float | None:
    """Return a value as a number; None where it is absent or not finite."""
    return None if value is None or not math.isfinite(float(value)) else float(value)
