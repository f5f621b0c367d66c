"""Where things lie and what the services are told: ours where it must be, the user's where it may be."""

import json
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
    foreign = {
        "AIRFLOW_HOME": "/opt/airflow",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg://production/airflow",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__API__HOST": "0.0.0.0",
        "MLFLOW_TRACKING_URI": "https://mlflow.example.com",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
    }
    environment = place.environment(foreign)
    assert not [name for name, value in foreign.items() if environment[name] == value]
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


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_in_a_home_is_for_others(place: Place) -> None:
    """Older files included: those of a set-up from before, and what another umask has left."""
    database, log = place.home / "pipeline.db-wal", place.logs / "deep" / "mlflow.log"
    log.parent.mkdir(mode=0o755)
    for path in (database, log):
        path.touch(mode=0o644)
        path.chmod(0o644)
    for folder in (place.home, place.logs):
        folder.chmod(0o755)
    place.prepare()
    found = {path: rights(path) for path in (place.home, *place.home.rglob("*"))}
    assert {path for path, mode in found.items() if mode & 0o077} == set()
    assert (rights(database), rights(log), rights(log.parent)) == (0o600, 0o600, 0o700)


def test_what_links_lead_to_keeps_its_rights(place: Place, tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir(mode=0o755)
    (elsewhere / "mine").touch(mode=0o644)
    (place.home / "link").symlink_to(elsewhere)
    (place.home / "to-a-file").symlink_to(elsewhere / "mine")
    place.prepare()
    assert (rights(elsewhere), rights(elsewhere / "mine")) == (0o755, 0o644)


def test_in_a_home_that_holds_more_only_ours_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "public").mkdir()
    for path in (tmp_path, tmp_path / "public"):
        path.chmod(0o755)
    place = Place(home=tmp_path, airflow_port=1, mlflow_port=2)
    place.prepare()
    assert (rights(tmp_path), rights(tmp_path / "public")) == (0o755, 0o755)
    assert {rights(path) for path in (place.airflow_home, place.mlflow_home, place.logs, place.run)} == {0o700}


def test_the_password_is_made_beforehand_so_that_airflow_prints_none(place: Place) -> None:
    made = json.loads(place.passwords.read_text())
    assert list(made) == ["admin"]
    assert len(made["admin"]) >= 16
    assert rights(place.passwords) == 0o600
    place.prepare()
    assert json.loads(place.passwords.read_text()) == made
    place.passwords.write_text('{"admin": "mine"}')
    place.prepare()
    assert json.loads(place.passwords.read_text()) == {"admin": "mine"}


def test_airflow_itself_says_nothing_of_the_password(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    for name, value in place.environment({}).items():
        if "SIMPLE_AUTH_MANAGER" in name:
            monkeypatch.setenv(name, value)
    made = place.passwords.read_text()
    SimpleAuthManager().init()
    told = "".join(capfd.readouterr())
    assert json.loads(made)["admin"] not in told
    assert "Password" not in told
    assert place.passwords.read_text() == made
    place.passwords.write_text("{}\n")
    SimpleAuthManager().init()
    assert "Password for user 'admin'" in "".join(capfd.readouterr()), "or Airflow does not tell any more: drop this"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"admin": ""}'])
def test_half_a_password_file_is_made_whole(place: Place, content: str) -> None:
    place.passwords.write_text(content)
    place.prepare()
    assert json.loads(place.passwords.read_text())["admin"]


def test_both_servers_answer_to_their_own_names(place: Place) -> None:
    environment = place.environment({"MLFLOW_HOSTS": "mlflow.example", "AIRFLOW_HOSTS": "bell.example, bell"})
    port = place.mlflow_port
    assert environment["CLOSING_BELL_MLFLOW_HOSTS"] == f"127.0.0.1:{port},localhost:{port},mlflow.example"
    assert environment["CLOSING_BELL_AIRFLOW_HOSTS"] == "127.0.0.1,localhost,bell.example,bell"
    own = f"http://127.0.0.1:{port},http://localhost:{port}"
    assert environment["CLOSING_BELL_MLFLOW_ORIGINS"] == f"{own},http://mlflow.example,https://mlflow.example"


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
