"""Real faults found by the quality rules, and their false alarms, as a Markdown table.

    python benchmarks/faults.py --data FOLDER

FOLDER is a private collection of real bad series and their corrections; its prices cannot be distributed. Each pair
goes through the source `files` and the rules exactly as in `python -m pipeline audit`, under both spellings of its
symbol (AET.L and AET-L). The comparison is a rule of thumb: more than a threefold jump from close to close.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.config import Settings
from pipeline.prices.quality import Checked, check_bars
from pipeline.prices.sources.files import FilesSource
from pipeline.prices.sources.sample import SampleSource

Floats = NDArray[np.float64]

_TABLE = ["symbol", "date", "open", "high", "low", "close", "volume", "adj_close", "dividends", "splits"]
_CLEAN = ["us113_2006_2023", "sp500_2018_2023", "sp500_2013_2018", "raw_unadjusted/prices", "faults/fx171"]
_ALARM = ("quarantine", "reject")
_THUMB = np.log(3.0)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The findings of the rules in one file: session, verdict and rule of each, and the notes."""

    bars: pd.DataFrame
    checked: Checked

    @property
    def alarms(self) -> pd.DataFrame:
        """The findings that hold a bar back."""
        found: pd.DataFrame = self.checked.verdicts
        return found[found["verdict"].isin(_ALARM)]


def check_file(table: pd.DataFrame, folder: Path, name: str) -> Result:
    """Write a long table, read it as a source and check it, as the audit does."""
    path = folder / f"{name}.parquet"
    table.to_parquet(path)
    source = FilesSource(path)
    bars = source.bars(source.symbols(), source.last_session())
    return Result(bars=bars, checked=check_bars(bars, Settings().clock))


def yahoo_table(path: Path, symbol: str) -> pd.DataFrame:
    """Read a series of the collection as a long table for the source `files`; timestamps stay text."""
    frame = pd.read_csv(path).rename(columns=lambda name: name.lower().replace(" ", "_"))
    frame = frame.rename(columns={"datetime": "date", "stock_splits": "splits"})
    return frame.assign(symbol=symbol)[_TABLE]


def pairs(data: Path) -> list[tuple[str, str, Path, Path | None]]:
    """Return symbol (as AET-L), kind, the bad file and the right one; None for the controls."""
    found = []
    for path in sorted((data / "faults" / "yahoo").glob("*.csv")):
        if path.stem.endswith("-fixed"):
            continue
        for interval in ("-1d-", "-1h-", "-15m-", "-1wk-"):
            if interval in path.stem:
                symbol, _, kind = path.stem.partition(interval)
        fixed = path.with_name(f"{path.stem}-fixed.csv")
        found.append((symbol, kind, path, fixed if fixed.exists() else None))
    return found


def differing(bad: pd.DataFrame, right: pd.DataFrame) -> set[pd.Timestamp]:
    """Return the sessions at which a bad series differs from the right one.

    Where only the adjusted close differs, the sessions are those at which its factor steps otherwise: the ex-dates.
    """
    bad, right = (frame.assign(day=frame["date"].str[:10]).sort_values("date", kind="stable") for frame in (bad, right))
    bad, right = (frame.drop_duplicates("date").set_index("date") for frame in (bad, right))
    right = right.reindex(bad.index)
    names = ["open", "high", "low", "close", "dividends"]
    off = _unlike(bad[names].to_numpy(float), right[names].to_numpy(float)).any(axis=1)
    usable = (bad["close"].notna() & right["close"].notna()).to_numpy()
    stepped = np.zeros(len(bad), bool)
    stepped[np.flatnonzero(usable)] = _unlike(_steps(bad[usable]), _steps(right[usable]), tolerance=3e-4)
    if (off & ~_unlike(bad[["dividends"]].to_numpy(float), right[["dividends"]].to_numpy(float)).any(axis=1)).any():
        stepped[:] = False  # the prices themselves differ: their bars are the fault
    return set(pd.to_datetime(bad["day"][off | stepped]))


def _unlike(one: Floats, other: Floats, *, tolerance: float = 2e-3) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        near = np.abs(one - other) <= tolerance * np.abs(other)
    return np.asarray(~near & ~(np.isnan(one) & np.isnan(other)))


def _steps(frame: pd.DataFrame) -> Floats:
    factor = frame["adj_close"].to_numpy(float) / frame["close"].to_numpy(float)
    return np.append(1.0, factor[1:] / factor[:-1])


def thumb(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the bars that the rule of thumb flags."""
    ordered = bars.sort_values(["symbol", "session"], kind="stable")
    before = ordered.groupby("symbol")["close"].shift()
    with np.errstate(divide="ignore", invalid="ignore"):
        jump = np.abs(np.log(ordered["close"] / before))
    found: pd.DataFrame = ordered[jump > _THUMB]
    return found


def measure_pairs(data: Path, folder: Path, spelling: str) -> pd.DataFrame:
    """Return one row for each series of the collection: the faults, and the findings."""
    rows = []
    for name, kind, path, fixed in pairs(data):
        symbol = name.replace("-", spelling)
        bad = yahoo_table(path, symbol)
        result = check_file(bad, folder, "bad")
        right = check_file(yahoo_table(fixed, symbol), folder, "right") if fixed else result
        faulty = differing(bad, yahoo_table(fixed, symbol)) if fixed else set()
        found = result.checked.verdicts
        flagged, held = set(found["session"]), set(result.alarms["session"])
        empty = right.alarms["rule"] == "missing_price"
        rows.append(
            {
                "symbol": symbol,
                "kind": kind if fixed else "control",
                "faulty": len(faulty),
                "flagged": len(faulty & flagged),
                "held": len(faulty & held),
                "elsewhere": len(flagged - faulty),
                "thumb": len(set(thumb(result.bars)["session"]) - set(thumb(right.bars)["session"])),
                "alarms_right": int((~empty).sum()),
                "empty_right": int(empty.sum()),
                "warns_right": int((right.checked.verdicts["verdict"] == "warn").sum()),
                "thumb_right": len(thumb(right.bars)),
                "rules": ",".join(sorted(set(found["rule"]))),
                "rules_right": ",".join(sorted(set(right.checked.verdicts["rule"]))),
                "notes": ",".join(sorted({note.rule for note in result.checked.notes})),
            }
        )
    return pd.DataFrame(rows)


def measure_clean(data: Path, folder: Path, catalogue: pd.DataFrame) -> pd.DataFrame:
    """Return findings per 100,000 bars of the large sets, without catalogued faults."""
    rows = []
    for name in [*_CLEAN, "sample"]:
        if name == "sample":
            bars = SampleSource().bars(SampleSource().symbols(), pd.Timestamp("2013-03-01").date())
            result = Result(bars=bars, checked=check_bars(bars, Settings().clock))
        else:
            table = pd.read_parquet(data / f"{name}.parquet")
            result = check_file(table if "volume" in table else table.assign(volume=0.0), folder, "clean")
        known = catalogue[catalogue["set"].map(set_of) == name]
        rows.append({"set": name.split("/")[-1].replace("prices", "raw_unadjusted"), **rates_of(result, known)})
    return pd.DataFrame(rows)


def set_of(name: str) -> str:
    """Return the folder of a set of prices that the catalogue calls by another name."""
    return {"us113_2006_2026": "us113_2006_2023", "lean_raw_unadjusted": "raw_unadjusted/prices"}.get(name, name)


def rates_of(result: Result, known: pd.DataFrame) -> dict[str, float]:
    """Return how many bars outside the `known` faults are held back or warned of, also per 100,000 bars."""
    keys = set(zip(known["symbol"], pd.to_datetime(known["date"]), strict=True))
    days = {day for symbol, day in keys if symbol == "*"}

    def is_known(frame: pd.DataFrame) -> np.ndarray:
        one = [
            (symbol, day) in keys or day in days for symbol, day in zip(frame["symbol"], frame["session"], strict=True)
        ]
        return np.array(one, bool)

    found = result.checked.verdicts
    unknown = found[~is_known(found)]
    held = unknown[unknown["verdict"].isin(_ALARM)].drop_duplicates(["symbol", "session"])
    rough = thumb(result.bars)
    rough = rough[~is_known(rough)]
    scale = 1e5 / len(result.bars)
    return {
        "bars": len(result.bars),
        "held": len(held),
        "held_rate": len(held) * scale,
        "symbols_held": held["symbol"].nunique(),
        "warned": int((unknown["verdict"] == "warn").sum()),
        "warned_rate": int((unknown["verdict"] == "warn").sum()) * scale,
        "thumb_rate": len(rough) * scale,
        "notes": len(result.checked.notes),
    }


def measure_catalogue(data: Path, folder: Path, catalogue: pd.DataFrame) -> pd.DataFrame:
    """Return, for each kind of catalogued fault in the large sets, how many were found, and by which rules."""
    parts = []
    for name in ["us113_2006_2023", "sp500_2018_2023", "sp500_2013_2018", "raw_unadjusted/prices"]:
        known = catalogue[(catalogue["set"].map(set_of) == name) & (catalogue["kind"] != "missing_session")]
        result = check_file(pd.read_parquet(data / f"{name}.parquet"), folder, "clean")
        found = result.checked.verdicts
        rough = set(zip(thumb(result.bars)["symbol"], thumb(result.bars)["session"], strict=True))
        for row in known.astype({"date": str}).itertuples():
            day = pd.Timestamp(str(row.date))
            at = (
                found[found["session"] == day]
                if row.symbol == "*"
                else found[(found["symbol"] == row.symbol) & (found["session"] == day)]
            )
            verdicts, rules = sorted(set(at["verdict"])), sorted(set(at["rule"]))
            parts.append(
                {
                    "kind": row.kind,
                    "symbol": row.symbol,
                    "date": row.date,
                    "found": len(at) > 0,
                    "held": any(verdict in _ALARM for verdict in verdicts),
                    "thumb": (row.symbol, day) in rough,
                    "rules": ",".join(rules),
                }
            )
    return pd.DataFrame(parts)


def report(data: Path, *, verbose: bool = False) -> str:
    """Return the tables in Markdown."""
    catalogue = pd.read_csv(data / "faults" / "CATALOGUE.csv")
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        by_spelling = {one: measure_pairs(data, folder, one) for one in (".", "-")}
        for spelling, one in by_spelling.items():
            lines += [f"### Pairs, symbols spelled AET{spelling}L", "", _pairs_table(one), ""]
            if verbose:
                lines += [one.drop(columns="notes").to_string(), ""]
        kinds = measure_catalogue(data, folder, catalogue)
        lines += ["### Catalogued bars in the large sets", "", _kinds_table(kinds), ""]
        if verbose:
            lines += [kinds.to_string(), ""]
        lines += [
            "### The large sets, catalogued bars left out",
            "",
            _clean_table(measure_clean(data, folder, catalogue)),
            "",
        ]
    return "\n".join(lines)


def _pairs_table(table: pd.DataFrame) -> str:
    heads = ["kind", "series", "found", "found and held back", "found by the rule of thumb", "faulty sessions flagged"]
    rows = []
    for kind, part in table.groupby("kind", sort=True):
        found, held, rough = (str((part[name] > 0).sum()) for name in ("flagged", "held", "thumb"))
        if kind == "control":
            found = held = rough = "–"
        sessions = f"{part['flagged'].sum()} of {part['faulty'].sum()}"
        alarms = [f"{part[name].sum()} in {(part[name] > 0).sum()}" for name in ("alarms_right", "thumb_right")]
        rows.append([kind, len(part), found, held, rough, sessions, part["elsewhere"].sum(), *alarms])
    return _markdown([*heads, "other sessions flagged", "alarms on the right series", "of the rule of thumb"], rows)


def _kinds_table(table: pd.DataFrame) -> str:
    rows = []
    for kind, part in table.groupby("kind", sort=True):
        rules = sorted({rule for text in part["rules"] for rule in text.split(",") if rule})
        rows.append([kind, len(part), *(part[name].sum() for name in ("found", "held", "thumb")), ", ".join(rules)])
    return _markdown(["kind", "bars", "flagged", "held back", "rule of thumb", "rules"], rows)


def _clean_table(table: pd.DataFrame) -> str:
    rows = [
        [
            *(row["set"], f"{row['bars']:,}", row["held"], f"{row['held_rate']:.1f}", row["symbols_held"]),
            *(row["warned"], f"{row['warned_rate']:.1f}", f"{row['thumb_rate']:.1f}", row["notes"]),
        ]
        for row in table.to_dict("records")
    ]
    heads = ["set", "bars", "held back", "per 100,000", "of symbols", "warned", "per 100,000"]
    return _markdown([*heads, "rule of thumb per 100,000", "notes"], rows)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|--|{'--:|' * (len(heads) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the collection")
    parser.add_argument("--verbose", action="store_true", help="one line for each series as well")
    arguments = parser.parse_args()
    sys.stdout.write(report(arguments.data, verbose=arguments.verbose) + "\n")
