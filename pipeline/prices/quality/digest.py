"""Summary of findings in a few rows and lines, for logs, the terminal, audit.json, the report and MLflow."""

from collections.abc import Iterable, Sequence
from typing import cast

import pandas as pd

from pipeline.prices.audit_types import Note, Reason, Verdict
from pipeline.prices.quality.findings import OF_SERIES, SEVERITY

_MOST_REASONS, _MOST_SYMBOLS = 12, 3


def top_reasons(findings: pd.DataFrame) -> list[Reason]:
    """Return the most frequent reasons, the severest verdict first.

    `findings` has one row for each finding: symbol, session, verdict, rule, detail.
    """
    rows: list[Reason] = []
    for (verdict, rule), part in findings.groupby(["verdict", "rule"], sort=True):
        names = sorted(part["symbol"].unique())
        rows.append(
            Reason(
                verdict=cast(Verdict, verdict),
                rule=str(rule),
                bars=len(part.drop_duplicates(["symbol", "session"])),
                symbol_count=len(names),
                symbols=tuple(str(name) for name in names[:_MOST_SYMBOLS]),
                detail=str(part.sort_values(["session", "symbol"])["detail"].iloc[-1]),
            )
        )
    return sorted(rows, key=lambda row: (-SEVERITY[row.verdict], -row.bars, row.rule))[:_MOST_REASONS]


def unique_notes(notes: Iterable[Note]) -> list[Note]:
    """Return the notes sorted by symbol and rule, without repetitions."""
    found = {(note.symbol, note.rule, note.detail): note for note in notes}
    return [found[key] for key in sorted(found)]


def reason_lines(reasons: Sequence[Reason]) -> list[str]:
    """Return one line for each reason."""
    return [_reason(row) for row in reasons]


def note_lines(notes: Sequence[Note]) -> list[str]:
    """Return one line for each note about a symbol."""
    return [f"{note.symbol or 'the source'}: {note.detail} ({note.rule})" for note in notes]


def _reason(row: Reason) -> str:
    bars = f"{row.bars:,} bar{'s' * (row.bars != 1)}"
    more = row.symbol_count - len(row.symbols)
    names = ", ".join(row.symbols) + (f" and {more:,} more" if more > 0 else "")
    line = f"{row.verdict} {row.rule}: {bars} of {names}"
    if row.rule in OF_SERIES:  # its detail is the symbol's note
        return line
    return f"{line}, {'' if row.bars == 1 else 'e.g. '}{row.detail}"
