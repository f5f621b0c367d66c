"""Quality rules: a verdict for each bar, with the rule and the detail. Nothing is repaired here.

`accept` is stored; `warn` is stored and reported; `quarantine` is held back until a person or a later answer settles
it; `reject` is not a price at all. One subject per file: `ohlc` (a single bar), `calendar`, `volume`, `levels` (units,
splits and spikes), `jumps`, `dividends`, and `duplicates` across symbols. docs/quality.md gives the reasons and
measurements.
"""

from pipeline.prices.quality.calendar import gaps
from pipeline.prices.quality.check import Checked, bar_as_json, check_bars, series_notes
from pipeline.prices.quality.duplicates import identical_series
from pipeline.prices.quality.findings import MEANING

__all__ = ["MEANING", "Checked", "bar_as_json", "check_bars", "gaps", "identical_series", "series_notes"]
