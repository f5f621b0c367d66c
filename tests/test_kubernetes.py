"""kubernetes/ as it is written: hardened, without secrets, and true to docker-compose.yml and the DAGs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "kubernetes"
TEXTS = {name: (FOLDER / name).read_text() for name in ("values.yaml", "mlflow.yaml", "README.md")}
VALUES: dict[str, Any] = yaml.safe_load(TEXTS["values.yaml"])
MLFLOW: list[dict[str, Any]] = list(yaml.safe_load_all(TEXTS["mlflow.yaml"]))
WORKER = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["worker"]["environment"]
USER = 10001


def rendered(template: str) -> Any:
    """The pod of a task as Helm makes it: a value where the template asks for one as YAML, a word for all else."""

    def put_in(match: re.Match[str]) -> str:
        asked = re.fullmatch(r"toYaml \.Values\.(\S+) \| nindent \d+", match[1].strip())
        value: Any = VALUES
        for key in asked[1].split(".") if asked else []:
            value = value[key]
        return json.dumps(value) if asked else "templated"

    return yaml.safe_load(re.sub(r"\{\{(.*?)\}\}", put_in, template))


TASK: dict[str, Any] = rendered(VALUES["podTemplate"])
PODS: dict[str, dict[str, Any]] = {"task": TASK["spec"]} | {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for document in MLFLOW
    if document["kind"] in ("Deployment", "Job")
}
COMPONENTS = ("apiServer", "scheduler", "dagProcessor", "triggerer", "migrateDatabaseJob")


def everything(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a document with the keys that lead to it."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from everything(inner, *path, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from everything(inner, *path)


def hardened(pod: dict[str, Any], container: dict[str, Any]) -> bool:
    return (
        pod["runAsNonRoot"] is True
        and pod["runAsUser"] == pod["runAsGroup"] == USER
        and pod["seccompProfile"] == {"type": "RuntimeDefault"}
        and container["allowPrivilegeEscalation"] is False
        and container["readOnlyRootFilesystem"] is True
        and container["capabilities"] == {"drop": ["ALL"]}
    )


@pytest.mark.parametrize("name", PODS)
def test_a_container_may_do_no_more_than_its_work(name: str) -> None:
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert hardened(pod["securityContext"], container["securityContext"])
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"]["memory"]
        assert {mount["name"] for mount in container.get("volumeMounts", [])} == {
            volume["name"] for volume in pod.get("volumes", [])
        }


def test_all_of_airflow_is_hardened_and_nothing_weakens_it_again() -> None:
    assert hardened(VALUES["securityContexts"]["pod"], VALUES["securityContexts"]["containers"])
    assert VALUES["uid"] == VALUES["gid"] == USER
    elsewhere = [path for path, _ in everything(VALUES) if path and path[-1].startswith("securityContext")]
    assert elsewhere == [("securityContexts",)]
    written = {mount["mountPath"] for mount in VALUES["volumeMounts"]}
    assert {"/tmp", "/home/bell", "/opt/airflow"} == written
    assert VALUES["networkPolicies"]["enabled"] is True
    for name in COMPONENTS:
        assert VALUES[name]["resources"]["limits"]["memory"]


def test_the_user_is_that_of_the_images() -> None:
    assert f"useradd --uid {USER}" in (ROOT / "docker" / "Dockerfile").read_text()


def test_no_secret_is_in_the_files() -> None:
    assert not any(document["kind"] == "Secret" for document in MLFLOW)
    for document in [VALUES, TASK, *MLFLOW]:
        for path, value in everything(document):
            if isinstance(value, dict) and re.search(r"PASSWORD|SECRET|KEY|TOKEN|DATABASE_URL", str(value.get("name"))):
                assert value.keys() == {"name", "valueFrom"}
                assert value["valueFrom"].keys() == {"secretKeyRef"}
            if path and re.search(r"(?i)password|(?<!Name)secret$|fernetKey$", path[-1]):
                assert not isinstance(value, str), f"{'.'.join(path)} has a value"
    for name in ("values.yaml", "mlflow.yaml"):
        assert not re.search(r"\w://[^/\s]+:[^/\s]+@", TEXTS[name]), f"an address in {name} has a password"


def test_a_task_has_the_pipelines_credentials_and_none_of_airflows() -> None:
    secrets = {value["name"] for path, value in everything(TASK) if path and path[-1] in ("secretKeyRef", "secretRef")}
    assert secrets == {"closing-bell-pipeline", "closing-bell-bucket"}
    servers = {key: value for key, value in VALUES.items() if key != "podTemplate"}
    assert "closing-bell-pipeline" not in json.dumps(servers)


def test_every_setting_is_one_that_the_workers_of_compose_have_too() -> None:
    for name, text in TEXTS.items():
        used = set(re.findall(r"\bPIPELINE_[A-Z_]*[A-Z]\b(?!\*)", text)) - {"PIPELINE_DB_PASSWORD"}
        assert used <= WORKER.keys(), f"{name} names what is no setting"


def test_a_task_has_what_a_worker_of_compose_has() -> None:
    """But for Celery, and for what the settings' ConfigMap or airflow.cfg brings."""
    given = {variable["name"] for variable in PODS["task"]["containers"][0]["env"]}
    wanted = {name for name in WORKER if not re.match(r"AIRFLOW_|AWS_", name) and not WORKER[name].startswith("${")}
    assert wanted <= given


def test_no_image_is_one_that_somebody_else_made() -> None:
    assert VALUES["images"]["airflow"] == {"repository": None, "tag": None, "pullPolicy": "IfNotPresent"}
    for name in ("repository", "tag"):
        assert f'(required "set images.airflow.{name}" .Values.images.airflow.{name})' in VALUES["podTemplate"]
    of_mlflow = {container["image"] for name in ("mlflow", "mlflow-users") for container in PODS[name]["containers"]}
    assert of_mlflow == {"registry.invalid/closing-bell-mlflow:unset"}
    assert f"s|{of_mlflow.pop()}|" in TEXTS["README.md"]


def test_airflow_is_said_to_be_the_version_that_is_locked() -> None:
    assert f"apache-airflow=={VALUES['airflowVersion']} " in (ROOT / "requirements.txt").read_text()


def test_nothing_calls_a_script_that_only_apaches_image_has() -> None:
    for name in ("scheduler", "dagProcessor", "triggerer"):
        assert VALUES[name]["livenessProbe"]["command"]
        assert VALUES[name]["logGroomerSidecar"] == {"enabled": False}
    assert VALUES["scheduler"]["startupProbe"]["command"]
    named = re.findall(r"docker/\w+\.(?:py|sh)", json.dumps([VALUES, MLFLOW]))
    assert named
    assert all((ROOT / script).is_file() for script in named)


def test_each_secret_and_config_map_is_made_in_the_readme_with_the_keys_that_are_asked_for() -> None:
    made = {
        (kind, name): set(re.findall(r'["=\s]([A-Za-z][\w-]*)=', body))
        for kind, name, body in re.findall(
            r"kubectl create (secret|configmap) (?:generic )?(\S+)((?:.*\\\n)*.*)", TEXTS["README.md"]
        )
    }
    asked = [
        ("secret", "closing-bell-airflow", key) for key in ("connection", "fernet-key", "api-secret-key", "jwt-secret")
    ]
    for document in [VALUES, TASK, *MLFLOW]:
        for path, value in everything(document):
            if not path or path[-1] not in ("secretKeyRef", "configMapKeyRef", "secretRef", "configMapRef"):
                continue
            kind = path[-1].removesuffix("Ref").removesuffix("Key").lower()
            assert (kind, value["name"]) in made
            if "key" in value and not value.get("optional"):  # a key that may be missing is in a file of the reader's
                asked.append((kind, value["name"], value["key"]))
    for kind, name, key in asked:
        assert key in made[kind, name], f"the {kind} {name} is made without {key}"


def test_the_hook_knows_every_task_that_trains() -> None:
    hook: dict[str, Any] = {}
    exec(VALUES["airflowLocalSettings"], hook)
    queued = {
        (path.stem, name)
        for path in (ROOT / "dags").glob("*.py")
        for options, name in re.findall(r"@job\(([^@]*?)\)\n    def (\w+)", path.read_text())
        if "queue=TRAIN_QUEUE" in options
    }
    assert queued == hook["TRAINING"]
    for dag_id, task_id in [*queued, ("daily_forecast", "plan")]:
        base = SimpleNamespace(name="base", resources=SimpleNamespace(requests="small", limits="small"))
        pod = SimpleNamespace(
            metadata=SimpleNamespace(labels={"dag_id": dag_id, "task_id": task_id}),
            spec=SimpleNamespace(containers=[base]),
        )
        hook["pod_mutation_hook"](pod)
        assert (base.resources.limits == "small") == (task_id == "plan")


def test_the_image_has_what_the_executor_needs() -> None:
    wanted = (ROOT / "docker" / "airflow.in").read_text().splitlines()
    assert "apache-airflow-providers-cncf-kubernetes" in wanted
    assert "\napache-airflow-providers-cncf-kubernetes==" in (ROOT / "docker" / "airflow.txt").read_text()
