"""What the findings come to, in a few rows and lines: for logs, the terminal, audit.json, the report and MLflow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.prices.quality.findings import OF_SERIES, SEVERITY, Note

_MOST_REASONS, _MOST_SYMBOLS = 12, 3


def top_reasons(findings: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the most frequent reasons, the severest verdict first: verdict, rule, bars, symbols, detail (an example).

    `findings` has one row for each finding: symbol, session, verdict, rule, detail. `symbols` names the first few of
    `symbol_count`.
    """
    rows: list[dict[str, Any]] = []
    for (verdict, rule), part in findings.groupby(["verdict", "rule"], sort=True):
        names = sorted(part["symbol"].unique())
        rows.append(
            {
                "verdict": str(verdict),
                "rule": str(rule),
                "bars": len(part.drop_duplicates(["symbol", "session"])),
                "symbol_count": len(names),
                "symbols": [str(name) for name in names[:_MOST_SYMBOLS]],
                "detail": str(part.sort_values(["session", "symbol"])["detail"].iloc[-1]),
            }
        )
    return sorted(rows, key=lambda row: (-SEVERITY[row["verdict"]], -row["bars"], row["rule"]))[:_MOST_REASONS]


def unique_notes(notes: Iterable[Note]) -> list[Note]:
    """Return the notes by symbol and rule, the same one once."""
    found = {(note["symbol"], note["rule"], note["detail"]): note for note in notes}
    return [found[key] for key in sorted(found)]


def reason_lines(reasons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each reason."""
    return [_reason(row) for row in reasons]


def note_lines(notes: Sequence[Mapping[str, str]]) -> list[str]:
    """Return one line for each note about a symbol."""
    return [f"{note['symbol'] or 'the source'}: {note['detail']} ({note['rule']})" for note in notes]


def _reason(row: Mapping[str, Any]) -> str:
    bars = f"{row['bars']:,} bar{'s' * (row['bars'] != 1)}"
    more = row["symbol_count"] - len(row["symbols"])
    names = ", ".join(row["symbols"]) + (f" and {more:,} more" if more > 0 else "")
    told = f"{row['verdict']} {row['rule']}: {bars} of {names}"
    if row["rule"] in OF_SERIES:  # its detail is the symbol's note
        return told
    return f"{told}, {'' if row['bars'] == 1 else 'e.g. '}{row['detail']}"
