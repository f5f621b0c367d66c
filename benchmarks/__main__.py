"""Speed of the price store against its requirements: `make bench`, or `python -m benchmarks --quick`.

Each case runs in its own process, on fixed data, round after round; `benchmarks.prices` describes the cases. Start-up
time and the source, which stands for the network, are not counted. `core`, `read_sql` and `lean` measure a plain fetch;
above 1,000 symbols they and the first load are measured once. The exit status says only whether everything ran.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import time

from benchmarks.measure import Samples, as_json, as_markdown, environment, requirements, run_case

YEARS_10, QUICK_SESSIONS = 2500, 300
_ONCE_BEYOND = 1000
_MOST_ROUNDS = 25  # the data have sessions for no more
_PEERS = ("core", "read_sql", "lean")


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything and print the tables."""
    given = _parser().parse_args(argv)
    sizes = given.symbols or ([20, 40] if given.quick else [500, 1000, 10_000])
    rounds = min(given.rounds or (1 if given.quick else 5), _MOST_ROUNDS)
    samples = Samples()
    with _folder(given.keep) as folder:
        for size in sizes:
            run = _Size(samples, folder, given.database_url, size, QUICK_SESSIONS if given.quick else YEARS_10)
            run.all(rounds)
    judged, about = requirements(samples, sizes), environment()
    if given.quick:
        judged = [replace(one, met=None) for one in judged]  # runs this short say nothing about speed
    sys.stdout.write(as_markdown(samples, judged, about))
    if given.json:
        given.json.write_text(as_json(samples, judged, about))
    return 0


class _Size:
    """All cases with one number of symbols."""

    def __init__(self, samples: Samples, folder: Path, url: str | None, symbols: int, sessions: int) -> None:
        self._samples, self._folder, self._url = samples, folder, url
        self._symbols, self._sessions = symbols, sessions
        self._stamp = int(time())  # keeps the rows apart in a database that holds others
        self._loaded = 0

    def all(self, rounds: int) -> None:
        """Load and revise, then the daily cases and the reads in turn, then the plain appends."""
        once = 1 if self._symbols > _ONCE_BEYOND else rounds
        for turn in range(once):
            self._clear()
            self._loaded = turn
            self._run("load", turn)
        self._run("revise", 0)
        for turn in range(rounds):
            for case in ("day", "unchanged", "read", "arrow"):
                self._run(case, turn)
            for case in _PEERS if turn < once else ():
                self._run(case, turn)
        for turn in range(rounds):
            self._run("append", turn, shift=rounds)

    def _run(self, case: str, turn: int, shift: int = 0) -> None:
        arguments = ["--url", self._url or f"sqlite:///{self._file}", "--folder", str(self._folder / "snapshots")]
        arguments += ["--source", f"b{self._stamp}-{self._symbols}-{self._loaded}", "--sessions", str(self._sessions)]
        sample = run_case(case, symbols=self._symbols, turn=turn + shift, arguments=arguments)
        self._samples.all.append(sample)
        sys.stderr.write(f"{case} {self._symbols}: {sample.wall_s:.3f} s, CPU {sample.cpu_s:.3f} s\n")

    def _clear(self) -> None:
        for path in self._folder.glob(f"{self._file.name}*"):
            path.unlink()

    @property
    def _file(self) -> Path:
        return self._folder / f"{self._symbols}.db"


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            yield Path(folder)
        return
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


def _numbers(text: str) -> list[int]:
    return sorted({int(one) for one in text.split(",")})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--symbols", type=_numbers, help="how many, such as 500,10000")
    parser.add_argument("--rounds", type=int, help=f"default 5, at most {_MOST_ROUNDS}")
    parser.add_argument(
        "--quick", action="store_true", help="a few symbols and one year, to check that everything runs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample to FILE")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work in FOLDER and keep the databases")
    parser.add_argument("--database-url", help="a PostgreSQL database instead of files; its rows are not removed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
