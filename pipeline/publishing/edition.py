"""The content of an edition, before rendering: validated once here, trusted by tables, charts and report.

Legend: H steps of the horizon, Q quantile levels, N sessions of history.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import JsonValue

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import ModelScores, Scores
from pipeline.forecast_schema import BASELINES, COLUMNS, ESTIMATED, LAST_SESSION, QUANTILES, RANGE_POSITIONS
from pipeline.modeling.training.training_record import GradientMemory
from pipeline.prices.audit_types import Audit
from pipeline.publishing.event_outlook import EventOutlook, SymbolOutlook
from pipeline.publishing.published_files import SymbolReason

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fan:
    """One symbol's forecast, and the closes before it. Prices throughout."""

    symbol: str
    last_close: float
    model: str
    model_version: str | None
    last_session: date
    targets: tuple[date, ...]
    estimated: tuple[bool, ...]  # of each target: its calendar is not recorded so far ahead
    quantiles_HQ: Floats
    baseline_HQ: Floats | None
    sessions: tuple[date, ...]
    closes_N: Floats
    outlook: SymbolOutlook = field(default_factory=SymbolOutlook)

    def range(self, share: int, step: int) -> tuple[float, float]:
        """Return the ends of the range of `share` per cent at `step` (-1: the last)."""
        low, high = RANGE_POSITIONS[share]
        row_Q = self.quantiles_HQ[step if step < 0 else step - 1]
        return float(row_Q[low]), float(row_Q[high])


@dataclass(frozen=True, kw_only=True)
class Edition:
    """Everything published for one as_of.

    Raises ValueError, on construction, for invalid forecasts: none at all, a missing column, a value that is not a
    price, crossing quantiles, a duplicate step, another as_of.
    """

    as_of: date
    exchange: str
    # COLUMNS, and where known LAST_SESSION and ESTIMATED; one row per symbol and step.
    forecasts: pd.DataFrame
    # symbol, session, close; the close on the scale of the as_of, that is split-adjusted.
    history: pd.DataFrame
    scores: Scores
    decision: Decision
    # The symbols that another model than the decision's forecasts, and why.
    fallbacks: Sequence[SymbolReason] = ()
    # Name of a baseline -> its forecasts, the same columns.
    baselines: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    # Scores of forecasts published earlier, one row per symbol, as_of and step.
    live: pd.DataFrame | None = None
    # The recent ones of these for the next session: RECORD, one row per symbol and as_of.
    recent: pd.DataFrame | None = None
    # Recent rates, one row per symbol, by kind: published in time ("live") and replays ("replayed").
    live_by_symbol: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    # The symbols whose recent live coverage is out of bounds.
    out_of_bounds: Collection[str] = ()
    # Counts of the verdicts, and `problems`.
    audit: Audit = field(default_factory=Audit)
    # Population stability index of each input: the last quarter against the sessions trained on.
    drift: Mapping[str, float] = field(default_factory=dict)
    # How far back each network looks; None where nothing was trained.
    gradient_memory: GradientMemory | None = None
    # The symbols without a forecast, and why.
    withheld: Sequence[SymbolReason] = ()
    # Scheduled events and what they mean for the widths; empty without a calendar.
    outlook: EventOutlook = field(default_factory=EventOutlook)
    # Warnings in words, such as a calendar that ends.
    warnings: Sequence[str] = ()
    # The origin of the data and the code; may differ between two runs with the same forecasts.
    provenance: Mapping[str, JsonValue] = field(default_factory=dict)
    # How the run differs from the standing configuration, in words; empty for the standing one.
    trial: tuple[str, ...] = ()
    # Whether a trial is published as the standing edition all the same, because the request asked for it.
    make_latest: bool = False

    def __post_init__(self) -> None:
        _check(self.forecasts, self.as_of)

    @property
    def standing(self) -> bool:
        """Whether it becomes the session's standing edition."""
        return self.make_latest or not self.trial

    @property
    def run_key(self) -> str:
        """The key of the run that made it."""
        return str(self.provenance.get("run_key", ""))

    @property
    def model(self) -> str:
        """The model that the gate let through."""
        return self.decision.model

    @property
    def model_version(self) -> str | None:
        """Its version in the registry; None for a baseline."""
        return self.decision.model_version or None

    @property
    def best_baseline(self) -> str | None:
        """The baseline that the gate measured against."""
        return self.decision.best_baseline

    @property
    def published_scores(self) -> ModelScores | None:
        """The held-out scores of the published model; None where it was not scored."""
        return self.decision.published_in(self.scores)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The forecasts in the one order and with the types that are published."""
        return canonical(self.forecasts)

    @property
    def symbols(self) -> list[str]:
        """The symbols with a forecast, sorted."""
        return list(self.table["symbol"].drop_duplicates())

    @cached_property
    def models(self) -> tuple[str, ...]:
        """The models that made the forecasts, the one with most rows first."""
        return tuple(str(name) for name in self.table["model"].value_counts().index)

    @property
    def horizon(self) -> int:
        """How many sessions ahead the forecasts reach."""
        return int(self.table["step"].max())

    @property
    def targets(self) -> list[date] | None:
        """The sessions forecast, in order; None where they are not the same for all symbols."""
        first, *others = {(fan.last_session, *fan.targets) for fan in self.fans}
        return None if others else list(first[1:])

    @property
    def estimated(self) -> list[str]:
        """The symbols of which some session forecast is an estimate."""
        return [fan.symbol for fan in self.fans if any(fan.estimated)]

    @cached_property
    def fans(self) -> tuple[Fan, ...]:
        """One Fan per symbol, in the order of `symbols`."""
        history = dict(iter(self.history.groupby("symbol", sort=False)))
        baseline = _by_symbol(self.baselines.get(self.best_baseline or ""))
        tables = self.table.groupby("symbol", sort=False)
        fans = ((symbol, _fan(rows, history.get(symbol), baseline.get(symbol))) for symbol, rows in tables)
        return tuple(
            replace(fan, outlook=self.outlook.symbols[str(symbol)]) if symbol in self.outlook.symbols else fan
            for symbol, fan in fans
        )


def canonical(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return forecasts by symbol and step, dates as `datetime.date`, versions as text or None."""
    defaults = {LAST_SESSION: forecasts["as_of"], ESTIMATED: False}
    missing: dict[str, Any] = {name: value for name, value in defaults.items() if name not in forecasts}
    table = forecasts.assign(**missing)[[*COLUMNS, *defaults]].sort_values(["symbol", "step"], ignore_index=True)
    for column in ("as_of", "target_session", LAST_SESSION):
        table[column] = pd.Series(_dates(table[column]), dtype=object)
    versions = [None if pd.isna(version) or version == "" else str(version) for version in table["model_version"]]
    return table.assign(model_version=pd.Series(versions, dtype=object))


def _fan(rows: pd.DataFrame, history: pd.DataFrame | None, baseline_HQ: Floats | None) -> Fan:
    first = rows.iloc[0]
    past = None if history is None else history.dropna(subset=["close"]).sort_values("session")
    quantiles_HQ = rows[list(QUANTILES)].to_numpy(float)
    # A baseline is not drawn against itself, nor against forecasts of another horizon.
    comparable = baseline_HQ is not None and baseline_HQ.shape == quantiles_HQ.shape
    drawn = comparable and str(first["model"]) not in BASELINES
    return Fan(
        symbol=str(first["symbol"]),
        last_close=float(first["last_close"]),
        model=str(first["model"]),
        model_version=first["model_version"],
        last_session=first[LAST_SESSION],
        targets=tuple(rows["target_session"]),
        estimated=tuple(rows[ESTIMATED].astype(bool)),
        quantiles_HQ=quantiles_HQ,
        baseline_HQ=baseline_HQ if drawn else None,
        sessions=() if past is None else tuple(_dates(past["session"])),
        closes_N=np.empty(0) if past is None else past["close"].to_numpy(float),
    )


def _by_symbol(forecasts: pd.DataFrame | None) -> dict[Any, Floats]:
    if forecasts is None:
        return {}
    ordered = forecasts.sort_values(["symbol", "step"])
    return {symbol: rows[list(QUANTILES)].to_numpy(float) for symbol, rows in ordered.groupby("symbol", sort=False)}


def _dates(days: "pd.Series[Any]") -> list[date]:
    return list(pd.to_datetime(days).dt.date)


def check_prices(forecasts: pd.DataFrame, whose: str) -> None:
    """Raise ValueError, naming the symbols, where a row is no forecast: no finite price above zero, or crossing."""
    prices = forecasts[["last_close", *QUANTILES]].to_numpy(float)
    _refuse(
        forecasts,
        whose,
        {
            "are not finite prices above zero": ~(np.isfinite(prices) & (prices > 0)).all(axis=1),
            "have quantiles that cross": np.asarray((np.diff(prices[:, 1:], axis=1) < 0).any(axis=1)),
        },
    )


def _check(forecasts: pd.DataFrame, as_of: date) -> None:
    missing = [column for column in COLUMNS if column not in forecasts]
    if missing:
        raise ValueError(f"forecasts of {as_of} lack the columns {', '.join(missing)}")
    if forecasts.empty:
        raise ValueError(f"no forecast at all for {as_of}")
    check_prices(forecasts, f"forecasts of {as_of}")
    _refuse(
        forecasts,
        f"forecasts of {as_of}",
        {
            "occur twice": forecasts.duplicated(["symbol", "step"]).to_numpy(),
            f"are not of {as_of}": np.array([day != as_of for day in _dates(forecasts["as_of"])]),
        },
    )


def _refuse(forecasts: pd.DataFrame, whose: str, wrong: Mapping[str, npt.NDArray[np.bool_]]) -> None:
    for problem, rows in wrong.items():
        if rows.any():
            names = ", ".join(sorted(set(forecasts.loc[rows, "symbol"].astype(str))))
            raise ValueError(f"{whose} {problem}: {names}")
