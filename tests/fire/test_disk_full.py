"""A full disk: a one-line error, unchanged state, no stale temporary files, and recovery once there is space."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.database.engine import open_database
from pipeline.errors import StoreError
from pipeline.prices.quality import Checked
from pipeline.prices.store.snapshot import read_snapshot, write_snapshot
from pipeline.prices.store.writer import PriceStore
from tests.fire.conftest import IN_CI
from tests.fire.model import DAYS, LATE, bar, checked, everything, frame_of, moment, read

pytestmark = pytest.mark.fire

SIZE = 2 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        told = f"no small disk can be mounted here: {done.stderr.strip()}"
        if IN_CI and os.geteuid() == 0:
            pytest.fail(told, pytrace=False)
        pytest.skip(told)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def batch(number: int) -> Checked:
    """The whole history of a hundred symbols, 8100 bars."""
    names = [f"S{number}N{at}" for at in range(100)]
    return checked(frame_of({(name, day): bar(50, number) for name in names for day in DAYS}))


def fill(store: PriceStore) -> tuple[dict[str, list[tuple[Any, ...]]], str]:
    """Append until the disk is full; return what was stored before the append that failed, and what it said."""
    for number in range(1, 100):
        before = everything(store.engine, store.source)
        try:
            store.append(batch(number), moment(number))
        except StoreError as error:
            return before, str(error)
    raise AssertionError("the disk was never full")


def test_a_full_disk_leaves_the_old_state_and_space_lets_the_same_append_succeed(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(SIZE // 4))
    engine = open_database(f"sqlite:///{disk / 'prices.db'}")
    store = PriceStore(engine, "fire")
    store.append(batch(0), moment(0))
    before, refused = fill(store)
    number = len(before["batches"])
    assert "\n" not in refused
    assert "full" in refused
    assert everything(engine, "fire") == before
    assert sorted(path.name for path in disk.iterdir()) == ["ballast", "prices.db"]
    ballast.unlink()
    assert store.append(batch(number), moment(number)).new == 100 * len(DAYS)
    names = (f"S{number}N0", f"S{number}N99")
    assert len(read(engine, "fire", names, DAYS[-1], LATE)) == 2 * len(DAYS)


def test_a_database_cannot_be_made_on_a_full_disk_and_can_with_space(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(SIZE - 3 * 4096))
    with pytest.raises(StoreError) as caught:
        open_database(f"sqlite:///{disk / 'prices.db'}")
    assert "\n" not in str(caught.value)
    ballast.unlink()
    assert everything(open_database(f"sqlite:///{disk / 'prices.db'}"), "fire")["bars"] == []


def tables() -> Iterator[pa.Table]:
    for number in range(40):
        frame = frame_of({(f"S{number:02}", day): bar(50 + number + at / 7) for at, day in enumerate(DAYS)})
        yield pa.Table.from_pandas(frame.assign(session=frame["session"].dt.date), preserve_index=False)


def test_a_snapshot_on_a_full_disk_leaves_no_litter_and_succeeds_with_space(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(SIZE - 5 * 4096))
    with pytest.raises(StoreError, match="No space left") as caught:
        write_snapshot(tables(), DAYS[-1], disk / "snapshots")
    assert "\n" not in str(caught.value)
    assert [path.name for path in (disk / "snapshots" / f"as_of={DAYS[-1]}").iterdir()] == [".lock"]
    ballast.unlink()
    frozen = write_snapshot(tables(), DAYS[-1], disk / "snapshots")
    assert len(read_snapshot(frozen)) == 40 * len(DAYS)
