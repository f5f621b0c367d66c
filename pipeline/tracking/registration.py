"""Registration of a trained model in MLflow: its files uploaded and read back, then a version of `daily-forecast`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.errors import CorruptFile, MissingStep, PipelineError
from pipeline.storage.atomic_files import make_tree_private, sha256_file
from pipeline.tracking import mlflow_api
from pipeline.tracking.connection import addressed, connected
from pipeline.tracking.mlflow_run import MlflowRun
from pipeline.tracking.model_files import ModelFiles, problem_with
from pipeline.tracking.model_package import DESCRIPTION, WEIGHTS, save_package
from pipeline.tracking.registry import CHALLENGER, MODEL, MODEL_URI, Registered, alias_of

if TYPE_CHECKING:
    from pipeline.tracking.mlflow_api import LoggedModel, MlflowClient

_DESCRIPTION_TEXT = (
    "Ranges for the next closing prices: the input is a price history, the output quantiles of the closes of the next "
    "sessions.\n\n"
    "`champion` is the version that passed the gate last, `challenger` the one trained last, whatever their source. A "
    "version passes if it beats the champion and the best baseline on held-out sessions, beyond chance.\n\n"
    "`mlflow models serve -m models:/daily-forecast@champion --env-manager local` serves it over HTTP. "
    "Its forecasts are not investment advice."
)
# What each version has as a tag from model.json.
_FACTS = ("as_of", "network", "horizon", "context_length", "hidden_size", "training_steps", "seed", "data_digest")


def register(
    run: MlflowRun,
    *,
    model_dir: Path,
    example: pd.DataFrame,
    tags: Mapping[str, str],
    challenger: bool = True,
) -> Registered:
    """Return the version that holds the model in `model_dir`, registered under the run if there is none yet.

    `example` is a short price history, stored as the model's input example. The version is created last, when the
    uploaded files have been read back, so that an incomplete upload leaves none. Files that MLflow has lost since are
    uploaded again. The same weights trained on another source are another version. `challenger` moves the alias of that
    name to it, which a trial does not. Raises MissingStep or CorruptFile if training left something else.
    """
    facts = {**_facts(model_dir), "source": run.settings.source}
    with connected(run.settings, f"register the model of {facts['as_of']}") as client:
        registration = _Registration(client=client, run=run, model_dir=model_dir, example=example)
        registered = _find(client, facts)
        if registered is None:
            registered = registration.create({**tags, **facts}, facts)
        else:
            registration.complete(registered)
        _link(client, run.run_id, registered)
        if challenger:
            _point_challenger(client, registered)
        return registered


@dataclass(frozen=True, kw_only=True)
class _Registration:
    """A model folder on its way into the registry, under the run that trained it."""

    client: "MlflowClient"
    run: MlflowRun
    model_dir: Path
    example: pd.DataFrame

    def create(self, tags: Mapping[str, str], facts: Mapping[str, str]) -> Registered:
        """Upload the files and return a new version of them."""
        model = self._logged_model(facts)
        self._upload(model)
        try:
            self.client.create_registered_model(MODEL, description=_DESCRIPTION_TEXT)
        except mlflow_api.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        with addressed(self.run.settings):
            self.client.create_model_version(
                MODEL,
                f"{MODEL_URI}{model.model_id}",
                run_id=self.run.run_id,
                tags=dict(tags),
                model_id=model.model_id,
            )
        registered = _find(self.client, facts)  # read back: of two created at once, both creators take the older
        if registered is None:
            raise PipelineError(f"MLflow has lost a new version of {MODEL}; check the server's log and retry")
        return registered

    def complete(self, registered: Registered) -> None:
        """Upload a version's files again if MLflow has lost them: the repeated training has made the same ones."""
        if not problem_with(self.run.settings, registered):
            return
        try:
            model = self.client.get_logged_model(registered.model_id)
        except mlflow_api.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return  # a user deleted the entry: the gate skips the version and reports it
        self._upload(model)

    def _logged_model(self, facts: Mapping[str, str]) -> "LoggedModel":
        """Return the run's model entry for these weights: one that a broken attempt left behind, else a new one."""
        run_id = self.run.run_id
        experiment = self.client.get_run(run_id).info.experiment_id
        for model in self.client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
            if model.tags.get("weights_sha256") == facts["weights_sha256"]:
                return model
        return self.client.create_logged_model(
            experiment,
            name="forecast",
            source_run_id=run_id,
            tags=dict(facts),
            params=dict(facts),
            model_type="forecaster",
        )

    def _upload(self, model: "LoggedModel") -> None:
        settings = self.run.settings
        with TemporaryDirectory() as folder:
            package = Path(folder) / "model"
            save_package(
                package, model_dir=self.model_dir, example=self.example, exchange=settings.exchange, model=model
            )
            make_tree_private(package)  # on a disk MLflow copies files with their permissions, those of the checkout
            self.client.log_model_artifacts(model.model_id, str(package))
            what = f"the upload to model {model.model_id}"
            uploaded = ModelFiles(settings=settings, location=model.artifact_location, what=what)
            for name in (WEIGHTS, DESCRIPTION):
                uploaded.fetch(name, sha256_file(self.model_dir / name), Path(folder))
        self.client.finalize_logged_model(model.model_id, "READY")


def _facts(model_dir: Path) -> dict[str, str]:
    """Return what the files say of the model, as tags."""
    missing = [name for name in (WEIGHTS, DESCRIPTION) if not (model_dir / name).is_file()]
    if missing:
        raise MissingStep(f"{model_dir} has no {' and no '.join(missing)}; run the training again")
    card = json.loads((model_dir / DESCRIPTION).read_text(encoding="utf-8"))
    weights = sha256_file(model_dir / WEIGHTS)
    if weights != card["weights_sha256"]:
        raise CorruptFile(
            f"{model_dir / WEIGHTS} has SHA-256 {weights[:12]}…, {DESCRIPTION} next to it says "
            f"{card['weights_sha256'][:12]}…; run the training again"
        )
    digests = {"weights_sha256": weights, "description_sha256": sha256_file(model_dir / DESCRIPTION)}
    return {name: str(card[name]) for name in _FACTS if name in card} | digests


def _find(client: "MlflowClient", facts: Mapping[str, str]) -> Registered | None:
    """Return the version of this training, the oldest if a request that was sent twice has left two."""
    same = f"name = '{MODEL}' and tags.weights_sha256 = '{facts['weights_sha256']}' and tags.as_of = '{facts['as_of']}'"
    found = map(Registered.of, client.search_model_versions(same))
    mine = [version for version in found if version.is_of(facts["source"])]
    return min(mine, key=lambda version: int(version.version), default=None)


def _link(client: "MlflowClient", run_id: str, registered: Registered) -> None:
    """Show the version's model on the run's page, also where an earlier run of the same session registered it."""
    run = client.get_run(run_id)
    shown = [output.model_id for output in run.outputs.model_outputs] if run.outputs else []
    if registered.model_id not in shown:
        client.log_outputs(run_id, [mlflow_api.LoggedModelOutput(registered.model_id, step=0)])
    if run.data.tags.get("model_version") != registered.version:
        client.set_tag(run_id, "model_version", registered.version)


def _point_challenger(client: "MlflowClient", registered: Registered) -> None:
    """Point the alias at the version, unless it is at a version of a later session already."""
    current = alias_of(client, CHALLENGER)
    if current is not None and Registered.of(client.get_model_version(MODEL, current)).as_of > registered.as_of:
        return
    if current != registered.version:
        client.set_registered_model_alias(MODEL, CHALLENGER, registered.version)
