"""Editions in a bucket, where files are replaced one by one and nobody is ever alone."""

import json
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from s3fs import S3FileSystem

from pipeline.errors import CorruptFile, MissingStep, StoreError
from pipeline.publishing import publisher, reader
from pipeline.publishing.edition import Edition
from pipeline.storage import Bucket, Folder, Storage, open_storage

DAY, DAY_BEFORE = date(2013, 3, 1), date(2013, 2, 28)
OLD, NEW = "XNYS", "XLON"


@pytest.fixture
def editions(make_edition: Callable[..., Edition], monkeypatch: pytest.MonkeyPatch) -> dict[tuple[date, str], Edition]:
    """Editions of two sessions, and another of each, drawn only once."""
    made = {(day, name): make_edition(as_of=day, exchange=name) for day in (DAY, DAY_BEFORE) for name in (OLD, NEW)}
    drawn = {key: publisher.render(edition) for key, edition in made.items()}
    monkeypatch.setattr(publisher, "render", lambda edition: drawn[edition.as_of, edition.exchange])
    return made


@pytest.fixture
def root(bucket: str, tmp_path: Path) -> Storage:
    return open_storage(bucket, tmp_path / "cache")


def files_of(root: Storage, name: str) -> dict[str, bytes]:
    with root.reading(name) as folder:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pointed_at(root: Storage) -> str:
    return str(json.loads(root.read("latest.json"))["folder"])


def test_a_bucket_holds_what_a_folder_holds(editions: dict[Any, Edition], root: Storage, tmp_path: Path) -> None:
    folder = Folder(tmp_path / "published")
    for place in (root, folder):
        with pytest.raises(MissingStep, match="python -m pipeline run"):
            reader.latest(place)
        for day in (DAY, DAY_BEFORE):
            assert publisher.publish(editions[day, OLD], place).changed
        assert not publisher.publish(editions[DAY, OLD], place).changed
        assert reader.latest(place).name == pointed_at(place) == "as_of=2013-03-01"
        assert reader.read_published(reader.latest(place), verify=True).forecasts.as_of == date(2013, 3, 1)
    for name in ("as_of=2013-03-01", "as_of=2013-02-28"):
        assert files_of(root, name) == files_of(folder, name)
    assert root.read("latest.json") == folder.read("latest.json")
    assert str(reader.latest(root)) == "s3://bell/kept/as_of=2013-03-01"


def test_a_changed_byte_is_found_and_mended_by_publishing_again(editions: dict[Any, Edition], root: Storage) -> None:
    folder = publisher.publish(editions[DAY, OLD], root).folder
    folder.write("forecasts.csv", b"symbol\n")
    folder.remove("charts/AAPL.png")
    with pytest.raises(CorruptFile, match=r"forecasts\.csv, charts/AAPL\.png in s3://bell/kept/as_of=2013-03-01"):
        reader.read_published(folder, verify=True)
    assert publisher.publish(editions[DAY, OLD], root).changed
    reader.read_published(folder, verify=True)


def cut_off(edition: Edition, root: Storage, number: int) -> tuple[str, int]:
    """Publish while the n-th file and all after it do not arrive; return what is said, and how many were put."""
    put: list[str] = []
    call = S3FileSystem._call_s3

    async def counted(self: S3FileSystem, method: str, *words: Any, **more: Any) -> Any:
        if method == "put_object":
            put.append(more["Key"])
            if len(put) >= number:
                raise ConnectionResetError("cut off")
        return await call(self, method, *words, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3FileSystem, "_call_s3", counted)
        try:
            publisher.publish(edition, root)
        except StoreError as error:
            return str(error), len(put)
    return "", len(put)


def test_a_publication_cut_off_before_its_last_file_is_found_out_and_completed(
    editions: dict[Any, Edition], root: Storage
) -> None:
    for name in (OLD, NEW, OLD):  # what each replaces is stored by now
        publisher.publish(editions[DAY, name], root)
    said, _ = cut_off(editions[DAY, NEW], root, 9)
    assert "cut off" in said
    with pytest.raises(CorruptFile):
        reader.read_published(reader.latest(root), verify=True)
    publisher.publish(editions[DAY, NEW], root)
    assert reader.read_published(reader.latest(root), verify=True).manifest.exchange == NEW


@pytest.mark.slow
def test_a_publication_cut_off_anywhere_leaves_the_old_edition_or_is_found_out(
    editions: dict[Any, Edition], root: Storage
) -> None:
    publisher.publish(editions[DAY_BEFORE, OLD], root)
    before, seen = files_of(root, "as_of=2013-02-28"), set()
    for number in count(1):
        publisher.publish(editions[DAY, OLD], root)
        said, put = cut_off(editions[DAY, NEW], root, number)
        if not said:
            break
        assert "cut off" in said
        assert "what was published for other sessions is untouched" in said
        try:
            seen.add(reader.read_published(reader.latest(root), verify=True).manifest.exchange)
        except CorruptFile:
            seen.add("found out")
        publisher.publish(editions[DAY, NEW], root)
        assert reader.read_published(reader.latest(root), verify=True).manifest.exchange == NEW
    assert put == number - 1 == 10  # the files of an edition, and the pointer
    assert seen == {OLD, NEW, "found out"}
    assert pointed_at(root) == "as_of=2013-03-01"
    assert files_of(root, "as_of=2013-02-28") == before


@pytest.mark.parametrize(
    ("slow", "quick", "numbers"),
    [
        (DAY_BEFORE, DAY, (1, 8)),
        *(
            pytest.param(slow, quick, None, marks=pytest.mark.slow, id=f"{slow} and {quick}, at any time")
            for slow, quick in ((DAY_BEFORE, DAY), (DAY, DAY_BEFORE), (DAY, DAY))
        ),
    ],
)
def test_with_two_publishers_the_pointer_ends_at_the_newest_whenever_the_other_comes_between(
    editions: dict[Any, Edition],
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slow: date,
    quick: date,
    numbers: tuple[int, ...] | None,
) -> None:
    asked = Bucket.request
    waiting: list[Callable[[], object]] = []
    number = left = 0

    def counted(self: Bucket, *words: str) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            waiting.pop()()
        return asked(self, *words)

    monkeypatch.setattr(Bucket, "request", counted)
    for number in numbers or count(1):
        root = open_storage(f"{bucket}/{number}", tmp_path)
        waiting = [lambda root=root: publisher.publish(editions[quick, OLD], root)]
        left = number
        publisher.publish(editions[slow, OLD], root)
        left = 0
        if waiting:
            break
        assert pointed_at(root) == f"as_of={max(slow, quick)}"
        newest = reader.read_published(reader.latest(root), verify=True)
        assert newest.forecasts.as_of == (max(slow, quick))
    assert number == 8 if numbers else number > 8


def test_a_bucket_keeps_trials_and_replaced_editions_as_a_folder_does(
    make_edition: Callable[..., Edition], root: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.publishing.charts.png.fan_pngs", lambda fans: [])
    folder = Folder(tmp_path / "published")
    trial = make_edition(trial=("1 of 3 symbols",))
    for place in (root, folder):
        publisher.publish(trial, place)
        assert reader.read_manifest(reader.newest(place)).trial == ("1 of 3 symbols",)
        assert not place.exists("latest.json")
        publisher.publish(make_edition(exchange=OLD), place)
        publisher.publish(make_edition(exchange=NEW), place)
        assert not publisher.publish(trial, place).changed
        assert not publisher.publish(make_edition(exchange=NEW), place).changed
    kept = reader.other_editions(root, DAY)
    assert kept == reader.other_editions(folder, DAY)
    assert [reader.read_published(root / one.place, verify=True).manifest.exchange for one in kept] == [OLD, OLD]
    for one in kept:
        assert files_of(root, one.place) == files_of(folder, one.place)
    assert reader.all_sessions(root) == [DAY]
