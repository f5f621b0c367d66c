"""The store of prices: append-only and bitemporal, with as-of reads, quarantine, request log and snapshots."""
