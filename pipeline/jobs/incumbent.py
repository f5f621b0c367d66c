"""The champion that a run can use: the latest one with intact files, and why later ones were skipped."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import CorruptFile
from pipeline.jobs.run import Run

if TYPE_CHECKING:
    from pipeline.modeling.forecaster import Forecaster
    from pipeline.tracking.registry import Registered


class Incumbent(NamedTuple):
    """A champion with its network, or neither; `skipped` says which later ones cannot be used, and why."""

    champion: "Registered | None"
    forecaster: "Forecaster | None"
    skipped: list[str]


def usable_champion(run: Run, folder_for: Callable[[], AbstractContextManager[Path]]) -> Incumbent:
    """Return the latest champion before the run's session whose files in MLflow are intact.

    `folder_for` gives the folder to download to. Raises TrackingUnavailable if MLflow does not respond: only missing
    or damaged files make it skip a champion.
    """
    from pipeline.modeling.forecaster import Forecaster
    from pipeline.tracking import registry
    from pipeline.tracking.model_files import download

    skipped: list[str] = []
    for champion in registry.champions_before(run.settings, run.as_of):
        try:
            with folder_for() as folder:
                forecaster = Forecaster.load(download(run.settings, champion, folder))
        except CorruptFile as error:
            skipped.append(f"champion version {champion.version} of {champion.as_of} cannot be used ({error})")
            continue
        return Incumbent(champion, forecaster, skipped)
    return Incumbent(None, None, skipped)
