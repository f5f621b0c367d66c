"""What is believed of a checked answer beyond what its bars say by themselves: corrections that go too far, bars that a
person has let through, histories that were rewritten by half.
"""

from dataclasses import replace
from datetime import date

import pandas as pd

from pipeline.prices.quality import Checked, bar_as_json

# A rewritten history of which more is doubtful than this was rewritten by half: the old one stays.
HALF_REWRITTEN = 0.02


def with_still_held(checked: Checked, still: pd.DataFrame) -> Checked:
    """Hold back the bars that are in quarantine already, for the reason they are there."""
    if still.empty:
        return checked
    columns = list(checked.held_back.columns)
    held = pd.concat([checked.held_back, still[columns]], ignore_index=True)
    verdicts = pd.concat([checked.verdicts, still[list(checked.verdicts.columns)]], ignore_index=True)
    return replace(checked, held_back=held, verdicts=verdicts)


def also_held(checked: Checked, doubtful: pd.DataFrame) -> Checked:
    """Hold back the corrections that go too far, as far as no rule has held them back already."""
    if doubtful.empty:
        return checked
    keys = pd.MultiIndex.from_frame(doubtful[["symbol", "session"]])
    mine = pd.MultiIndex.from_frame(checked.kept[["symbol", "session"]]).isin(keys)
    detail = "a later answer differs from what is stored by more than a tenth, and not by one ratio"
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


def let_through(checked: Checked, through: set[tuple[str, date, str]]) -> Checked:
    """Believe the bars that a person has released."""
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


def without_half_rewritten(checked: Checked, rewritten: frozenset[str]) -> tuple[Checked, frozenset[str]]:
    """Leave out rewritten histories of which too much is doubtful; return those symbols too."""
    held = checked.held_back.drop_duplicates(["symbol", "session"])["symbol"].value_counts()
    kept = checked.kept["symbol"].value_counts()
    refused = frozenset(
        symbol
        for symbol in rewritten
        if held.get(symbol, 0) > HALF_REWRITTEN * (held.get(symbol, 0) + kept.get(symbol, 0))
    )
    if not refused:
        return checked, refused
    stays = ~checked.kept["symbol"].isin(refused)
    return replace(checked, kept=checked.kept[stays].reset_index(drop=True)), refused


def without_known_applied(bars: pd.DataFrame, stored: pd.DataFrame, marked: frozenset[str]) -> pd.DataFrame:
    """Return an answer with no dividends where a later session has shown that the prices contain them.

    `marked` are the symbols of which the store knows that. An answer for an earlier session than the last one stored
    has fewer ex-dates to tell by: it does not put back the dividends that are stored as none.
    """
    if not marked:
        return bars
    asked, known = bars.groupby("symbol")["session"].max(), stored.groupby("symbol")["session"].max()
    earlier = [symbol for symbol in marked if symbol in asked and symbol in known and asked[symbol] < known[symbol]]
    none = stored[stored["symbol"].isin(earlier) & (stored["dividend"] == 0)]
    here = pd.MultiIndex.from_frame(bars[["symbol", "session"]])
    is_none = here.isin(pd.MultiIndex.from_frame(none[["symbol", "session"]]))
    return bars.assign(dividend=bars["dividend"].mask(is_none, 0.0))
