"""What a network may read of each session, by name; `pipeline.modeling.data.features` says how each is made."""

INPUTS = (
    "return",
    "overnight_gap",
    "high_above_close",
    "low_below_close",
    "volume_against_average",
    "market_return",
    "market_turbulence",
    "volatility_against_past",
    "quarters_ago_next",
    "quarters_ago_ahead",
)
