"""The table of symbols at the top of the report: the cells of each row and its sort keys.

`SymbolRow.by` holds the sort key of each sortable column, None sorts last.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from markupsafe import Markup

from pipeline.forecast_schema import BASELINES, range_columns
from pipeline.prices.audit_types import Audit
from pipeline.publishing import event_sentences, formatting
from pipeline.publishing.charts.fan_svg import spark_svg
from pipeline.publishing.edition import Edition, Fan

_DOUBTS = ("quarantine", "reject")


@dataclass(frozen=True, kw_only=True)
class EarlierForecast:
    """The forecast that was made of the last close: the close before it, and the 80 % and 90 % range."""

    last_close: float
    inner: tuple[float, float]
    outer: tuple[float, float]
    close: float  # what came


@dataclass(frozen=True, kw_only=True)
class LastClose:
    """Where the last close lies in the range forecast for it, and how much wider the next range is."""

    where: Literal["above", "below", "inside"]  # of the 80 % range
    beyond: bool  # outside the 90 % range
    moved: float  # as a fraction of the close before
    change: str
    wider: float | None
    width: str | None


@dataclass(frozen=True, kw_only=True)
class SymbolRow:
    """One row: its cells as they are shown, and `by`, the sort key of each sortable column."""

    symbol: str
    spark: Markup
    last_close: str
    last_session: str | None  # where it is not that of the edition
    ranges: Sequence[tuple[str, str]]  # prices and changes of the next session and the last
    days: Sequence[str]
    against: LastClose | None
    skill: str | None
    skilled: bool
    warnings: Sequence[str]
    event: str  # a marker where a report is scheduled in the forecast, else ""
    event_sentence: str
    by: Mapping[str, str | float | None]


def rows(edition: Edition) -> Iterator[SymbolRow]:
    """Yield one row for each symbol."""
    before = forecast_of_last_close(edition)
    skills = skill_by_symbol(edition)
    doubts = _doubts(edition.audit)
    for fan in edition.fans:
        steps = [1] if len(fan.targets) == 1 else [1, -1]
        against = _against(fan, before.get(fan.symbol))
        skill = None if fan.model in BASELINES else skills.get(fan.symbol)
        warnings = [*_other_model(edition, fan), *doubts.get(fan.symbol, ()), *_live_coverage(edition, fan.symbol)]
        yield SymbolRow(
            symbol=fan.symbol,
            event=event_sentences.marker(fan.outlook),
            event_sentence=event_sentences.sentence(fan.outlook),
            spark=spark_svg(fan),
            last_close=formatting.price(fan.last_close, formatting.decimals(*fan.range(80, 1))),
            last_session=formatting.short_day(fan.last_session) if fan.last_session != edition.as_of else None,
            ranges=[formatting.range_of(fan, 80, step) for step in steps],
            days=days(fan),
            against=against,
            skill=None if skill is None else formatting.percent(skill),
            skilled=skill is not None and skill > 0,
            warnings=warnings,
            by={
                "symbol": fan.symbol,
                "change": None if against is None else against.moved,
                "next": _width(fan, 1),
                "last": _width(fan, -1),
                "wider": None if against is None else against.wider,
                "skill": skill,
                "warnings": len(warnings),
            },
        )


def days(fan: Fan) -> list[str]:
    """Return the first session forecast and, where it is another, the last, as they are shown."""
    places = [0] if len(fan.targets) == 1 else [0, -1]
    return [formatting.target_day(fan.targets[at], estimated=fan.estimated[at]) for at in places]


def forecast_of_last_close(edition: Edition) -> dict[str, EarlierForecast]:
    """Return, by symbol, the earlier forecast of the session whose close is now the last."""
    if edition.recent is None or edition.recent.empty:
        return {}
    due = edition.recent.sort_values("as_of").drop_duplicates("symbol", keep="last")
    last = pd.to_datetime(edition.history.groupby("symbol")["session"].max())
    met = pd.to_datetime(due["target_session"]) == due["symbol"].map(last)
    names = ["symbol", "last_close", "close", *range_columns(80), *range_columns(90)]
    return {
        str(symbol): EarlierForecast(last_close=last_close, close=close, inner=(a, b), outer=(c, d))
        for symbol, last_close, close, a, b, c, d in due.loc[met, names].itertuples(index=False, name=None)
    }


def skill_by_symbol(edition: Edition) -> dict[str, float]:
    """Return the fraction of the best baseline's CRPS that the published model saves on held-out sessions, by symbol.

    Empty where a baseline is published: it is what the others are measured by.
    """
    published, baseline = edition.published_scores, edition.scores.models.get(edition.best_baseline or "")
    if edition.decision.is_baseline or published is None or baseline is None:
        return {}
    return {
        symbol: 1 - row.crps_bp / baseline.by_symbol[symbol].crps_bp
        for symbol, row in published.by_symbol.items()
        if symbol in baseline.by_symbol and baseline.by_symbol[symbol].crps_bp
    }


def _width(fan: Fan, step: int) -> float:
    low, high = fan.range(80, step)
    return (high - low) / fan.last_close


def _against(fan: Fan, before: EarlierForecast | None) -> LastClose | None:
    """Return where the last close lies in the range forecast for it, and how much wider today's range is."""
    if before is None or not before.last_close:
        return None
    (low, high), (outer_low, outer_high), close = before.inner, before.outer, before.close
    wider = _width(fan, 1) / ((high - low) / before.last_close) - 1 if high > low else None
    moved = close / before.last_close - 1
    width = None if wider is None else f"{formatting.percent(abs(wider))[1:]} {'wider' if wider >= 0 else 'narrower'}"
    return LastClose(
        where="above" if close > high else "below" if close < low else "inside",
        beyond=not outer_low <= close <= outer_high,
        moved=moved,
        change=formatting.percent(moved),
        wider=wider,
        width=width,
    )


def _other_model(edition: Edition, fan: Fan) -> list[str]:
    other = fan.model != edition.model or (fan.model not in BASELINES and fan.model_version != edition.model_version)
    return [formatting.model_name(fan.model, fan.model_version)] if other else []


def _doubts(audit: Audit) -> dict[str, list[str]]:
    """Return, by symbol, how many of its bars were quarantined or rejected."""
    counts: dict[str, int] = {}
    for problem in audit.problems:
        if problem.verdict in _DOUBTS:
            counts[problem.symbol] = counts.get(problem.symbol, 0) + 1
    return {symbol: [f"{count} bar{'s' * (count != 1)} quarantined or rejected"] for symbol, count in counts.items()}


def _live_coverage(edition: Edition, symbol: str) -> list[str]:
    if symbol not in edition.out_of_bounds:
        return []
    held = edition.live_by_symbol["live"]["coverage_90"][symbol]
    return [f"90 % range: coverage {formatting.share(held)} recently"]
