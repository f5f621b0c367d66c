"""Progress of a command on standard error: completed steps with their seconds, the current step with a bar.

Shown on a terminal only, and removed when the command is done. Long steps show the remaining time: the ingestion by
symbols, a training by steps, a backtest by folds.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

_LEAST_SECONDS = 0.05  # of a completed step that keeps its line

_BAR_WIDTH = 28


class Steps:
    """The steps of a command; `begin` ends the previous step."""

    def __init__(self, bar: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar, self._clock = bar, clock
        self._task: TaskID | None = None
        self._since = 0.0
        self._done = 0

    def begin(self, name: str, total: float | None = None) -> None:
        """Show a new step, with its number of parts if known."""
        self.end()
        self._since, self._done = self._clock(), 0
        self._task = self._bar.add_task(name, total=total, note="", left=None, seconds=None)

    def end(self, *, keep: bool = True) -> None:
        """Mark the current step as done, or remove its line."""
        if self._task is None:
            return
        seconds = self._clock() - self._since
        keep = keep and seconds >= _LEAST_SECONDS
        self._bar.update(self._task, completed=1, total=1, seconds=seconds, note="", visible=keep)
        self._bar.stop_task(self._task)
        self._task = None

    def symbols(self, done: int, total: int, symbol: str) -> None:
        """Show the progress of the ingestion: symbols done, their total number, the one being requested."""
        if self._task is None:
            return
        if done > self._done + 1:  # skipped symbols do not count for the remaining time
            self._bar.reset(self._task, total=total, completed=done)
        self._bar.update(self._task, total=total, completed=done, note=f"{done}/{total} {symbol}".rstrip())
        self._done = done

    def training(self, step: int, steps: int) -> None:
        """Show how many of a training's steps are done."""
        if self._task is not None:
            self._bar.update(self._task, total=steps, completed=step, note=f"{step}/{steps}")


class Folds:
    """The folds of a backtest: one line for all folds above the training of the current one."""

    def __init__(self, steps: Steps, bar: Progress, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._steps, self._bar, self._count, self._clock = steps, bar, count, clock
        self._task: TaskID | None = None
        self._taken: list[float] = []
        self._began, self._since, self._done, self._trains = 0.0, 0.0, 0, False

    def begin(self) -> None:
        """Show the next fold."""
        if self._task is None:
            self._steps.end()
            self._began = self._clock()
            self._task = self._bar.add_task("folds", total=self._count, note="", left=None, seconds=None)
        else:
            self._close()
        self._steps.end(keep=False)
        self._since, self._trains = self._clock(), False
        self._show(0.0)
        self._steps.begin(f"fold {self._done + 1}")

    def end(self) -> None:
        """Mark the folds as done, if any began."""
        if self._task is not None:
            self._close()
            self._steps.end(keep=False)
            seconds = self._clock() - self._began
            self._bar.update(self._task, completed=self._done, note=f"{self._done}/{self._count}", seconds=seconds)
            self._task = None

    def training(self, step: int, steps: int) -> None:
        """Show how many of the steps of the current training are done."""
        self._trains = True
        self._steps.training(step, steps)
        self._show(step / steps)

    def _close(self) -> None:
        if self._trains:  # reused folds do not count for the remaining time
            self._taken.append(self._clock() - self._since)
        self._done += 1

    def _show(self, share: float) -> None:
        if self._task is None:
            return
        left = time_left(self._taken, self._clock() - self._since, share, self._count - self._done)
        note = f"{self._done}/{self._count}"
        self._bar.update(self._task, completed=self._done + share, note=note, left=left)


def time_left(taken: list[float], spent: float, share: float, folds: int) -> float | None:
    """Return the estimated seconds for the remaining folds, including the current one; None if unknown.

    By the average of the completed folds, or, within the first, by the progress of its training.
    """
    if taken:
        each = sum(taken) / len(taken)
    elif share > 0:
        each = spent / share
    else:
        return None
    return max(each - spent, 0.0) + each * (folds - 1)


def duration(seconds: float) -> str:
    """Return `0.4 s`, `48 s`, `3 min 05 s` or `2 h 10 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def working(quiet: bool = False) -> Iterator[tuple[Steps, Progress]]:
    """Show the steps of a command while it works, and keep standard output for its answer.

    Libraries print there too (MLflow the address of a run), which would be no JSON.
    """
    console = Console(stderr=True)
    shown = console.is_terminal and not console.is_dumb_terminal and not quiet
    columns = (
        _Mark("dots", table_column=Column(width=1)),
        TextColumn("{task.description}", table_column=Column(min_width=9, no_wrap=True)),
        _Time(table_column=Column(min_width=13, no_wrap=True)),
        _Bar(),
        TextColumn("[dim]{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    bar = Progress(*columns, console=console, transient=True, disable=not shown, redirect_stdout=False)
    with redirect_stdout(sys.stderr), bar:
        yield Steps(bar), bar


def _is_done(task: Task) -> bool:
    """Whether the step has ended: after the last training step the model is still to be scored."""
    return task.fields["seconds"] is not None


class _Mark(SpinnerColumn):
    def render(self, task: Task) -> RenderableType:
        return Text("✓", style="green") if _is_done(task) else self.spinner.render(task.get_time())


class _Bar(ProgressColumn):
    def render(self, task: Task) -> RenderableType:
        if _is_done(task) or task.total is None:
            return Text()
        return ProgressBar(total=max(task.total, 1), completed=task.completed, width=_BAR_WIDTH)


class _Time(ProgressColumn):
    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if _is_done(task):
            return Text(duration(task.fields["seconds"]), style="dim")
        left = task.fields["left"] if task.fields["left"] is not None else task.time_remaining
        return (
            Text(f"{duration(left)} left", style="cyan") if left else Text(duration(task.elapsed or 0.0), style="dim")
        )
