"""Child processes of the tests: one after the other, each killed a little later, or many at once."""

import itertools
import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Forked from a process that has imported everything and opened nothing.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "pytest",
        "alembic.command",
        "adbc_driver_sqlite.dbapi",
        "adbc_driver_postgresql.dbapi",
        "tests.fire.test_concurrent",
        "tests.fire.test_kill",
        "tests.fire.test_kill_steps",
    ]
)
KILLED = -9
Work = Callable[..., None]


def killed_at_each(work: Work, words: Callable[[int], tuple[Any, ...]]) -> Iterator[tuple[int, bool]]:
    """Do the work in a process that is killed at its first point, in one that is killed at its second, to the end."""
    for number in itertools.count(1):
        process = FORKS.Process(target=work, args=(number, *words(number)))
        process.start()
        process.join()
        assert process.exitcode in (0, KILLED)
        yield number, process.exitcode == KILLED
        if process.exitcode == 0:
            return


def at_once(work: Work, words: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Do the work in a process for each of the words, all begun at the same moment; return what they say.

    The work gets its words and what it has to call first, which waits for the others.
    """
    barrier, answers = FORKS.Barrier(len(words)), FORKS.Queue()
    processes = [FORKS.Process(target=_told, args=(work, barrier, answers, at, *one)) for at, one in enumerate(words)]
    for process in processes:
        process.start()
    said = sorted((answers.get() for _ in processes), key=lambda one: int(one[0]))
    for process in processes:
        process.join()
    if failed := [one[2] for one in said if one[2]]:
        raise AssertionError("\n".join(failed))
    return [one[1] for one in said]


def _told(work: Any, barrier: Any, answers: Any, at: int, *words: Any) -> None:
    try:
        answers.put((at, work(barrier.wait, *words), ""))
    except BaseException as error:  # noqa: BLE001  the test tells of it
        barrier.abort()
        answers.put((at, None, "".join(traceback.format_exception(error))))
