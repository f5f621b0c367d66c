"""Forecast skill of this project and its peers: `python -m benchmarks.skill --files prices.parquet --peers PYTHON`.

Each case is a process that leaves its forecasts in the folder `--out`: the product's own backtest with each network and
seed, with its baselines, and neuralforecast and darts as shipped and on the product's scaled target. One scorer then
evaluates all of them on the windows that all of them forecast. After an interruption it resumes where it stopped;
`--score-only` scores the files in the folder, including forecasts from elsewhere in the same columns. PIPELINE_*
settings are the product's. The exit status says only whether everything ran.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measure import environment
from benchmarks.skill.cases import Case, Request, cases, code
from benchmarks.skill.prices import Outcomes, chosen, price_table
from benchmarks.skill.saved import BASELINES, NETWORKS, Saved
from benchmarks.skill.scorer import score
from benchmarks.skill.tables import as_markdown
from benchmarks.skill.windows import judge
from pipeline.storage.atomic_files import write_atomic

_FULL = {"first": date(2012, 6, 1), "last": date(2012, 12, 31), "refit_every": 252, "seeds": 3, "training_steps": None}
_QUICK = {**_FULL, "first": date(2012, 11, 1), "refit_every": 21, "seeds": 1, "training_steps": 30}


def main(argv: Sequence[str] | None = None) -> int:
    """Run missing cases, score everything, print the tables."""
    parser = _parser()
    given = parser.parse_args(argv)
    if given.files and not given.score_only and not (given.first and given.last):
        parser.error("--files needs --from and --to: which of its sessions to forecast from")
    for name, value in (_QUICK if given.quick else _FULL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    out = given.out.absolute()
    saved = Saved(out / "quantiles")
    failed: list[str] = []
    if given.score_only:
        names = saved.names()
    else:
        try:
            request = _request(given, out)
        except ValueError as error:
            raise SystemExit(f"error: {error}") from None
        names, failed = _run(list(cases(request)), saved)
    sys.stderr.writelines(f"{words}\n" for words in failed)
    tables = scored(saved, names, pd.read_parquet(out / "prices.parquet"))
    sys.stdout.write("\n".join(as_markdown(table) for table in tables))
    sys.stdout.writelines(_remarks(saved, names))
    if given.quick:
        sys.stdout.write("Quick: trained briefly and on few sessions, these numbers show only that everything runs.\n")
    if given.json:
        about = {name: saved.about(name) for name in names}
        content = {"tables": tables, "files": about, "environment": environment()}
        given.json.write_text(json.dumps(content, indent=1))
    return 1 if failed else 0


def scored(saved: Saved, names: Sequence[str], prices: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table of all models over the steps that all have, and another of those with more steps."""
    everyone = saved.forecasters(names)
    if not everyone:
        raise SystemExit(f"there are no forecasts in {saved.folder}")
    outcomes = Outcomes(prices)
    shared = frozenset.intersection(*(one.steps for one in everyone))
    widest = max((one.steps for one in everyone), key=len)
    tables = []
    for steps in dict.fromkeys([shared, widest]):
        able = [one for one in everyone if one.steps >= steps]
        if steps:
            tables.append(score(judge(able, outcomes, sorted(steps)), able))
    return tables


def _request(given: argparse.Namespace, out: Path) -> Request:
    """Return the validated request, and write the table of prices."""
    if given.events and not given.events.is_file():
        raise ValueError(f"--events {given.events}: there is no such file")
    table = chosen(price_table(given.files, given.last), given.symbols)
    request = Request(
        out=out,
        files=given.files.absolute() if given.files else None,
        data=hashlib.sha256(given.files.read_bytes()).hexdigest() if given.files else "sample",
        symbols=tuple(sorted(table["symbol"].unique())),
        first=given.first,
        last=min(given.last, table["session"].max().date()),  # the product refuses a day that its source lacks
        refit_every=given.refit_every,
        horizon=given.horizon,
        networks=tuple(given.networks),
        seeds=given.seeds,
        peers=given.peers.absolute() if given.peers else None,  # not resolved: the link names its environment
        peer_steps=tuple(given.peer_steps),
        peer_seeds=given.peer_seeds,
        training_steps=given.training_steps,
        events=given.events.absolute() if given.events else None,
        events_data=hashlib.sha256(given.events.read_bytes()).hexdigest() if given.events else "",
    )
    write_atomic(request.prices, table.to_parquet(index=False))
    return request


def _run(todo: Sequence[Case], saved: Saved) -> tuple[list[str], list[str]]:
    """Run missing cases; return the names of all files then present, and the failures."""
    failed = []
    for at, case in enumerate(todo, start=1):
        began = time.perf_counter()
        words = "already present"
        if not case.done(saved):
            try:
                case.run(saved)
                words = f"{time.perf_counter() - began:,.0f} s"
            except RuntimeError as error:
                failed.append(str(error))
                words = "failed"
        sys.stderr.write(f"{at} of {len(todo)}, {case.name}: {words}\n")
    done = [case for case in todo if case.done(saved)]
    there = [BASELINES] if any(case.ours for case in done) else []
    return there + [case.name for case in done], failed


def _remarks(saved: Saved, names: Sequence[str]) -> Iterator[str]:
    """Yield remarks that the forecasts themselves do not show."""
    now = code()
    for name in names:
        about = saved.about(name)
        if about.get("code", now) != now:
            yield f"Forecast by another version of the code, {name}: remove the file to renew it.  \n"
        for reason in about.get("not_trained", []):
            yield f"A fold without a network, which reduces the windows of all models, {name}: {reason}.  \n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skill", description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=Path, help="long table of prices, CSV or Parquet; default: the packaged sample")
    parser.add_argument(
        "--events", type=Path, help="scheduled events of the product's backtests, CSV or Parquet: symbol, date, …"
    )
    parser.add_argument("--from", dest="first", type=date.fromisoformat, help="first day to forecast from")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, help="last day; nothing after it is read")
    parser.add_argument("--symbols", nargs="+", default=[], help="their names, or how many, in alphabetical order")
    parser.add_argument("--refit-every", type=int, help="sessions that one model forecasts, default 252")
    parser.add_argument("--horizon", type=int, default=5, help="sessions forecast, default 5")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--seeds", type=int, help="of each network, default 3")
    parser.add_argument(
        "--peers", type=Path, metavar="PYTHON", help="interpreter with benchmarks/requirements.txt installed"
    )
    parser.add_argument("--peer-steps", type=int, nargs="+", default=[1, 5], help="a peer is trained for each step")
    parser.add_argument("--peer-seeds", type=int, default=1)
    parser.add_argument("--training-steps", type=int, help="for all models, instead of their own defaults")
    parser.add_argument(
        "--out", type=Path, default=Path("var/bench-skill"), metavar="FOLDER", help="working folder, kept"
    )
    parser.add_argument("--score-only", action="store_true", help="run nothing, score the forecasts in the folder")
    parser.add_argument("--quick", action="store_true", help="few sessions and steps, to check that everything runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
