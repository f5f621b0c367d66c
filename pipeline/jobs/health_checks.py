"""The checks of `doctor`: what a run needs, and the next step for what is missing or not writable."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pipeline.config import Overrides, Settings
from pipeline.database.engine import clear_errors, open_database
from pipeline.database.probe import require_writable
from pipeline.errors import BadFile, BucketFailed, PipelineError, StoreError, cause_of
from pipeline.events.event_sources import NONE, event_source_of
from pipeline.jobs.planning import plan_run
from pipeline.market.calendars import installed
from pipeline.prices.sources import open_source
from pipeline.storage import Folder, Storage
from pipeline.storage.documents import OMIT_NONE

_NEEDED_BYTES = 1 << 30
_PROBE = ".doctor"
_BUSY = ", busy: another process is writing"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check; `found` names the next step if it is not ok."""

    what: str
    ok: bool
    found: str
    warning: Annotated[bool | None, OMIT_NONE] = None  # ok for now, and an error soon


class _Warning(str):
    """A finding that is no error yet, and will become one."""


def examine(*, now: datetime) -> list[Finding]:
    """Return one finding for each check."""
    checks: dict[str, Callable[[], str]] = {
        "Python": _python,
        "settings": lambda: f"source {Settings.load().source}, exchange {Settings.load().exchange}",
        "home": lambda: _home(Settings.load()),
        "store": lambda: _storage("PIPELINE_STORE_URI", Settings.load().store),
        "published": lambda: _storage("PIPELINE_PUBLISH_URI", Settings.load().published),
        "database": lambda: _database(Settings.load()),
        "source": lambda: _source(now),
        "events": lambda: _events(Settings.load()),
        "calendars": lambda: _calendars(now),
        "MLflow": lambda: _mlflow(Settings.load()),
        "pickle": _pickle,
    }
    return [_result(what, check) for what, check in checks.items()]


def _result(what: str, check: Callable[[], str]) -> Finding:
    try:
        found = check()
        return Finding(what=what, ok=True, found=str(found), warning=isinstance(found, _Warning) or None)
    except PipelineError as error:
        return Finding(what=what, ok=False, found=str(error))
    except OSError as error:
        advice = f"{cause_of(error)}; correct its permissions or choose another place"
        return Finding(what=what, ok=False, found=advice)


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"


def _home(settings: Settings) -> str:
    _require_folder("PIPELINE_HOME", settings.home)
    return f"{settings.home}, {shutil.disk_usage(settings.home).free >> 30} GiB free"


def _storage(variable: str, place: Storage) -> str:
    try:
        place.write(_PROBE, b"")
        place.remove(_PROBE)
    except BucketFailed as error:
        raise StoreError(f"{variable}: {error}") from None
    except OSError as error:
        raise StoreError(f"{variable}: {place} cannot be written: {error.strerror}; choose another") from None
    if isinstance(place, Folder):
        _require_room(variable, place.path)
    return str(place)


def _database(settings: Settings) -> str:
    engine = open_database(settings.database)
    with clear_errors(engine):
        busy = "" if require_writable(settings.database) else _BUSY
    if engine.dialect.name == "sqlite" and engine.url.database:
        _require_room("PIPELINE_DATABASE_URL", Path(engine.url.database).parent)
    return f"{engine.url.render_as_string(hide_password=True)}, schema up to date, writable{busy}"


def _source(now: datetime) -> str:
    run = plan_run(
        key="doctor", now=now, as_of=None, interval_end=None, manual=True, overrides=Overrides(), provenance={}
    )
    source = open_source(run.settings, today=now.date())
    return f"{len(run.symbols)} symbols up to {run.as_of}: {source.description(run.as_of)}"


def _events(settings: Settings) -> str:
    name = event_source_of(settings)
    if name == NONE:
        return "none"
    if name == "files" and not Path(settings.events).exists():
        raise BadFile(f"PIPELINE_EVENTS={settings.events}: there is no such file; correct it, or set it to none")
    return settings.events if name == "files" else name


def _calendars(now: datetime) -> str:
    settings, symbols, refused = Settings.load(), tuple[str, ...](), dict[str, str]()
    with suppress(PipelineError):  # the check of the source reports it
        run = plan_run(
            key="doctor", now=now, as_of=None, interval_end=None, manual=True, overrides=Overrides(), provenance={}
        )
        symbols, refused = run.symbols, dict(run.refused)
    reasons = [f"{symbol}: {reason}" for symbol, reason in refused.items()]
    if found := [*settings.clock.calendar_warnings(symbols, now.date()), *reasons]:
        return _Warning("; ".join(found))
    codes = sorted({settings.exchange, *(settings.clock.market_of(symbol).calendar for symbol in symbols)})
    return f"{', '.join(codes)} ({installed()})"


def _mlflow(settings: Settings) -> str:
    from pipeline.tracking import examination

    examination.require_working(settings)
    if (folder := examination.artifact_folder(settings)) is not None:
        _require_folder("MLFLOW_TRACKING_URI", folder)
    return f"{examination.shown(settings)}, {examination.champion(settings)}"


def _pickle() -> str:
    # Models of this project contain no pickle; the variable also prevents loading others.
    allowed = os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "unset")
    return f"models are loaded without it (MLFLOW_ALLOW_PICKLE_DESERIALIZATION {allowed})"


def _require_folder(variable: str, folder: Path) -> None:
    """Raise StoreError if no file can be created in the folder, or if its disk is almost full."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / _PROBE
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        raise StoreError(
            f"{variable}: {folder} cannot be written: {error.strerror}; make it writable, or set {variable} to another "
            "place"
        ) from None
    _require_room(variable, folder)


def _require_room(variable: str, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise StoreError(
            f"{variable}: the disk of {folder} has {free >> 20} MiB free; free at least 1 GiB, or set "
            f"{variable} to another disk"
        )
    system = os.statvfs(folder)
    if system.f_files and not system.f_favail:  # file systems without a limit report 0
        raise StoreError(f"{variable}: the disk of {folder} can hold no more files; remove some")
