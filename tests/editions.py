"""One small edition to publish: three symbols, two sessions ahead, a network that beat the baseline."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.decision import Decision
from pipeline.evaluation.model_scores import Scores
from pipeline.forecast_schema import QUANTILES
from pipeline.prices.audit_types import Audit
from pipeline.publishing.edition import Edition
from pipeline.publishing.published_files import SymbolReason
from pipeline.storage.documents import from_document

AS_OF = date(2013, 3, 1)
SPREAD = np.array([-1.7, -1.3, -0.65, 0.0, 0.65, 1.3, 1.7])


def forecasts(
    symbols: tuple[str, ...] = ("AAPL", "^GSPC", "EURUSD=X"),
    *,
    as_of: date = AS_OF,
    horizon: int = 2,
    model: str = "lstm",
    version: str = "3",
    width: float = 0.01,
) -> pd.DataFrame:
    rows = []
    for place, symbol in enumerate(symbols):
        close = 100.0 + 10 * place
        for step in range(1, horizon + 1):
            prices = close * np.exp(SPREAD * width * np.sqrt(step))
            target = as_of + timedelta(days=2 + step)
            rows.append([symbol, as_of, step, target, close, model, version, *prices])
    keys = ["symbol", "as_of", "step", "target_session", "last_close", "model", "model_version"]
    return pd.DataFrame(rows, columns=[*keys, *QUANTILES])


def history(symbols: tuple[str, ...], as_of: date) -> pd.DataFrame:
    sessions = [as_of - timedelta(days=back) for back in range(79, -1, -1)]
    closes = 100 + np.sin(np.arange(80) / 5)
    frames = [pd.DataFrame({"symbol": each, "session": sessions, "close": closes}) for each in symbols]
    return pd.concat(frames, ignore_index=True)


def score(crps: float, coverage_90: float = 0.9) -> dict[str, Any]:
    by_step = [{"step": step, "crps_bp": crps * step, "coverage_90": coverage_90} for step in (1, 2)]
    held = {"coverage_50": 0.5, "coverage_80": 0.8, "coverage_90": coverage_90}
    middle = {"mae_over_random_walk": 1.001, "direction": 0.512, "direction_low": 0.471, "direction_high": 0.553}
    order = {"up": 0.53, "rank_ic": 0.0213, "rank_ic_t": 1.26, "rank_ic_sessions": 252}
    return {"crps_bp": crps, **held, **middle, **order, "by_step": by_step}


def compared(baseline: str, skill: float, p: float, model: str = "lstm") -> dict[str, Any]:
    """A row of scores.json's comparisons, of two."""
    test = {"skill_percent": skill, "t": 2.03, "p": p, "p_holm": 2 * p, "sessions": 252}
    return {"model": model, "baseline": baseline, **test}


def scores_from(document: Mapping[str, Any]) -> Scores:
    """Return scores from the document that scores.json would hold."""
    return from_document(Scores, document, where="scores.json", remedy="fix the test")


def decision_from(document: Mapping[str, Any]) -> Decision:
    """Return a decision from the document that decision.json would hold."""
    return from_document(Decision, document, where="decision.json", remedy="fix the test")


def edition(*, as_of: date = AS_OF, horizon: int = 2, **fields: Any) -> Edition:
    """Return the edition, with the fields put over it that are named."""
    frame = fields.pop("forecasts", None)
    frame = forecasts(as_of=as_of, horizon=horizon) if frame is None else frame
    symbols = tuple(frame["symbol"].unique()) or ("AAPL",)
    baseline = {
        "ewma_historical": forecasts(
            symbols, as_of=as_of, horizon=horizon, model="ewma_historical", version="", width=0.012
        )
    }
    given = {
        "as_of": as_of,
        "exchange": "XNYS",
        "forecasts": frame,
        "history": history(symbols, as_of),
        "scores": {
            "first": "2012-03-01",
            "last": "2013-02-22",
            "sessions": 252,
            "models": {"lstm": score(82.0), "ewma_historical": score(84.0), "random_walk": score(90.0)},
            "comparisons": [compared("ewma_historical", 2.38, 0.0212), compared("random_walk", 8.9, 0.0001)],
        },
        "decision": {
            "model": "lstm",
            "model_version": "3",
            "promoted": True,
            "reason": "The challenger takes over.",
            "champion": None,
            "best_baseline": "ewma_historical",
        },
        "baselines": baseline,
        "audit": Audit(accept=240, warn=1),
        "provenance": {"source": "sample", "data_digest": "ab" * 32, "mlflow_run_id": "r1"},
    }
    values = {**given, **fields}
    if isinstance(values["scores"], Mapping):
        values["scores"] = scores_from(values["scores"])
    if isinstance(values["decision"], Mapping):
        values["decision"] = decision_from(values["decision"])
    for name in ("withheld", "fallbacks"):
        values[name] = tuple(SymbolReason(**row) if isinstance(row, Mapping) else row for row in values.get(name, ()))
    return Edition(**values)
