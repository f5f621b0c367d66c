"""A home that was moved or copied: stored absolute paths are updated before the services start."""

import re
from collections.abc import Callable

from local.place import Place
from pipeline.storage.atomic_files import write_atomic
from pipeline.tracking.moved import follow_home

# Airflow writes its folder into the configuration that it creates; it counts where the environment sets nothing else.
_OWN_FOLDER = re.compile(r"^base_log_folder = (?P<folder>/.*)/logs\s*$", re.MULTILINE)


def follow(place: Place, say: Callable[[str], None]) -> None:
    """Update the paths in MLflow's database and in airflow.cfg to the current home."""
    for moved in follow_home(place.home):
        say(f"PIPELINE_HOME was {moved.before}: {moved.paths} paths in MLflow's database were updated")
    _airflow(place)


def _airflow(place: Place) -> None:
    path = place.airflow_home / "airflow.cfg"
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    found = _OWN_FOLDER.search(text)
    if found is None or found["folder"] == str(place.airflow_home):
        return
    mode = path.stat().st_mode
    write_atomic(path, re.sub(rf"(?<= = ){re.escape(found['folder'])}(?=/)", lambda _: str(place.airflow_home), text))
    path.chmod(mode)
