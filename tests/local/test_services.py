"""Supervisor's configuration, ports, restarts; with a small program in the place of Airflow and MLflow."""

import os
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest
from supervisor.options import ServerOptions

from local import processes, services
from local.errors import LocalError, PortInUse, ServiceFailed
from local.place import Place

SERVICE = """
[supervisord]
logfile=logs/supervisord.log
pidfile=run/supervisord.pid
minfds=64
minprocs=8

[unix_http_server]
file=%(ENV_CLOSING_BELL_SOCKET)s

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[program:service]
command="%(ENV_CLOSING_BELL_PYTHON)s" -c "{code}"
startsecs={startsecs}
startretries=0
stopwaitsecs=1
redirect_stderr=true
stdout_logfile=logs/service.log
"""


@pytest.fixture
def one_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let `services.start` start one sleeping program, and no database."""
    path = tmp_path / "supervisord.conf"
    path.write_text(SERVICE.format(code="import signal; signal.pause()", startsecs=0))
    monkeypatch.setattr(services, "CONFIGURATION", path)
    monkeypatch.setattr(services, "migrate", lambda *_: None)
    return path


def start(place: Place, **settings: str) -> tuple[bool, list[str]]:
    said: list[str] = []
    return services.start(place, place.environment(os.environ | settings), said.append), said


def supervisor_pid(place: Place) -> int:
    return int(services.supervisor(place).getPID())


@pytest.mark.parametrize("variable", ["AIRFLOW_PORT", "MLFLOW_PORT"])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_names_the_variable_to_change(place: Place, variable: str, address: str) -> None:
    port = getattr(place, variable.lower())
    with socket.create_server((address, port)), pytest.raises(PortInUse) as caught:
        services.require_free(place)
    assert f"port {port} is in use" in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    assert f"make run {variable}=" in str(caught.value)


def test_free_ports_pass(place: Place) -> None:
    services.require_free(place)


def test_the_configuration_names_every_service_and_restarts_it(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    awkward = Place(home=tmp_path / "50% of a #1 home", airflow_port=18080, mlflow_port=15000)
    awkward.prepare()
    programs = {program.name: program for program in configured(awkward, monkeypatch)}
    assert set(programs) == {
        "airflow-api-server",
        "airflow-dag-processor",
        "airflow-scheduler",
        "airflow-triggerer",
        "mlflow",
    }
    for name, program in programs.items():
        assert program.stopasgroup, name
        assert program.killasgroup, name
        assert program.autorestart, name
        assert program.stdout_logfile == f"logs/{name}.log"
        assert program.stdout_logfile_maxbytes > 0, name
    assert f'"sqlite:///{awkward.home}/mlflow/mlflow.db"' in programs["mlflow"].command
    assert "--host 127.0.0.1 --port 15000" in programs["mlflow"].command
    # The log servers listen on every interface, and no option changes that.
    assert all("--skip-serve-logs" in programs[name].command for name in ("airflow-scheduler", "airflow-triggerer"))


def configured(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    for name, value in place.environment(os.environ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place.home)
    options = ServerOptions()
    options.configfile = str(services.CONFIGURATION)
    options.process_config(do_usage=False)
    return [program for group in options.process_group_configs for program in group.process_configs]


def test_what_services_write_is_for_their_owner_alone(place: Place, one_service: Path) -> None:
    before = os.umask(0o022)
    try:
        (place.logs / "from-before.log").touch(mode=0o644)
        code = "import os, signal; os.mkdir('made'); open('made/x', 'w'); signal.pause()"
        one_service.write_text(SERVICE.format(code=code, startsecs=0).replace("minfds=64", "minfds=64\numask=077"))
        start(place)
        made = place.home / "made" / "x"
        deadline = time.monotonic() + 10
        while not made.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        open_to_others = [path for path in (place.home, *place.home.rglob("*")) if path.stat().st_mode & 0o077]
        assert made.exists()
        assert open_to_others == []
    finally:
        services.stop(place)
        assert os.umask(before) == 0o022, "the caller's own stays as it was"


def test_the_configuration_keeps_others_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.environment(os.environ).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place.home)
    options = ServerOptions()
    options.configfile = str(services.CONFIGURATION)
    options.process_config(do_usage=False)
    assert options.umask == 0o077


def test_starts_stops_and_leaves_nothing(place: Place, one_service: Path) -> None:
    assert start(place) == (True, [])
    assert set(services.states(place)) == {"service"}
    services.require_running(place)
    assert services.stop(place) == 2
    assert not processes.ours(place.home)
    assert services.states(place) == {}


def test_uses_services_that_run_already(place: Place, one_service: Path) -> None:
    start(place)
    before = supervisor_pid(place)
    assert start(place) == (False, [])
    assert supervisor_pid(place) == before


def test_restarts_when_a_setting_has_changed(place: Place, one_service: Path) -> None:
    start(place)
    before = supervisor_pid(place)
    started, said = start(place, PIPELINE_SOURCE="files")
    assert started
    assert supervisor_pid(place) != before
    assert "settings or code have changed" in said[0]


def test_stop_ends_services_whose_supervisor_was_killed(place: Place, one_service: Path) -> None:
    start(place)
    psutil.Process(supervisor_pid(place)).kill()
    assert services.stop(place) >= 1
    assert not processes.ours(place.home)


def test_start_ends_what_a_crash_has_left_first(place: Place, one_service: Path) -> None:
    start(place)
    supervisor = psutil.Process(supervisor_pid(place))
    orphans = set(processes.ours(place.home)) - {supervisor}
    supervisor.kill()
    assert start(place)[0]
    assert orphans
    assert not orphans & set(processes.ours(place.home))


def test_an_interrupted_start_leaves_nothing(place: Place, one_service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(services, "fingerprint", interrupt)  # computed once supervisord runs
    with pytest.raises(KeyboardInterrupt):
        start(place)
    assert not processes.ours(place.home)


def test_a_concurrent_second_start_is_refused(place: Place, one_service: Path) -> None:
    with services.alone(place), pytest.raises(LocalError, match="another `make run` is starting"):
        start(place)


def test_a_service_that_does_not_stay_up_is_named_with_the_end_of_its_log(place: Place, one_service: Path) -> None:
    one_service.write_text(SERVICE.format(code="raise SystemExit('no such luck')", startsecs=30))
    start(place)

    def watch() -> None:
        while True:
            services.require_running(place)

    with pytest.raises(ServiceFailed, match=r"(?s)service does not stay up.*service\.log.*no such luck"):
        watch()


def test_a_migration_that_fails_is_named_with_its_log_and_done_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    environment = place.environment(os.environ)
    for _ in range(2):
        with pytest.raises(ServiceFailed, match=r"airflow-migrate failed with exit status 1.*airflow-migrate\.log"):
            services.migrate(place, environment, lambda _: None)


def test_settings_and_code_make_the_fingerprint_and_the_terminal_does_not(place: Place) -> None:
    plain = services.fingerprint({"PIPELINE_SOURCE": "sample", "TERM": "xterm"})
    assert services.fingerprint({"PIPELINE_SOURCE": "sample", "TERM": "dumb"}) == plain
    assert services.fingerprint({"PIPELINE_SOURCE": "files", "TERM": "xterm"}) != plain
