"""Which code made a run, and the tags that say so."""

import subprocess
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.config import Settings
from pipeline.tracking.provenance import git_commit, run_tags
from tests.tracking.material import AS_OF


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text("x = 1\n")
    for arguments in (["init", "-q"], ["add", "code.py"], ["commit", "-q", "-m", "first"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, "-C", str(tmp_path), *arguments], check=True)
    return tmp_path


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    (checkout / "prices.csv").write_text("my own data\n")
    assert len(git_commit(checkout)) == 40


def test_changed_code_is_dirty(checkout: Path) -> None:
    clean = git_commit(checkout)
    (checkout / "code.py").write_text("x = 2\n")
    assert git_commit(checkout) == f"{clean}-dirty"


def test_new_code_is_dirty(checkout: Path) -> None:
    (checkout / "new.py").write_text("y = 1\n")
    assert git_commit(checkout).endswith("-dirty")


def test_outside_git_it_is_the_installed_release(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == f"release {__version__}"


def test_a_repository_around_an_installation_is_not_its_code(checkout: Path) -> None:
    installed = checkout / ".venv" / "lib" / "pipeline"
    installed.mkdir(parents=True)
    (installed / "jobs.py").write_text("y = 1\n")
    assert git_commit(installed) == f"release {__version__}"


def test_an_image_names_the_commit_that_it_was_built_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSING_BELL_COMMIT", "abc")
    assert git_commit(tmp_path) == "abc"


def test_tags_name_the_airflow_run(home: Path) -> None:
    provenance = {"dag_id": "daily_forecast", "run_id": "scheduled__2013"}
    tags = run_tags(Settings.load(), as_of=AS_OF, symbols=["AAPL"], commit="abc", provenance=provenance, try_number=3)
    assert tags["airflow.dag_id"] == "daily_forecast"
    assert tags["airflow.run_id"] == "scheduled__2013"
    assert tags["airflow.try"] == "3"
    assert (tags["as_of"], tags["network"], tags["source"]) == ("2013-02-28", "lstm", "sample")


def test_a_whole_market_does_not_fill_the_tag(home: Path) -> None:
    symbols = [f"S{number}" for number in range(10_000)]
    tags = run_tags(Settings.load(), as_of=AS_OF, symbols=symbols, commit="abc", provenance={})
    assert tags["symbols"].endswith("and 9980 more")
    assert tags["symbol_count"] == "10000"
    assert not any(name.startswith("airflow.") for name in tags)
