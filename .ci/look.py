"""Look at what `make run` has published: whole, readable, the right number of rows, and what "latest" points to."""

import hashlib
import io
import json
import sys

import pandas as pd

from pipeline.config import Settings
from pipeline.forecast_schema import LEVELS


def main() -> None:
    settings = Settings.load()
    latest = json.loads(settings.published.read("latest.json"))
    folder = settings.published / f"as_of={latest['as_of']}"
    manifest = json.loads(folder.read("manifest.json"))
    files = {path: entry["sha256"] for path, entry in manifest["files"].items()}
    for path, digest in files.items():
        found = hashlib.sha256(folder.read(path)).hexdigest()
        require(found == digest, f"{path} has SHA-256 {found}, the manifest says {digest}")

    frame = pd.read_parquet(io.BytesIO(folder.read("forecasts.parquet")))
    quantiles = frame[[f"q{level:g}" for level in LEVELS]]
    require(len(frame) == 5 * settings.horizon, f"{len(frame)} rows, not 5 symbols × {settings.horizon} steps")
    require(frame["symbol"].nunique() == 5, f"symbols {sorted(frame['symbol'].unique())}")
    require(bool((quantiles.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)), "quantiles cross")
    require(bool((quantiles > 0).all(axis=None)), "a price that is not above 0")
    require(str(frame["as_of"].iloc[0]) == latest["as_of"], "the frame and latest.json differ in as_of")
    sys.stdout.write(f"{len(frame)} rows as of {latest['as_of']}, {len(files)} files as the manifest says\n")


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"error: {otherwise}")


if __name__ == "__main__":
    main()
