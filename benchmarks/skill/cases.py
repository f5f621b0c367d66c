"""The cases: the product's own backtest with each network and seed, and each peer with each target, step and seed.

Each case is a process that leaves a file of forecasts, with what it depends on in a note next to it: a case with the
same parameters is not run again.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measure import ROOT
from benchmarks.skill.saved import BASELINES, Saved
from pipeline.forecast_schema import BASELINES as BASELINE_NAMES
from pipeline.tracking.source_files import PACKAGE, needed_by

# Modules that lead from bars to forecasts; what they import follows.
_ENTRIES = (
    "baselines/__init__.py",
    "data/panel_from_bars.py",
    "forecast_frame.py",
    "forecaster.py",
    "training/train_model.py",
)
PEERS = {"neuralforecast": "neuralforecast_lstm", "darts": "darts_lstm"}
# Set by the benchmark itself, or pointing outside its folder.
_NOT_HANDED_ON = {
    f"PIPELINE_{name}"
    for name in (
        "HOME", "DATABASE_URL", "STORE_URI", "PUBLISH_URI", "SOURCE", "FILES", "SYMBOLS", "NETWORK", "HORIZON",
        "REFIT_EVERY", "SEED",
    )
} | {"MLFLOW_TRACKING_URI"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to run, with all defaults resolved."""

    out: Path
    files: Path | None  # none: the packaged sample
    data: str  # SHA-256 of the file, or `sample`
    symbols: tuple[str, ...]
    first: date
    last: date
    refit_every: int
    horizon: int
    networks: tuple[str, ...]
    seeds: int
    peers: Path | None = None  # the interpreter of the peers' environment
    peer_steps: tuple[int, ...] = (1, 5)
    peer_seeds: int = 1
    training_steps: int | None = None  # of all models; None: their own defaults
    events: Path | None = None  # a file of scheduled events, for the product
    events_data: str = ""  # its SHA-256

    def __post_init__(self) -> None:
        if self.peers and not self.peers.is_file():
            raise ValueError(f"--peers {self.peers}: there is no such interpreter; run make .venv-peers")
        if self.files and self.files.resolve() == self.prices.resolve():
            raise ValueError(f"--files {self.files} would be written over; name another folder with --out")
        if self.peers and max(self.peer_steps) > self.horizon:
            raise ValueError(
                f"--peer-steps {max(self.peer_steps)} is beyond --horizon {self.horizon}; raise the horizon"
            )

    @property
    def prices(self) -> Path:
        """The table of prices that peers read and that outcomes come from."""
        return self.out / "prices.parquet"

    @property
    def common(self) -> dict[str, Any]:
        """What every case depends on."""
        return {
            "data": self.data,
            "symbols": list(self.symbols),
            "first": str(self.first),
            "last": str(self.last),
            "refit_every": self.refit_every,
            "training_steps": self.training_steps,
        }


@dataclass(frozen=True, kw_only=True)
class Case:
    """One process and the file that it leaves."""

    name: str
    seed: int
    command: tuple[str, ...]  # `--out FILE` is added
    parameters: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False
    folder: Path = ROOT  # working directory

    @property
    def shared(self) -> dict[str, Any]:
        """What the baselines of one of our cases depend on: all but network, seed and training steps."""
        alone = ("network", "seed", "training_steps")
        return {name: value for name, value in self.parameters.items() if name not in alone}

    def done(self, saved: Saved) -> bool:
        """Whether its file exists, made from the same parameters; for our cases that of the baselines too."""
        return saved.has(self.name, self.parameters) and (not self.ours or saved.has(BASELINES, self.shared))

    def run(self, saved: Saved) -> None:
        """Run it and save its forecasts. Raises RuntimeError with the end of its output if it fails."""
        state = code()  # before it starts: the code may be edited meanwhile
        with tempfile.TemporaryDirectory(dir=saved.folder) as folder:
            file = Path(folder) / "forecasts.parquet"
            done = subprocess.run(
                [*self.command, "--out", str(file)],
                cwd=self.folder,
                env={**self.environment},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"{self.name} failed:\n{(done.stderr or done.stdout)[-2000:]}")
            frame = pd.read_parquet(file)
        if self.ours:
            self._keep_ours(saved, frame, json.loads(done.stdout), state)
        else:
            about = json.loads(done.stdout.splitlines()[-1])
            saved.keep(self.name, frame, self.parameters, seed=self.seed, **about)

    def _keep_ours(self, saved: Saved, frame: pd.DataFrame, result: Mapping[str, Any], state: str) -> None:
        baseline = frame["model"].isin(BASELINE_NAMES)
        if not saved.has(BASELINES, self.shared):
            saved.keep(BASELINES, frame[baseline], self.shared, seed=None, seconds=None, code=state)
        notes = [Path(result["folder"]) / "folds" / fold["first"] / "fold.json" for fold in result["folds"]]
        seconds = sum(json.loads(note.read_text())["training"]["seconds"] for note in notes)
        reasons = [fold["reason"] for fold in result["folds"] if not fold["trained"]]
        if frame[~baseline].empty:
            raise RuntimeError(f"{self.name} has no forecasts: {'; '.join(map(str, reasons))}")
        about = {"seconds": seconds, "code": state, "not_trained": reasons}
        saved.keep(self.name, frame[~baseline], self.parameters, seed=self.seed, **about)


def cases(request: Request, environment: Mapping[str, str] = os.environ) -> Iterator[Case]:
    """Yield the cases: seed by seed each network, then each peer."""
    for seed in range(1, request.seeds + 1):
        for network in request.networks:
            yield _ours(request, network, seed, environment)
    if request.peers:
        for seed in range(1, request.peer_seeds + 1):
            for peer in PEERS:
                for scaled in (False, True):
                    for step in request.peer_steps:
                        yield _peer(request, peer, step, scaled, seed, environment)


def code() -> str:
    """Return the SHA-256 of the code that trains and forecasts, with all that it imports: its version."""
    files = needed_by(*(PACKAGE / "modeling" / name for name in _ENTRIES))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _ours(request: Request, network: str, seed: int, environment: Mapping[str, str]) -> Case:
    kept = {name: value for name, value in environment.items() if name not in _NOT_HANDED_ON}
    settings = {name: value for name, value in sorted(kept.items()) if name.startswith("PIPELINE_")}
    command = [sys.executable, "-m", "pipeline", "backtest", "--json", "--network", network, *_interval(request)]
    command += ["--horizon", str(request.horizon), "--symbols", ",".join(request.symbols), *_budget(request)]
    command += ["--files", str(request.files)] if request.files else ["--source", "sample"]
    here = {
        "PIPELINE_HOME": str(request.out / "home"),
        "PIPELINE_SEED": str(seed),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]),
    }
    events = {"events": request.events_data} if request.events else {}
    if request.events:
        settings.pop("PIPELINE_EVENTS", None)
        here["PIPELINE_EVENTS"] = str(request.events)
    more = {**events, "horizon": request.horizon, "network": network, "seed": seed, "settings": settings}
    return Case(
        name=f"{network}-seed{seed}",
        seed=seed,
        command=tuple(command),
        parameters={**request.common, **more},
        environment={**kept, **here},
        ours=True,
        folder=request.out,  # no `.env` is there
    )


def _peer(request: Request, peer: str, step: int, scaled: bool, seed: int, environment: Mapping[str, str]) -> Case:
    command = [str(request.peers), "-m", f"benchmarks.skill.{PEERS[peer]}", "--prices", str(request.prices)]
    command += ["--first", str(request.first), "--last", str(request.last), "--refit-every", str(request.refit_every)]
    command += ["--step", str(step), "--seed", str(seed), *(["--scaled"] if scaled else []), *_budget(request)]
    return Case(
        name=f"{peer}{'-scaled' if scaled else ''}-step{step}-seed{seed}",
        seed=seed,
        command=tuple(command),
        parameters={**request.common, "peer": peer, "step": step, "scaled": scaled, "seed": seed},
        environment=environment,
    )


def _interval(request: Request) -> Sequence[str]:
    return "--from", str(request.first), "--to", str(request.last), "--refit-every", str(request.refit_every)


def _budget(request: Request) -> Sequence[str]:
    return ("--training-steps", str(request.training_steps)) if request.training_steps else ()
