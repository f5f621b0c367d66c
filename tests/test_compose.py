"""docker-compose.yml as it is written: nothing open, nothing secret, nothing that may grow without end."""

import importlib.util
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import Settings, variable

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"airflow-init", "mlflow-users"}  # they do one thing and end
SECRETS = [
    "POSTGRES_PASSWORD",
    "AIRFLOW_DB_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "PIPELINE_DB_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW_ADMIN_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_SECRET_KEY",
    "AIRFLOW_JWT_SECRET",
    "MLFLOW_ADMIN_PASSWORD",
    "MLFLOW_WRITER_PASSWORD",
    "MLFLOW_READER_PASSWORD",
    "MLFLOW_SECRET_KEY",
]


def make_secrets(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "docker" / "make_secrets.py", path], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_no_more_than_its_work(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"].keys() >= {"max-size", "max-file"}
    assert service["mem_limit"]
    assert name in ONCE or service["healthcheck"]["test"]
    assert "privileged" not in service
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


def test_only_what_must_become_another_user_has_a_capability() -> None:
    assert {name for name, service in SERVICES.items() if "cap_add" in service} == {"postgres", "redis"}


def test_ports_are_open_to_this_machine_alone_unless_somebody_says_otherwise() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports.keys() == {"api-server", "mlflow"}
    for published in ports.values():
        assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in published)
    assert COMPOSE["networks"]["data"]["internal"] is True
    for name in ("postgres", "redis", "scheduler", "dag-processor", "triggerer"):
        assert SERVICES[name]["networks"] == ["data"]


def test_no_secret_is_in_the_file_and_each_one_that_is_missing_is_named() -> None:
    for name in SECRETS:
        assert re.search(rf"\$\{{{name}:\?run make secrets\}}", TEXT), f"without {name} nothing says so"
        assert not re.search(rf"\$\{{{name}:?-", TEXT), f"{name} has a default"


def test_workers_have_no_key_that_they_have_no_use_for() -> None:
    kept = set(SERVICES["worker"]["environment"])
    assert not kept & {
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    }
    for name, service in SERVICES.items():
        if name != "worker":
            assert not {"PIPELINE_DATABASE_URL", "MLFLOW_TRACKING_PASSWORD"} & set(service.get("environment", {}))


def test_the_api_server_reads_what_is_published_and_writes_none_of_it() -> None:
    server = SERVICES["api-server"]
    assert "state:/var/lib/closing-bell:ro" in server["volumes"]
    assert {"PIPELINE_HOME", "PIPELINE_PUBLISH_URI", "AWS_ENDPOINT_URL"} <= set(server["environment"])


def test_every_setting_reaches_the_workers() -> None:
    given = set(SERVICES["worker"]["environment"])
    wanted = {variable(field) for field in Settings.model_fields}
    assert wanted <= given


def test_secrets_are_random_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    told = make_secrets(one)
    make_secrets(other)
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    values = [
        dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line) for path in (one, other)
    ]
    assert set(values[0]) == set(SECRETS)
    assert len({*values[0].values(), *values[1].values()}) == 2 * len(SECRETS)
    assert not any(value in told for value in values[0].values())


def test_what_is_in_the_file_already_stays(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("PIPELINE_SYMBOLS=AAPL\nREDIS_PASSWORD=mine")
    path.chmod(0o644)
    assert "REDIS_PASSWORD" not in make_secrets(path)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["PIPELINE_SYMBOLS=AAPL", "REDIS_PASSWORD=mine"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    assert make_secrets(path).endswith("nothing was missing\n")
    assert path.read_text() == before


def mlflow_server() -> Any:
    spec = importlib.util.spec_from_file_location("mlflow_server", ROOT / "docker" / "mlflow_server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mlflow_answers_to_names_with_their_ports_and_to_no_pattern() -> None:
    hosts = SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert "*" not in hosts
    plain = re.sub(r"\$\{(\w+)(:-(\w*)|:\+(,))?\}", lambda found: found[3] or "", hosts)
    assert plain == "mlflow:5000,localhost:5000,127.0.0.1:5000,127.0.0.1:5000"


@pytest.mark.parametrize(
    ("hosts", "origins"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000,https://127.0.0.1:5000"),
        ("a, b", "http://a,https://a,http://b,https://b"),
        ("*.example,*", ""),
        ("", ""),
    ],
)
def test_pages_of_mlflows_own_names_may_change_something(hosts: str, origins: str) -> None:
    assert mlflow_server().origins(hosts) == origins


def test_services_that_share_a_volume_run_as_one_user() -> None:
    """What a worker keeps for its owner alone, the API server can read."""
    for name in ("state", "logs"):
        sharing = [service for service in SERVICES.values() if any(f"{name}:" in v for v in service.get("volumes", []))]
        assert len(sharing) > 1
        assert {(service["image"], service.get("user")) for service in sharing} == {("closing-bell-airflow", None)}
