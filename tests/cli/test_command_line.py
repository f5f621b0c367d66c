"""The command line from its entry point: what it ends with, and what it writes where.

In a process of its own where the process matters: signals, pipes, the terminal, and what is printed while it starts.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import __version__
from pipeline.cli.app import main
from pipeline.config import Settings
from pipeline.database.engine import open_database
from tests.conftest import ROOT

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def where(home: Path) -> dict[str, Any]:
    """How to start it: in an empty folder, at home, and with the packages of the checkout."""
    return {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "cwd": home.parent, "text": True}


@pytest.fixture
def published(home: Path) -> Path:
    folder = home / "published" / "as_of=2013-03-01"
    folder.mkdir(parents=True)
    levels = ("0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95")
    quantiles = {level: 97.0 + place for place, level in enumerate(levels)}
    one = {"last_close": 100.0, "model": "lstm", "model_version": "3", "recent_closes": [99.0, 100.0]}
    steps = [{"step": 1, "target_session": "2013-03-04", "quantiles": quantiles}]
    document = {
        "as_of": "2013-03-01",
        "exchange": "XNYS",
        "model": "lstm",
        "model_version": "3",
        "horizon": 1,
        "forecasts": [{"symbol": symbol, **one, "steps": steps} for symbol in ("AAPL", "IBM")],
        "withheld": [{"symbol": "NEW", "reason": "31 sessions"}],
    }
    decision = {"model": "lstm", "model_version": "3", "promoted": True, "reason": "It won."}
    manifest = {
        "as_of": "2013-03-01",
        "headline": "2013-03-01 XNYS: 2 symbols",
        "verdict": "Today's network is published",
        "symbols": 2,
        "decision": decision,
        "files": {},
    }
    (folder / "forecasts.json").write_text(json.dumps(document))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def call(where: dict[str, Any], *words: str) -> Done:
    command = [sys.executable, "-m", "pipeline", *words]
    return subprocess.run(command, capture_output=True, timeout=120, check=False, **where)


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Calls the entry point in this process, without the seconds that a new one needs to start."""

    def call(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", [str(ROOT / "pipeline" / "__main__.py"), *words])  # as `python -m pipeline`
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(words, int(ended.value.code or 0), *capsys.readouterr())

    return call


def one_line(done: Done, status: int) -> str:
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
    return done.stderr


def test_show_is_plain_text_a_hundred_columns_wide_where_there_is_no_terminal(
    where: dict[str, Any], published: Path
) -> None:
    for words in ([], ["AAPL", "ibm", "NEW"]):
        done = call(where, "show", *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert not [sign for sign in done.stdout if ord(sign) < 32 and sign != "\n"]
        assert 60 < max(map(len, done.stdout.splitlines())) <= 100
        assert "NEW: no forecast, 31 sessions" in done.stdout


def test_a_symbol_that_is_not_there_is_named_with_those_that_are_near(
    here: Callable[..., Done], published: Path
) -> None:
    assert "similar: AAPL" in one_line(here("show", "APPL"), 1)
    assert "similar: AAPL" in one_line(here("show", "APPL", "--json"), 1)


def test_show_as_json_has_what_was_asked_for(here: Callable[..., Done], published: Path) -> None:
    found = json.loads(here("show", "ibm", "--json").stdout)
    assert [each["symbol"] for each in found["forecasts"]] == ["IBM"]
    assert (found["withheld"], found["record"]) == ([], [])
    assert len(json.loads(here("show", "--top", "1", "--json").stdout)["forecasts"]) == 1


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["show", "--bogus"], "show --help"),
        (["nonsense"], "nonsense"),
        (["show", "--sort", "beauty"], "width"),
        (["backtest"], "--from"),
        (["quarantine", "release"], "ids"),
    ],
)
def test_a_wrong_command_line_is_one_line(here: Callable[..., Done], words: list[str], about: str) -> None:
    assert about in one_line(here(*words), 2)


def test_without_a_command_there_is_help(where: dict[str, Any]) -> None:
    done = call(where)
    assert (done.returncode, done.stderr) == (0, "")
    assert "doctor" in done.stdout


@pytest.mark.parametrize("words", [["show"], ["show", "--json"], ["show", "AAPL"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(where: dict[str, Any], published: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "pipeline", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, **where) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_an_interruption_is_one_line_and_status_130(where: dict[str, Any]) -> None:
    script = "import time\nimport pipeline.jobs.health_checks as h\nfrom pipeline.cli.app import main\nimport sys\n"
    script += "h.examine = lambda now: (print('here', flush=True), time.sleep(60))\nsys.argv[1:] = ['doctor']\nmain()"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes, **where) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "interrupted\n")


def test_settings_that_cannot_be_read_are_one_line(where: dict[str, Any]) -> None:
    (where["cwd"] / ".env").write_bytes(b"PIPELINE_SOURCE=\xff\xfe\n")
    assert ".env cannot be read: not UTF-8 text" in one_line(call(where, "show"), 1)


@pytest.mark.slow
def test_a_locked_database_is_one_line_also_for_programs(where: dict[str, Any], home: Path) -> None:
    open_database(Settings.load(home=home).database)
    holder = sqlite3.connect(home / "pipeline.db")
    holder.execute("BEGIN EXCLUSIVE")
    script = "import sys\nimport pipeline.database.engine as e\nfrom pipeline.cli.app import main\n"
    script += "e.BUSY_TIMEOUT_S = 0\nsys.argv[1:] = ['ingest', '--json']\nmain()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120, check=False, **where)
    holder.close()
    assert "locked" in one_line(done, 1)


def test_json_stands_alone_and_a_quiet_machine_sees_no_progress(where: dict[str, Any]) -> None:
    done = call(where, "ingest", "--json", "--symbols", "IBM", "--as-of", "2013-02-28")
    assert json.loads(done.stdout)["new"] > 0
    assert done.stderr == ""


COMPLETED = {
    "sh": "show",
    "show A": "AAPL",
    "show --as-of ": "2013-03-01",
    "run --source ": "sample yahoo files",
    "run --symbols IBM,A": "IBM,AAPL",
    "show --sort w": "width",
}


@pytest.fixture
def program(where: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """How to start it where `closing-bell` is a command, as an installation makes it."""
    command = tmp_path / "bin" / "closing-bell"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom pipeline.__main__ import main\nmain()\n")
    command.chmod(0o755)
    path = os.pathsep.join((str(command.parent), os.environ["PATH"]))
    return {**where, "env": {**where["env"], "PATH": path}}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_commands_options_and_published_values(program: dict[str, Any], published: Path) -> None:
    script = 'eval "$(closing-bell --show-completion)"\n'
    script += 'try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "$complete" closing-bell; '
    script += 'IFS=" "; echo "${COMPREPLY[*]}"; }\n'
    script += "complete=$(complete -p closing-bell | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\n"
    for line in COMPLETED:
        *words, last = line.split(" ")
        script += f"try closing-bell {' '.join(words)} '{last}'\n"
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, timeout=120, check=False, **program)
    assert (done.stdout.splitlines(), done.stderr) == (list(COMPLETED.values()), "")


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_accept_the_completion_script(program: dict[str, Any], shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    begin = {"zsh": "autoload -Uz compinit; compinit -i; ", "fish": ""}[shell]
    script = f'{begin}eval "$(closing-bell --show-completion)"; closing-bell nonsense'
    no_files = {"zsh": "-f", "fish": "--no-config"}[shell]
    done = subprocess.run([shell, no_files, "-c", script], capture_output=True, timeout=60, check=False, **program)
    assert done.stderr.count("\n") == 1
    assert "nonsense" in done.stderr


def test_completion_of_the_module_form_is_that_of_the_command(where: dict[str, Any]) -> None:
    script = "python=$1; $python -m pipeline --show-completion; exit"
    command = ["bash", "--norc", "-c", script, "bash", sys.executable]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, **where)
    assert done.stdout.rstrip().endswith(" closing-bell")


def test_both_forms_name_themselves_and_the_version(where: dict[str, Any], program: dict[str, Any]) -> None:
    assert call(where, "--version").stdout == f"closing-bell {__version__}\n"
    assert "see `python -m pipeline show --help`" in one_line(call(where, "show", "--bogus"), 2)
    named = subprocess.run(["closing-bell", "show", "--bogus"], capture_output=True, timeout=60, check=False, **program)
    assert "see `closing-bell show --help`" in one_line(named, 2)


@pytest.fixture
def trial(home: Path, published: Path) -> Path:
    folder = home / "published" / "editions" / "as_of=2013-03-01" / "0001-3f9c01ab-77d21e90"
    shutil.copytree(published, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"trial": ["1 of 5 symbols"], "standing": False}))
    return folder


@pytest.mark.parametrize(
    ("words", "labelled"),
    [
        (["show"], False),
        (["show", "--as-of", "2013-03-01"], False),
        (["show", "--as-of", "2013-03-01", "--edition", "1"], True),
        (["show", "AAPL", "--as-of", "2013-03-01", "--edition", "0001-3f9c01ab-77d21e90"], True),
    ],
)
def test_show_labels_a_trial(here: Callable[..., Done], trial: Path, words: list[str], labelled: bool) -> None:
    done = here(*words)
    assert done.returncode == 0, done.stderr
    assert ("Trial: 1 of 5 symbols" in done.stdout) == labelled


def test_where_nothing_stands_show_shows_the_newest_trial(
    here: Callable[..., Done], published: Path, trial: Path
) -> None:
    shutil.rmtree(published)
    for words in (["show"], ["show", "--as-of", "2013-03-01"]):
        assert "Trial: 1 of 5 symbols" in here(*words).stdout


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["show", "--edition", "1"], "name its session too"),
        (["show", "--as-of", "2013-03-01", "--edition", "7"], "there is no edition 7 of 2013-03-01; there are: 0001-"),
        (["show", "--as-of", "2013-03-04"], "nothing is published"),
    ],
)
def test_an_edition_that_is_not_there_is_one_line(
    here: Callable[..., Done], trial: Path, words: list[str], about: str
) -> None:
    assert about in one_line(here(*words), 1)
