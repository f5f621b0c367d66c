"""After all that the other tests have done and broken: what must not be seen, is not. Runs last, by its name."""

import csv
import io
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from benchmarks.stack.compose import DAG, ROOT, Stack, until
from tests.distributed.routes import asked, routes_of

pytestmark = pytest.mark.distributed

DATABASES = ("airflow", "mlflow", "mlflow_users", "pipeline")


@pytest.fixture(scope="module")
def canaries(stack: Stack) -> dict[str, str]:
    """Every secret of the stack by its setting: the random ones, and those planted in addresses."""
    found = {name: value for name, value in stack.values.items() if name.endswith(("PASSWORD", "SECRET", "KEY"))}
    found |= {name: value for name, value in stack.values.items() if name.startswith("AWS_")}
    found["PIPELINE_YAHOO_URL"] = re.findall(r":(\w+)@", stack.values["PIPELINE_YAHOO_URL"])[0]
    assert len(found) == 13 + 3 + 1
    assert all(len(value) >= 16 for value in found.values())
    return found


@pytest.fixture(scope="module")
def failed_run(stack: Stack, first_run: str) -> str:
    """A run that could not reach the source whose address has a password in it, and said so."""
    run_id = stack.trigger({"as_of": "2013-01-11", "source": "yahoo", "symbols": "AAPL"})

    def refused() -> bool:
        states = {task["task_id"]: task["state"] for task in stack.tasks(run_id)}
        return states.get("ingest") in ("up_for_retry", "failed") or states.get("audit_and_snapshot") == "failed"

    until(refused, within_s=180, what="a source that cannot be reached")
    stack.airflow.patch(f"dags/{DAG}/dagRuns/{quote(run_id, safe='')}", {"state": "failed"})
    return run_id


def held(text: str, canaries: dict[str, str]) -> set[str]:
    return {name for name, value in canaries.items() if value in text}


def test_no_log_of_a_service_tells_a_secret(stack: Stack, canaries: dict[str, str], failed_run: str) -> None:
    told = stack.compose("logs", "--no-color")
    assert len(told) > 10_000
    assert held(told, canaries) == set()


@pytest.mark.parametrize(
    ("service", "folders", "has"),
    [
        ("worker", ["/var/lib/closing-bell", "/var/log/closing-bell", "/opt/closing-bell"], "as_of=2013-01-11"),
        ("mlflow", ["/var/lib/mlflow", "/opt/closing-bell"], "MLmodel"),
    ],
)
def test_no_file_holds_a_secret(
    stack: Stack, canaries: dict[str, str], failed_run: str, tmp_path: Path, service: str, folders: list[str], has: str
) -> None:
    assert has in stack.compose("exec", "-T", service, "find", *folders)
    sought = tmp_path / "sought"
    sought.write_text("\n".join(canaries.values()))
    done = stack.run("exec", "-T", service, "grep", "-rlaF", "-f", "-", *folders, stdin=sought)
    assert done.returncode == 1, f"{done.stdout} {done.stderr}"


@pytest.mark.parametrize("database", DATABASES)
def test_no_row_holds_a_secret(stack: Stack, canaries: dict[str, str], failed_run: str, database: str) -> None:
    dump = stack.compose("exec", "-T", "postgres", "pg_dump", "--username", "postgres", database)
    assert dump.count("COPY public.") > 2
    assert held(dump, canaries) == set()


def test_no_page_of_airflow_shows_a_secret(
    stack: Stack, canaries: dict[str, str], first_run: str, failed_run: str
) -> None:
    signed = {"Authorization": f"Bearer {stack.airflow.token()}"}
    shown = []
    for method, route in routes_of(stack):
        for run_id, task_id in ((first_run, "train"), (failed_run, "ingest")):
            known = {
                "dag_id": DAG,
                "dag_run_id": quote(run_id, safe=""),
                "run_id": quote(run_id, safe=""),
                "task_id": task_id,
                "map_index": "0" if task_id == "ingest" else "-1",
                "try_number": "1",
                "task_try_number": "1",
                "pool_name": "prices",
                "xcom_key": "return_value",
                "dag_version": "1",
                "version_number": "1",
            }
            path = re.sub(r"{(\w+)(:path)?}", lambda found, known=known: known.get(found[1], "1"), route)
            if method == "GET" and "logout" not in path:
                status, _, said = asked(stack.airflow.url + path, signed)
                shown.append((status, path, said.decode(errors="replace")))
    told = [(path, text) for status, path, text in shown if status == 200]
    assert len(told) > 60
    assert any("/logs/1" in path and "worked for" in text for path, text in told)
    assert {path: found for _, path, text in shown if (found := held(text, canaries))} == {}


def test_published_tables_hold_no_formula_and_the_report_no_foreign_script(stack: Stack, first_run: str) -> None:
    folder = "/var/lib/closing-bell/published/as_of=2013-01-11"
    table = stack.compose("exec", "-T", "worker", "cat", f"{folder}/forecasts.csv")
    cells = [cell for row in csv.reader(io.StringIO(table)) for cell in row]
    assert len(cells) > 100
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _number(cell)] == []
    report = stack.compose("exec", "-T", "worker", "cat", f"{folder}/report.html")
    assert len(report) > 10_000
    own = re.findall(r"<script>(.*?)</script>", report, re.DOTALL)
    assert own == [(ROOT / "pipeline" / "publishing" / "report" / "report.js").read_text()]
    report = report.replace(f"<script>{own[0]}</script>", "")
    assert re.findall(r"<script|javascript:|\son\w+\s*=|<iframe|<object|src=[\"']?http", report, re.IGNORECASE) == []


def _number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", text) is not None
