"""Speed and accuracy of the baselines: `python -m benchmarks.baselines`.

On synthetic returns it times what a daily run needs of each: the holdout sessions, and the last one. One thread of one
process, no files, CPU time. With `--prices FILE` (as the `files` source reads it) it scores each baseline from every
session between `--first` and `--last`.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from pipeline.evaluation.metrics import crps_bp, inside
from pipeline.forecast_schema import BASELINE_FAMILIES, LEVELS
from pipeline.modeling.baseline_notes import BaselineNotes
from pipeline.modeling.baselines import baseline_forecasts, forecastable
from pipeline.modeling.baselines.garch_fit import fit
from pipeline.modeling.data.features import Features, future_returns, make_features
from pipeline.modeling.data.panel import Panel
from pipeline.modeling.data.panel_from_bars import panel_from_bars
from pipeline.modeling.data.windows import Origins, usable_origins, with_targets
from pipeline.prices.sources.files import FilesSource

SEED = 20_260_102


def main(argv: Sequence[str] | None = None) -> int:
    """Time or score each baseline and print the table."""
    given = _parser().parse_args(argv)
    lines = _timed(given) if given.prices is None else _scored(given)
    for line in lines:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


def _timed(given: argparse.Namespace) -> Iterator[str]:
    features = _synthetic(given.symbols, given.sessions)
    origins = _holdout(features, given.held_out, given.horizon)
    fit(features.panel.return_ST[0])  # imports on first use are not timed
    yield "| baseline | holdout, CPU s | last session, CPU s | notes |"
    yield "|---|---:|---:|---|"
    total = 0.0
    for name in BASELINE_FAMILIES:
        began = time.process_time()
        made = baseline_forecasts(features, origins, horizon=given.horizon, levels=LEVELS, families=[name])
        notes = made[name].notes
        evaluated = time.process_time()
        baseline_forecasts(features, forecastable(features), horizon=given.horizon, levels=LEVELS, families=[name])
        done = time.process_time()
        total += done - began
        yield f"| `{name}` | {evaluated - began:.1f} | {done - evaluated:.1f} | {_in_words(notes)} |"
    yield f"\n{given.symbols} symbols of {given.sessions} sessions, {len(origins)} forecasts: {total:.1f} s in all"


def _scored(given: argparse.Namespace) -> Iterator[str]:
    source = FilesSource(given.prices)
    bars = source.bars(source.symbols(), source.last_session())
    features = make_features(panel_from_bars(bars))
    future_STH = future_returns(features.panel.return_ST, given.horizon)
    origins = with_targets(usable_origins(features, 60), future_STH)
    day_N = features.panel.days(origins.s_N, origins.t_N)
    origins = origins.where((day_N >= np.datetime64(given.first)) & (day_N <= np.datetime64(given.last)))
    actual_NH = future_STH[origins.s_N, origins.t_N]
    yield "| baseline | CRPS, bp | 1 session ahead | the last one | coverage of 50 % | of 90 % | notes |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for name, made in baseline_forecasts(features, origins, horizon=given.horizon, levels=LEVELS).items():
        quantiles_NHQ = made.quantiles_NHQ
        crps_H = crps_bp(quantiles_NHQ, actual_NH, LEVELS).mean(axis=0)
        coverage = " | ".join(f"{inside(quantiles_NHQ, actual_NH, LEVELS, share).mean():.1%}" for share in (50, 90))
        crps = " | ".join(f"{value:.2f}" for value in (crps_H.mean(), crps_H[0], crps_H[-1]))
        yield f"| `{name}` | {crps} | {coverage} | {_in_words(made.notes)} |"
    yield f"\n{len(features.panel.symbols)} symbols, {len(origins)} forecasts over {given.horizon} sessions"


def _synthetic(symbols: int, sessions: int) -> Features:
    """Return the features of synthetic symbols: GARCH(1,1) returns with Student's t, each with its own parameters."""
    rng = np.random.default_rng(SEED)
    alpha_S, both_S = rng.uniform(0.03, 0.15, symbols), rng.uniform(0.9, 0.995, symbols)
    shocks_ST = rng.standard_t(5, (symbols, sessions)) * np.sqrt(3 / 5)
    return_ST, variance_S = np.empty((symbols, sessions)), np.ones(symbols)
    for t in range(sessions):
        return_ST[:, t] = np.sqrt(variance_S) * shocks_ST[:, t]
        variance_S = 1 - both_S + alpha_S * return_ST[:, t] ** 2 + (both_S - alpha_S) * variance_S
    return_ST *= rng.uniform(0.008, 0.03, (symbols, 1))
    close_ST = np.exp(np.cumsum(return_ST, axis=1))
    return make_features(
        Panel(
            symbols=tuple(f"S{s:05}" for s in range(symbols)),
            market_S=np.zeros(symbols, np.int64),
            days_MT=np.datetime64("2000-01-03", "D") + np.arange(sessions)[None],
            open_ST=close_ST,
            high_ST=close_ST,
            low_ST=close_ST,
            close_ST=close_ST,
            volume_ST=np.ones_like(close_ST),
            return_ST=return_ST,
        )
    )


def _holdout(features: Features, count: int, horizon: int) -> Origins:
    last = features.panel.last - horizon
    s_N, t_N = np.nonzero(np.isfinite(features.scale_ST[:, last - count + 1 : last + 1]))
    return Origins(s_N=s_N, t_N=t_N + last - count + 1)


def _in_words(notes: BaselineNotes) -> str:
    words = [f"{notes.fits} fits"] if notes.fits is not None else []
    words += [f"{count.forecasts} by EWMA for {reason}" for reason, count in (notes.by_ewma or {}).items()]
    return "; ".join(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baselines", description=__doc__.partition("\n")[0])
    parser.add_argument("--symbols", type=int, default=500, help="number of symbols, default 500")
    parser.add_argument("--sessions", type=int, default=2500, help="history of each, default 2500")
    parser.add_argument("--held-out", type=int, default=252, help="sessions forecast from, default 252")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="score on these prices instead")
    parser.add_argument("--first", type=date.fromisoformat, default=date.min, help="first session forecast from")
    parser.add_argument("--last", type=date.fromisoformat, default=date.max, help="last session forecast from")
    parser.add_argument("--horizon", type=int, default=5, help="sessions forecast, default 5")
    return parser


if __name__ == "__main__":
    sys.exit(main())
