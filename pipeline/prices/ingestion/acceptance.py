"""Acceptance of checked bars where the bars alone do not decide: large corrections, bars released by a person, partly
rewritten histories.
"""

from dataclasses import replace
from datetime import date

import pandas as pd

from pipeline.prices.quality import Checked, bar_as_json

# A rewritten history with a larger share of doubtful bars was only partly rewritten: the old one stays.
PARTIAL_REWRITE = 0.02


def hold_again(checked: Checked, still: pd.DataFrame) -> Checked:
    """Hold back the bars that are in quarantine already, for the same reason."""
    if still.empty:
        return checked
    columns = list(checked.held_back.columns)
    held = pd.concat([checked.held_back, still[columns]], ignore_index=True)
    verdicts = pd.concat([checked.verdicts, still[list(checked.verdicts.columns)]], ignore_index=True)
    return replace(checked, held_back=held, verdicts=verdicts)


def hold_doubtful(checked: Checked, doubtful: pd.DataFrame) -> Checked:
    """Hold back the `doubtful` corrections that no rule has held back already."""
    if doubtful.empty:
        return checked
    keys = pd.MultiIndex.from_frame(doubtful[["symbol", "session"]])
    mine = pd.MultiIndex.from_frame(checked.kept[["symbol", "session"]]).isin(keys)
    detail = "the vendor's correction differs from the stored bar by more than 10 %, and not by one ratio"
    found = {"verdict": "quarantine", "rule": "doubtful_revision", "detail": detail}
    held = checked.kept[mine].assign(**found)
    verdicts = pd.concat([checked.verdicts, held[list(checked.verdicts.columns)]], ignore_index=True)
    columns = list(checked.held_back.columns)
    return replace(
        checked,
        kept=checked.kept[~mine].reset_index(drop=True),
        held_back=pd.concat([checked.held_back, held[columns]], ignore_index=True),
        verdicts=verdicts,
    )


def accept_released(checked: Checked, through: set[tuple[str, date, str]]) -> Checked:
    """Accept the bars that a person has released."""
    held = checked.held_back
    if held.empty or not through:
        return checked
    free = [(row["symbol"], row["session"].date(), bar_as_json(row)) in through for _, row in held.iterrows()]
    if not any(free):
        return checked
    columns = [name for name in checked.kept.columns if name in held.columns]
    kept = pd.concat([checked.kept, held.loc[free, columns].assign(verdict="accept")], ignore_index=True)
    kept = kept.drop_duplicates(["symbol", "session"], keep="last")
    return replace(
        checked,
        kept=kept.sort_values(["symbol", "session"], kind="stable", ignore_index=True),
        held_back=held[[not one for one in free]].reset_index(drop=True),
    )


def refuse_partial_rewrites(checked: Checked, rewritten: frozenset[str]) -> tuple[Checked, frozenset[str]]:
    """Drop rewritten histories with too many doubtful bars; return their symbols as well."""
    held = checked.held_back.drop_duplicates(["symbol", "session"])["symbol"].value_counts()
    kept = checked.kept["symbol"].value_counts()
    refused = frozenset(
        symbol
        for symbol in rewritten
        if held.get(symbol, 0) > PARTIAL_REWRITE * (held.get(symbol, 0) + kept.get(symbol, 0))
    )
    if not refused:
        return checked, refused
    stays = ~checked.kept["symbol"].isin(refused)
    return replace(checked, kept=checked.kept[stays].reset_index(drop=True)), refused


def without_known_applied(bars: pd.DataFrame, stored: pd.DataFrame, marked: frozenset[str]) -> pd.DataFrame:
    """Return an answer without the dividends that a later session has shown to be contained in the prices.

    `marked` are the symbols for which the store knows that. An answer for a session before the last one stored has
    fewer ex-dates as evidence, so it does not restore dividends that are stored as zero.
    """
    if not marked:
        return bars
    asked, known = bars.groupby("symbol")["session"].max(), stored.groupby("symbol")["session"].max()
    earlier = [symbol for symbol in marked if symbol in asked and symbol in known and asked[symbol] < known[symbol]]
    none = stored[stored["symbol"].isin(earlier) & (stored["dividend"] == 0)]
    here = pd.MultiIndex.from_frame(bars[["symbol", "session"]])
    is_none = here.isin(pd.MultiIndex.from_frame(none[["symbol", "session"]]))
    return bars.assign(dividend=bars["dividend"].mask(is_none, 0.0))
