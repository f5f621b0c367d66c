"""kill -9 at every point of ingestion, snapshot and migration: repeating the step gives the same result."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import Engine

from pipeline.database.engine import open_database
from pipeline.prices.store import request_log
from pipeline.prices.store.snapshot import Snapshot, read_snapshot, write_snapshot
from pipeline.prices.store.writer import PriceStore
from pipeline.publishing import publisher, reader
from pipeline.storage import Folder
from pipeline.storage.atomic_files import sha256_bytes
from tests.editions import AS_OF, edition
from tests.fire.children import killed_at_each
from tests.fire.intake import NAMES, accepting_all, after_the_split, ask, source_of
from tests.fire.model import DAYS, LATE, bar, everything, frame_of, moment, read
from tests.fire.points import At, database_points, die, file_points

pytestmark = pytest.mark.fire


def _ingest(number: int, address: str, source: str) -> None:
    accepting_all()
    store = PriceStore(open_database(address), source)
    with database_points(At(number, die)):
        ask(store, after_the_split(), DAYS[45], 2)


def test_an_intake_killed_anywhere_goes_on(
    opened: Callable[[], Engine], address: str, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(accepting_all().undo)
    engine, names = opened(), after_the_split().symbols()

    def words(number: int) -> tuple[str, str]:
        ask(PriceStore(engine, f"killed{number}"), source_of(), DAYS[40], 1)
        return address, f"killed{number}"

    reference = words(0)[1]
    old = read(engine, reference, names, DAYS[-1], LATE)
    ask(PriceStore(engine, reference), after_the_split(), DAYS[45], 2)
    new, stored = read(engine, reference, names, DAYS[-1], LATE), everything(engine, reference)
    for number, _ in killed_at_each(_ingest, words):
        store = PriceStore(engine, f"killed{number}")
        found = read(store.engine, store.source, names, DAYS[-1], LATE)
        for name in names:
            mine = found[found["symbol"] == name].reset_index(drop=True)
            assert any(mine.equals(state[state["symbol"] == name].reset_index(drop=True)) for state in (old, new))
        ask(store, after_the_split(), DAYS[45], 2)
        assert everything(store.engine, store.source) == stored
        assert read(store.engine, store.source, NAMES, DAYS[40], moment(1)).equals(old)
        ended = request_log.last_requests(store.engine, store.source, names)
        assert {one.outcome for one in ended.values()} == {"complete"}
    assert number > 20


def tables() -> Iterator[pa.Table]:
    for name in ("AAA", "BBB", "CCC"):
        frame = frame_of({(name, day): bar(50) for day in DAYS})
        yield pa.Table.from_pandas(frame.assign(session=frame["session"].dt.date), preserve_index=False)


def _write_snapshot(number: int, folder: Path) -> None:
    reached = At(number, die)
    file_points(reached, folder)

    def told() -> Iterator[pa.Table]:
        for table in tables():
            reached("a table")
            yield table

    write_snapshot(told(), DAYS[-1], folder)


def test_a_snapshot_killed_anywhere_is_whole_or_not_there(tmp_path: Path) -> None:
    whole = write_snapshot(tables(), DAYS[-1], tmp_path / "reference")
    name, seen = f"as_of={DAYS[-1]}", set()
    for number, killed in killed_at_each(_write_snapshot, lambda number: (tmp_path / str(number),)):
        place = tmp_path / str(number) / name
        path = place / whole.path.name
        seen.add(path.exists())
        assert killed or path.exists()
        if path.exists():
            read_snapshot(Snapshot(path=path, digest=whole.digest))
        assert write_snapshot(tables(), DAYS[-1], tmp_path / str(number)).digest == whole.digest
        assert {each.name for each in place.iterdir()} == {".lock", path.name}
    assert seen == {True, False}


def drawn(run: str) -> dict[str, bytes]:
    """The files of a small edition, the manifest last."""
    files = {"forecasts.json": run.encode() * 100, "charts/AAA.png": run.encode()}
    recorded = {name: {"sha256": sha256_bytes(data)} for name, data in files.items()}
    about = {"headline": run, "verdict": run, "symbols": 1, "decision": {"model": "garch"}}
    manifest = {"as_of": str(AS_OF), "provenance": {"run_key": run}, "files": recorded, **about}
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def put(run: str, folder: Path, trial: tuple[str, ...]) -> None:
    made = edition(provenance={"run_key": run}, trial=trial)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publisher, "render", lambda _edition: drawn(run))
        publisher.publish(made, Folder(folder))


def _put(number: int, folder: Path, trial: tuple[str, ...]) -> None:
    reached = At(number, die)
    file_points(reached, folder)
    put("second", folder, trial)


def runs_in(folder: Path) -> list[str]:
    """The runs of all editions of the session, the standing one first; each is whole."""
    root = Folder(folder)
    places = [reader.latest(root), *(root / one.place for one in reader.other_editions(root, AS_OF))]
    manifests = [json.loads(place.read("manifest.json")) for place in places]
    for place, manifest in zip(places, manifests, strict=True):
        assert all(sha256_bytes(place.read(name)) == one["sha256"] for name, one in manifest["files"].items())
    return [manifest["provenance"]["run_key"] for manifest in manifests]


@pytest.mark.parametrize("trial", [(), ("1 of 3 symbols",)])
def test_a_publication_killed_anywhere_loses_no_edition(tmp_path: Path, trial: tuple[str, ...]) -> None:
    seen = set()

    def words(number: int) -> tuple[Path, tuple[str, ...]]:
        put("first", tmp_path / str(number), ())
        return tmp_path / str(number), trial

    for number, killed in killed_at_each(_put, words):
        folder = tmp_path / str(number)
        found = runs_in(folder)
        seen.add(tuple(found))
        whole = ["first", "second"] if trial else ["second", "first"]
        assert found in (["first"], whole)
        assert killed or found == whole
        put("second", folder, trial)
        assert runs_in(folder) == whole
        pointer = json.loads((folder / "latest.json").read_text())
        assert pointer["manifest_sha256"] == sha256_bytes((folder / f"as_of={AS_OF}/manifest.json").read_bytes())
        names = {path.name for path in folder.rglob("*") if path.name.startswith(".")}
        assert names <= {".lock"}, "nothing is left lying about"
    assert len(seen) == 2
    assert number > 20
