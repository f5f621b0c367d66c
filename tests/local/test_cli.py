"""The commands, as a terminal sees them."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import cli, processes
from local.errors import LocalError
from local.place import REPO, Place
from pipeline.errors import UserError


def local(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=REPO,
        env=os.environ | {"PIPELINE_HOME": str(home), "PYTHONPATH": str(REPO)} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_ends_with_one_line_where_a_port_is_taken(place: Place) -> None:
    with socket.create_server(("127.0.0.1", place.airflow_port)):
        done = local(place.home, "run", AIRFLOW_PORT=str(place.airflow_port), MLFLOW_PORT=str(place.mlflow_port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: port {place.airflow_port} is in use by another program")
    assert done.stderr.count("\n") == 1
    assert not processes.ours(place.home)


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("AS_OF", "28.2.2013", "AS_OF='28.2.2013' is not a date"),
        ("SYMBOLS", "IBM,../x", "'../x' is not a symbol"),
        ("AS_OF", "2013-03-02", "2013-03-02 is not a session of XNYS (weekend or holiday)"),
        ("AS_OF", "2012-11-22", "2012-11-22 is not a session of XNYS (weekend or holiday)"),
        ("AS_OF", "2999-01-04", "as_of 2999-01-04 is in the future"),
        ("AS_OF", "2013-03-04", "as_of 2013-03-04 is after the end of the source `sample`"),
        ("AS_OF", "1999-12-31", "as_of 1999-12-31 is before the history of the source `sample`"),
        ("SYMBOLS", "IBM,NOPE", "has no NOPE"),
        ("SYMBOLS", "A," * 20_001, "20,001 are too many"),
        ("SOURCE", "bloomberg", "source: 'bloomberg' is not allowed; use one of sample, yahoo, files"),
        ("NETWORK", "transformer", "network: 'transformer' is not allowed; use one of lstm, rnn, mlp"),
        ("FILES", "/nowhere/prices.csv", "FILES=/nowhere/prices.csv: there is no such file"),
    ],
)
def test_run_refuses_what_makes_no_sense_before_it_starts_anything(
    home: Path, setting: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises((LocalError, UserError), match=re.escape(named)):
        cli.app(["run"], standalone_mode=False)
    assert not home.exists()


def test_run_refuses_a_symbol_that_the_file_does_not_have(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("prices.csv").write_text(
        "date,symbol,open,high,low,close,volume\n"
        "2013-02-27,IBM,1,1,1,1,1\n2013-02-28,IBM,1,1,1,1,1\n2013-03-01,IBM,1,1,1,1,1\n"
    )
    for name, value in {"FILES": "prices.csv", "SYMBOLS": "IBM,NOPE"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"has no NOPE"):
        cli.app(["run"], standalone_mode=False)
    assert not home.exists()


def test_checking_a_request_imports_neither_torch_nor_mlflow_nor_airflow() -> None:
    code = "import sys; from local.cli import require_possible as check; check({'as_of': '2013-02-28'}, files='')"
    code += "; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert not {"torch", "mlflow", "airflow"} & set(done.stdout.split())


def test_stop_has_nothing_to_do_where_nothing_runs(home: Path) -> None:
    done = local(home, "stop")
    assert (done.returncode, done.stdout) == (0, f"nothing of {home} is running\n")


def test_status_fails_where_nothing_runs(home: Path) -> None:
    assert local(home, "status").returncode == 1


def test_exec_gives_a_command_the_environment_of_the_services(home: Path) -> None:
    done = local(home, "exec", "sh", "-c", "echo $AIRFLOW_HOME $CLOSING_BELL_HOME", AIRFLOW_HOME="/opt/airflow")
    assert done.stdout == f"{home}/airflow\n"


def test_asks_the_dag_for_nothing_that_was_not_given() -> None:
    assert cli.request(as_of="", symbols="", source="", network="") == {}
    assert cli.request(as_of="2013-02-28", symbols="IBM", source="", network="rnn") == {
        "as_of": "2013-02-28",
        "symbols": "IBM",
        "network": "rnn",
    }


@pytest.mark.parametrize(
    ("conf", "files", "lines"),
    [
        ({"symbols": "aapl ibm"}, "", "PIPELINE_SYMBOLS=AAPL,IBM"),
        ({"source": "yahoo", "symbols": "MSFT"}, "", "PIPELINE_SOURCE=yahoo and PIPELINE_SYMBOLS=MSFT"),
        ({"source": "files"}, "/data/prices.csv", "PIPELINE_SOURCE=files and PIPELINE_FILES=/data/prices.csv"),
        ({"network": "rnn", "as_of": "2013-02-28"}, "", "PIPELINE_NETWORK=rnn"),
    ],
)
def test_a_trial_ends_with_how_to_move_latest(conf: dict[str, str], files: str, lines: str) -> None:
    told = cli.trial_advice(conf, files)
    assert "`latest` and the track record were not moved" in told
    assert "LATEST=1" in told
    assert f"put {lines} into .env" in told
