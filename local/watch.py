"""The progress of a run in the terminal: a line for each task that is over, and what is running now."""

from collections.abc import Iterable

from rich.console import Console

from local.daily import OVER, Task

SIGNS = {"success": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[yellow]–[/]"}

Update = tuple[str, list[Task]]


def show_progress(console: Console, updates: Iterable[Update]) -> Update:
    """Show `updates` until they end, and return the last one.

    A task that is over or is tried again gets a line; on a terminal the last line says what is at work.
    """
    last: Update = ("", [])
    told: set[tuple[str, str, int]] = set()
    with console.status("waiting for the scheduler") as status:
        for state, tasks in updates:
            for task in tasks:
                line = _line(task)
                mark = (task.name, task.state, task.tries)
                if line and mark not in told:
                    told.add(mark)
                    console.print(line)
            status.update(_now(state, tasks))
            last = state, tasks
    return last


def _line(task: Task) -> str:
    count = f" ×{task.instances}" if task.instances > 1 else ""
    if task.state in OVER and task.state in SIGNS:
        return f"  {SIGNS[task.state]} {task.name + count:24} {task.seconds:6.1f} s"
    if task.state == "up_for_retry":
        return f"  [yellow]![/] {task.name + count:24} try {task.tries} failed, it will be tried again"
    return ""


def _now(state: str, tasks: list[Task]) -> str:
    running = [task.name for task in tasks if task.state in ("running", "queued")]
    if running:
        return ", ".join(running)
    return "waiting for an earlier run to end" if state == "queued" else "waiting for the scheduler"
