"""The frame of bars that travels between sources, quality rules, store and snapshot, and its check at the edge.

One row a symbol and session: `symbol`, `session` (midnight, no zone), `open`, `high`, `low`, `close`, `volume` (0 where
none is given), `dividend` (per share, on the ex-date), `split_ratio` (new shares for one old, else 1), `currency`.
Prices are raw or split-adjusted, never adjusted for dividends.

A source may add evidence about a bar, which `quality` reads and the store does not keep: `adjusted_close`
(for splits and dividends, as the vendor has it), `capital_gain` (per share, funds), `listed_split` and
`listed_dividend` (that the vendor lists for prices which it has adjusted for it already), `unreadable` (text of the bar
that is not a number, quoted; empty where there is none: such a bar is rejected, and its missing values are no evidence
of anything else).
"""

import pandas as pd
import pandera.pandas as pa

PRICES = ["open", "high", "low", "close"]
VALUES = [*PRICES, "volume", "dividend", "split_ratio"]
COLUMNS = ["symbol", "session", *VALUES, "currency"]

EVIDENCE = ["adjusted_close", "capital_gain", "listed_split", "listed_dividend"]
UNREADABLE = "unreadable"

_ABSENT = {"volume": 0.0, "dividend": 0.0, "split_ratio": 1.0}

# The shape only: whether a value is plausible is decided by `quality`, bar by bar, with a reason.
_SCHEMA = pa.DataFrameSchema(
    {
        "symbol": pa.Column(str),
        "session": pa.Column("datetime64[s]"),
        **{name: pa.Column(float, nullable=True, coerce=True) for name in VALUES},
        "currency": pa.Column(str),
        **{name: pa.Column(float, nullable=True, coerce=True, required=False) for name in EVIDENCE},
        UNREADABLE: pa.Column(str, coerce=True, required=False),
    },
    strict="filter",
)


def as_bars(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns above with their types, sorted by symbol and session; evidence only where it was given.

    `dividend`, `split_ratio` and `currency` may be absent: none paid, no split, unknown.
    """
    given = frame.assign(
        session=frame["session"].astype("datetime64[s]"),
        dividend=frame.get("dividend", 0.0),
        split_ratio=frame.get("split_ratio", 1.0),
        currency=frame.get("currency", ""),
    )
    # A vendor leaves out what was not: no trade, no payment, no split.
    given = given.assign(**{name: given[name].fillna(value) for name, value in _ABSENT.items()})
    extra = [name for name in (*EVIDENCE, UNREADABLE) if name in given]
    checked = _SCHEMA.validate(given)[[*COLUMNS, *extra]]
    return checked.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
