"""How far a command is, on standard error: its steps with a tick and their seconds, the one under way with a bar.

On a terminal alone, and gone when the command is done. What takes a while says how long it still takes: the ingestion
by symbols, a training by steps, a backtest by folds and the steps within.
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

_LEAST_SECONDS = 0.05  # of a step that is worth a line of its own once it is done

_BAR_WIDTH = 28


class Steps:
    """The steps of one command; `begin` ends the one before."""

    def __init__(self, bar: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._bar, self._clock = bar, clock
        self._task: TaskID | None = None
        self._since = 0.0
        self._done = 0

    def begin(self, name: str, total: float | None = None) -> None:
        """Show that a step begins, of so many parts where that is known."""
        self.end()
        self._since, self._done = self._clock(), 0
        self._task = self._bar.add_task(name, total=total, note="", left=None, seconds=None)

    def end(self, *, keep: bool = True) -> None:
        """Put a tick and the seconds to the step under way, or take its line away."""
        if self._task is None:
            return
        seconds = self._clock() - self._since
        keep = keep and seconds >= _LEAST_SECONDS
        self._bar.update(self._task, completed=1, total=1, seconds=seconds, note="", visible=keep)
        self._bar.stop_task(self._task)
        self._task = None

    def symbols(self, done: int, total: int, symbol: str) -> None:
        """Say how far the ingestion is: symbols done, how many there are, and which is asked for."""
        if self._task is None:
            return
        if done > self._done + 1:  # symbols that need not be asked for say nothing of how long the others take
            self._bar.reset(self._task, total=total, completed=done)
        self._bar.update(self._task, total=total, completed=done, note=f"{done}/{total} {symbol}".rstrip())
        self._done = done

    def training(self, steps: int) -> Callable[[int, float], None]:
        """Return what is told the steps of a training of so many."""

        def told(step: int, _loss: float) -> None:
            if self._task is not None:
                self._bar.update(self._task, total=steps, completed=step, note=f"{step}/{steps}")

        return told


class Folds:
    """The folds of a backtest, one line for all of them above the training of the one under way."""

    def __init__(self, steps: Steps, bar: Progress, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._steps, self._bar, self._count, self._clock = steps, bar, count, clock
        self._task: TaskID | None = None
        self._taken: list[float] = []
        self._began, self._since, self._done, self._trains = 0.0, 0.0, 0, False

    def begin(self) -> None:
        """Show that the next fold begins."""
        if self._task is None:
            self._steps.end()
            self._began = self._clock()
            self._task = self._bar.add_task("folds", total=self._count, note="", left=None, seconds=None)
        else:
            self._close()
        self._steps.end(keep=False)
        self._since, self._trains = self._clock(), False
        self._tell(0.0)
        self._steps.begin(f"fold {self._done + 1}")

    def end(self) -> None:
        """Put a tick to the folds, if any began."""
        if self._task is not None:
            self._close()
            self._steps.end(keep=False)
            seconds = self._clock() - self._began
            self._bar.update(self._task, completed=self._done, note=f"{self._done}/{self._count}", seconds=seconds)
            self._task = None

    def training(self, steps: int) -> Callable[[int, float], None]:
        """Return what is told the steps of each training of so many."""
        tell = self._steps.training(steps)

        def told(step: int, loss: float) -> None:
            self._trains = True
            tell(step, loss)
            self._tell(step / steps)

        return told

    def _close(self) -> None:
        if self._trains:  # a fold that was kept from an earlier try says nothing of how long the others take
            self._taken.append(self._clock() - self._since)
        self._done += 1

    def _tell(self, share: float) -> None:
        if self._task is None:
            return
        left = time_left(self._taken, self._clock() - self._since, share, self._count - self._done)
        note = f"{self._done}/{self._count}"
        self._bar.update(self._task, completed=self._done + share, note=note, left=left)


def time_left(taken: list[float], spent: float, share: float, folds: int) -> float | None:
    """Return the seconds that so many folds still take, the one under way included; None while nobody can know.

    As long as the folds before on average, or, within the first, as its training up to here says.
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
    """Whether the step has ended: a training whose last step is done has still to be scored."""
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
