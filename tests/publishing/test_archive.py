"""Editions are never lost: trials stand next to the standing edition, a replaced one is kept, latest does not move."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import MissingStep
from pipeline.publishing import archive, publisher, reader
from pipeline.publishing.edition import Edition
from pipeline.storage import Folder, atomic_files
from tests.editions import AS_OF, edition, forecasts
from tests.publishing.test_publisher import state

TRIAL = ("1 of 3 symbols",)
_NO_CHARTS = "pipeline.publishing.charts.png.fan_pngs"


@pytest.fixture(autouse=True)
def _no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_NO_CHARTS, lambda fans: [])


@pytest.fixture
def root(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "published")


def made(run: str, **fields: Any) -> Edition:
    return edition(provenance={"source": "sample", "run_key": run}, **fields)


def trial(run: str = "trial", symbol: str = "AAPL", **fields: Any) -> Edition:
    return made(run, forecasts=forecasts((symbol,)), trial=TRIAL, **fields)


def runs(root: Folder) -> list[str]:
    """The runs of the editions next to the standing one, in their order."""
    others = reader.other_editions(root, AS_OF)
    return [reader.read_manifest(root / one.place).run_key for one in others]


def latest(root: Folder) -> dict[str, Any]:
    pointer: dict[str, Any] = json.loads(root.read("latest.json"))
    return pointer


def test_a_trial_leaves_the_standing_edition_and_the_pointer_as_they_are(root: Folder) -> None:
    publisher.publish(made("standing"), root)
    before, pointer = state(root.path / "as_of=2013-03-01"), latest(root)
    published = publisher.publish(trial(), root)
    assert published.changed
    assert published.place.startswith("editions/as_of=2013-03-01/0001-")
    assert (state(root.path / "as_of=2013-03-01"), latest(root)) == (before, pointer)
    manifest = reader.read_published(published.folder, verify=True).manifest
    assert (manifest.trial, manifest.standing) == (TRIAL, False)
    assert "(trial: 1 of 3 symbols)" in manifest.headline


def test_a_trial_published_twice_changes_nothing(root: Folder) -> None:
    first = publisher.publish(trial(), root)
    before = state(root.path)
    again = publisher.publish(trial(), root)
    assert (again.changed, again.place) == (False, first.place)
    assert state(root.path) == before


def test_every_edition_of_a_session_is_kept_in_the_order_of_publication(root: Folder) -> None:
    publisher.publish(made("first"), root)
    for number in range(3):
        publisher.publish(trial(f"trial{number}"), root)
    publisher.publish(made("second", exchange="XLON"), root)
    publisher.publish(trial("trial0", symbol="^GSPC"), root)  # the same run with another content
    assert reader.read_manifest(reader.latest(root)).run_key == "second"
    assert runs(root) == ["trial0", "trial1", "trial2", "first", "trial0"]
    for one in reader.other_editions(root, AS_OF):
        reader.read_published(root / one.place, verify=True)


def test_a_trial_becomes_the_standing_edition_where_it_is_asked_for(root: Folder) -> None:
    publisher.publish(made("first"), root)
    published = publisher.publish(trial(make_latest=True), root)
    assert published.place == "as_of=2013-03-01"
    assert latest(root)["manifest_sha256"] == published.manifest_sha256
    assert runs(root) == ["first"]


def test_an_edition_comes_back_when_its_run_is_published_again(root: Folder) -> None:
    publisher.publish(made("first"), root)
    publisher.publish(made("second", exchange="XLON"), root)
    publisher.publish(made("first"), root)
    assert reader.read_manifest(reader.latest(root)).run_key == "first"
    assert runs(root) == ["second"], "the copy of the edition that stands again is not listed twice"


def test_where_nothing_stands_the_newest_trial_is_shown_and_there_is_no_pointer(root: Folder) -> None:
    for run in ("one", "two"):
        publisher.publish(trial(run), root)
    assert not root.exists("latest.json")
    assert reader.read_manifest(reader.newest(root)).run_key == "two"
    assert reader.edition_of(root, AS_OF) == reader.newest(root)
    with pytest.raises(MissingStep):
        reader.latest(root)
    publisher.publish(made("standing"), root)
    assert reader.newest(root) == reader.latest(root)


@pytest.mark.parametrize("name", ["2", "0002", "{}"])
def test_an_edition_is_found_by_its_number_and_by_its_name(root: Folder, name: str) -> None:
    publisher.publish(trial("one"), root)
    second = publisher.publish(trial("two"), root)
    assert archive.find(root, AS_OF, name.format(second.folder.name)).place == second.place


@pytest.mark.parametrize("name", ["3", "0001", "..", "../../as_of=2013-03-01", "0001-00000000-00000000", ""])
def test_an_edition_that_is_not_there_is_said_not_to_be(root: Folder, name: str) -> None:
    publisher.publish(made("standing"), root)
    with pytest.raises(MissingStep, match="there is no edition"):
        archive.find(root, AS_OF, name)


def test_what_only_looks_like_an_edition_is_none(root: Folder) -> None:
    publisher.publish(trial(), root)
    folder = root.path / "editions/as_of=2013-03-01"
    for name in ("notes", "0002-xyz-abc", ".0001-3f9c01ab-77d21e90.aside", "0009-3f9c01ab-77d21e90"):
        (folder / name).mkdir()  # the last one has no manifest: its writer was killed
    (root.path / "editions/as_of=yesterday!").mkdir()
    assert len(reader.other_editions(root, AS_OF)) == 1
    assert archive.archived_sessions(root) == [AS_OF]


class Stopped(Exception):
    """Stands in for the end of a process."""


def every_point(root: Path, work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Stop the work before its first write, rename or removal, then before its second, to the end."""
    number = 0
    while True:
        number += 1
        left = [number]

        def reached(name: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Stopped(name)

        with monkeypatch.context() as patch:
            for name in ("write_new", "sync", "move_into_place"):
                real = getattr(atomic_files, name)
                patch.setattr(atomic_files, name, lambda *args, name=name, real=real: (reached(name), real(*args))[1])
            patch.setattr("shutil.rmtree", lambda *args, **kwargs: None)  # nobody tidies up after a kill
            try:
                work()
            except Stopped:
                yield number
                continue
        return


@pytest.mark.parametrize("new", [made("second", exchange="XLON"), trial(), trial(make_latest=True)])
def test_a_publication_stopped_anywhere_loses_no_edition(
    root: Folder, monkeypatch: pytest.MonkeyPatch, new: Edition
) -> None:
    publisher.publish(made("first"), root)
    old = reader.read_manifest(reader.latest(root))
    stopped = 0
    for _ in every_point(root.path, lambda: publisher.publish(new, root), monkeypatch):
        stopped += 1
        standing = reader.read_published(reader.latest(root), verify=True).manifest
        kept = [
            reader.read_published(root / one.place, verify=True).manifest for one in reader.other_editions(root, AS_OF)
        ]
        assert old in [standing, *kept]
        assert len(kept) <= 1
    assert stopped > 5
    assert not publisher.publish(new, root).changed
    assert reader.read_manifest(reader.latest(root)).run_key == (new.run_key if new.standing else "first")
    assert runs(root) == (["first"] if new.standing else ["trial"])
    assert latest(root)["manifest_sha256"] == atomic_files.sha256_bytes(reader.latest(root).read("manifest.json"))
