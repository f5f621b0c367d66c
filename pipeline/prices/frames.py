"""The frame of bars that travels between sources, quality rules, store and snapshot, and its check at the edge.

One row a symbol and session: `symbol`, `session` (midnight, no zone), `open`, `high`, `low`, `close`, `volume`,
`dividend` (per share, on the ex-date), `split_ratio` (new shares for one old, else 1), `currency`. Prices are raw
or split-adjusted, never adjusted for dividends.
"""

import pandas as pd
import pandera.pandas as pa

PRICES = ["open", "high", "low", "close"]
VALUES = [*PRICES, "volume", "dividend", "split_ratio"]
COLUMNS = ["symbol", "session", *VALUES, "currency"]

# The shape only: whether a value can be believed is for `quality` to say, bar by bar, with a reason.
_SCHEMA = pa.DataFrameSchema(
    {
        "symbol": pa.Column(str),
        "session": pa.Column("datetime64[s]"),
        **{name: pa.Column(float, nullable=True, coerce=True) for name in VALUES},
        "currency": pa.Column(str),
    },
    strict="filter",
)


def as_bars(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns above with their types, sorted by symbol and session.

    `dividend`, `split_ratio` and `currency` may be absent: none paid, no split, unknown.
    """
    given = frame.assign(
        session=frame["session"].astype("datetime64[s]"),
        dividend=frame.get("dividend", 0.0),
        split_ratio=frame.get("split_ratio", 1.0),
        currency=frame.get("currency", ""),
    )
    checked = _SCHEMA.validate(given)[COLUMNS]
    return checked.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
