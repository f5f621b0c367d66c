"""How far a command is, and how long it still takes."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from pipeline.cli.progress import Folds, Steps, duration, time_left, working


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bar(clock: Clock) -> Progress:
    return Progress(console=Console(file=io.StringIO()), get_time=clock, disable=True)


def test_steps_that_are_done_keep_their_seconds(bar: Progress, clock: Clock) -> None:
    steps = Steps(bar, clock)
    steps.begin("ingest")
    clock.now = 3.0
    steps.begin("train")
    clock.now = 10.0
    steps.end()
    assert [(task.description, task.fields["seconds"]) for task in bar.tasks] == [("ingest", 3.0), ("train", 7.0)]


def test_the_time_left_of_an_ingestion_is_that_of_the_symbols_that_are_asked_for(bar: Progress, clock: Clock) -> None:
    steps = Steps(bar, clock)
    steps.begin("ingest")
    steps.symbols(0, 100, "A")
    clock.now = 0.1
    for done in range(80, 91):  # eighty had not to be asked for
        steps.symbols(done, 100, "B")
        clock.now += 2.0
    (task,) = bar.tasks
    assert task.time_remaining == pytest.approx(20, abs=1)


def test_the_time_left_of_a_training_is_by_its_steps(bar: Progress, clock: Clock) -> None:
    steps = Steps(bar, clock)
    steps.begin("train")
    told = steps.training
    for step in range(1, 101):
        clock.now += 10.0 if step == 1 else 0.1  # the first has much to set up
        told(step, 1000)
    assert bar.tasks[0].time_remaining == pytest.approx(90, abs=1)


def test_a_backtest_has_a_line_for_all_folds_and_one_for_the_training_within(bar: Progress, clock: Clock) -> None:
    steps = Steps(bar, clock)
    folds = Folds(steps, bar, 4, clock)
    told = folds.training
    folds.begin()
    clock.now = 5.0
    told(50, 100)
    assert bar.tasks[0].fields["left"] == pytest.approx(35)  # ten seconds each, five of them spent
    clock.now = 12.0
    folds.begin()
    clock.now = 15.0
    told(20, 100)
    assert [task.description for task in bar.tasks if task.visible] == ["folds", "fold 2"]
    assert bar.tasks[0].fields["left"] == pytest.approx(33)
    folds.end()
    assert [task.description for task in bar.tasks if task.visible] == ["folds"]


def test_nobody_knows_how_long_folds_take_before_one_has_begun() -> None:
    assert time_left([], 3.0, 0.0, 4) is None
    assert time_left([10.0], 30.0, 0.5, 2) == 10.0  # late, not less than nothing


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.42, "0.4 s"), (9.96, "10 s"), (48.2, "48 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_a_library_prints_is_not_in_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with working() as (steps, _):
        steps.begin("train")
        print("View run at http://127.0.0.1:5000")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "View run at http://127.0.0.1:5000\n"
