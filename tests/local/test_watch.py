"""What a person reads while a run is under way."""

import io

from rich.console import Console

from local.daily import Task
from local.watch import PATIENCE, Update, show_progress


def shown(*updates: Update, ahead: tuple[str, ...] = ()) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)
    last = show_progress(console, updates, why=lambda task: f"[why] {task.name}", ahead=lambda: list(ahead))
    assert last == updates[-1]
    return [line.rstrip() for line in out.getvalue().splitlines()]


def task(name: str, state: str, instances: int = 1, tries: int = 1) -> Task:
    return Task(name=name, state=state, instances=instances, tries=tries, seconds=1.25)


def test_says_once_that_a_task_is_over() -> None:
    done = task("ingest", "success", instances=3)
    lines = shown(("running", [task("ingest", "running")]), ("running", [done]), ("success", [done]))
    assert lines == ["  ✓ ingest ×3                   1.2 s"]


def test_says_why_each_try_failed() -> None:
    tries = [("running", [task("upload", "up_for_retry", tries=number)]) for number in (1, 1, 2)]
    assert shown(*tries) == [
        "  ! upload                   try 1 failed and is retried: [why] upload",
        "  ! upload                   try 2 failed and is retried: [why] upload",
    ]


def test_leaves_out_tasks_that_never_started() -> None:
    tasks = [task("train", "failed"), task("upload", "upstream_failed"), task("judge", "waiting")]
    assert shown(("failed", tasks)) == ["  ✗ train                       1.2 s"]


def test_a_long_wait_names_the_run_that_is_in_the_way() -> None:
    waiting: list[Update] = [("queued", [])] * (PATIENCE + 5)
    (line,) = shown(*waiting, ahead=("manual__1",))
    assert "waiting for manual__1" in line
    assert shown(*waiting[:5], ahead=("manual__1",)) == []
