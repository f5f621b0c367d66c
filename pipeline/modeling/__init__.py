"""From a snapshot of prices to a fitted network and its quantiles. The only package that imports torch."""
