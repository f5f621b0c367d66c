"""Where things lie and what the services are told: ours where it must be, the user's where it may be."""

import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from local.errors import LocalError
from local.place import MARKER, Place, Ports


def test_names_the_variable_that_is_no_port(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_PORT", "80800")
    with pytest.raises(LocalError, match="MLFLOW_PORT='80800' is not a port"):
        Place.load()


def test_refuses_one_port_for_two_services(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_PORT", "5000")
    with pytest.raises(LocalError, match="AIRFLOW_PORT and MLFLOW_PORT are both 5000"):
        Place.load()


def test_reads_ports_and_home_from_a_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("AIRFLOW_PORT=8181\nPIPELINE_HOME=elsewhere\n")
    place = Place.load()
    assert (place.airflow_port, place.home) == (8181, tmp_path / "elsewhere")
    assert Ports.load().mlflow_port == 5000


def test_overrules_what_another_airflow_has_left_in_the_environment(place: Place) -> None:
    strangers = {
        "AIRFLOW_HOME": "/opt/airflow",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg://production/airflow",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__API__HOST": "0.0.0.0",
        "MLFLOW_TRACKING_URI": "https://mlflow.example.com",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
    }
    environment = place.environment(strangers)
    assert not [name for name, value in strangers.items() if environment[name] == value]
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"sqlite:///{place.home}/airflow/airflow.db"


def test_keeps_the_users_own_settings_and_tuning(place: Place) -> None:
    environment = place.environment({"PIPELINE_SYMBOLS": "IBM", "AIRFLOW__CORE__PARALLELISM": "16"})
    assert environment["PIPELINE_SYMBOLS"] == "IBM"
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "16"


def test_reaches_this_machine_past_the_users_proxy(place: Place) -> None:
    environment = place.environment({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "intranet"})
    assert environment["no_proxy"] == environment["NO_PROXY"] == "intranet,127.0.0.1,localhost"


def test_marks_the_services_but_not_the_users_own_commands(place: Place) -> None:
    environment = place.environment({})
    assert environment[MARKER] == str(place.home)
    assert MARKER not in place.unmarked(environment)


def test_keeps_password_and_keys_from_others(place: Place) -> None:
    assert stat.S_IMODE(place.airflow_home.stat().st_mode) == 0o700


@pytest.mark.parametrize("depth", [0, 12])
def test_a_socket_can_be_bound_however_deep_the_home_lies(place: Place, tmp_path: Path, depth: int) -> None:
    deep = replace(place, home=tmp_path.joinpath(*["a-rather-long-name"] * depth, "var"))
    deep.prepare()
    temporary = f"{deep.socket}.{2**22}"  # the name that supervisord binds first: with its process id behind
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(temporary)
    Path(temporary).unlink()
    if deep.socket.parent != deep.run:
        deep.socket.parent.rmdir()
