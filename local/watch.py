"""The progress of a run in the terminal: one line per finished task, and what is running now."""

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.markup import escape

from local.daily import OVER, Task

SIGNS = {"success": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[yellow]–[/]"}
# Polls after which a run that waits for an earlier one says so; the skipped run of a new schedule takes fewer.
PATIENCE = 30

Update = tuple[str, list[Task]]
Why = Callable[[Task], str]
Ahead = Callable[[], list[str]]


def show_progress(console: Console, updates: Iterable[Update], *, why: Why, ahead: Ahead) -> Update:
    """Show `updates` until they end, and return the last one.

    Each task that has finished or is retried gets a line; for a retry `why` gives the reason. `ahead` names the runs
    that this one may be waiting for. On a terminal the last line says what is running.
    """
    last: Update = ("", [])
    shown: set[tuple[str, str, int]] = set()
    with console.status("waiting for the scheduler") as status:
        for looks, (state, tasks) in enumerate(updates):
            for task in tasks:
                mark = (task.name, task.state, task.tries)
                if mark not in shown and (line := _line(task, why)):
                    shown.add(mark)
                    console.print(line)
            if looks == PATIENCE and state == "queued":
                console.print(escape(_waiting(ahead())))
            status.update(_now(state, tasks))
            last = state, tasks
    return last


def _line(task: Task, why: Why) -> str:
    count = f" ×{task.instances}" if task.instances > 1 else ""
    if task.state in OVER and task.state in SIGNS:
        return f"  {SIGNS[task.state]} {task.name + count:24} {task.seconds:6.1f} s"
    if task.state == "up_for_retry":
        return f"  [yellow]![/] {task.name + count:24} try {task.tries} failed and is retried: {escape(why(task))}"
    return ""


def _waiting(ahead: list[str]) -> str:
    if not ahead:
        return "  … the scheduler has not started the run yet"
    return f"  … waiting for {', '.join(ahead)}: one run at a time; to cancel that one, mark it as failed in Airflow"


def _now(state: str, tasks: list[Task]) -> str:
    running = [task.name for task in tasks if task.state in ("running", "queued")]
    if running:
        return ", ".join(running)
    return "waiting for an earlier run to finish" if state == "queued" else "waiting for the scheduler"
