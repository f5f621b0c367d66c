"""The published folders: publishing is idempotent and atomic, and the pointer never moves back."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from pipeline.errors import CorruptFile, MissingStep, StoreError
from pipeline.publishing import publisher, reader
from pipeline.publishing.edition import Edition
from pipeline.storage import Folder, atomic_files

DAY, DAY_BEFORE = date(2013, 3, 1), date(2013, 2, 28)


def state(root: Path) -> dict[str, tuple[int, bytes]]:
    paths = [path for path in root.rglob("*") if path.name != ".lock"]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in paths}


def pointed_at(root: Path) -> str:
    return json.loads((root / "latest.json").read_text())["folder"]


def test_an_edition_is_published_with_all_its_files(make_edition: Callable[..., Edition], tmp_path: Path) -> None:
    published = publisher.publish(make_edition(), Folder(tmp_path / "published"))
    folder = tmp_path / "published" / published.folder.name
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert published.changed
    assert published.folder.name == "as_of=2013-03-01"
    assert names == {
        "forecasts.parquet",
        "forecasts.csv",
        "forecasts.json",
        "record.parquet",
        "report.html",
        "manifest.json",
        "charts/AAPL.png",
        "charts/_5eGSPC.png",
        "charts/EURUSD_3dX.png",
    }
    manifest = json.loads(published.folder.read("manifest.json"))
    assert set(manifest["files"]) == names - {"manifest.json"}
    assert manifest["provenance"]["mlflow_run_id"] == "r1"
    assert manifest["decision"]["model"] == "lstm"
    assert manifest["audit"].items() >= {"accept": 240, "warn": 1, "quarantine": 0, "reject": 0}.items()


def test_the_pointer_names_the_manifest_it_was_written_for(
    make_edition: Callable[..., Edition], tmp_path: Path
) -> None:
    published = publisher.publish(make_edition(), Folder(tmp_path))
    pointer = json.loads((tmp_path / "latest.json").read_text())
    digest = atomic_files.sha256_bytes(published.folder.read("manifest.json"))
    assert pointer == {"as_of": "2013-03-01", "folder": "as_of=2013-03-01", "manifest_sha256": digest}
    assert published.manifest_sha256 == digest


def test_publishing_twice_changes_nothing_not_even_a_time_stamp(
    make_edition: Callable[..., Edition], tmp_path: Path
) -> None:
    publisher.publish(make_edition(), Folder(tmp_path))
    before = state(tmp_path)
    assert not publisher.publish(make_edition(), Folder(tmp_path)).changed
    assert state(tmp_path) == before


def test_two_runs_with_one_content_differ_only_in_manifest_and_report(make_edition: Callable[..., Edition]) -> None:
    one, other = publisher.render(make_edition()), publisher.render(make_edition(provenance={"mlflow_run_id": "r2"}))
    assert {name for name in one if one[name] != other[name]} == {"manifest.json", "report.html"}


def test_other_content_replaces_what_was_there(make_edition: Callable[..., Edition], tmp_path: Path) -> None:
    publisher.publish(make_edition(), Folder(tmp_path))
    fewer = make_edition().forecasts.query("symbol == 'AAPL'")
    published = publisher.publish(make_edition(forecasts=fewer), Folder(tmp_path))
    assert published.changed
    assert (published.folder / "charts").names("*") == ["AAPL.png"]
    assert reader.read_published(published.folder, verify=True).manifest.symbols == 1
    assert json.loads((tmp_path / "latest.json").read_text())["manifest_sha256"] == published.manifest_sha256


def test_a_damaged_file_is_found_and_mended_by_publishing_again(
    make_edition: Callable[..., Edition], tmp_path: Path
) -> None:
    folder = publisher.publish(make_edition(), Folder(tmp_path)).folder
    folder.write("forecasts.csv", b"symbol\n")
    folder.remove("charts/AAPL.png")
    with pytest.raises(CorruptFile, match=r"forecasts\.csv, charts/AAPL\.png"):
        reader.read_published(folder, verify=True)
    assert publisher.publish(make_edition(), Folder(tmp_path)).changed
    assert reader.read_published(folder, verify=True).forecasts.as_of == date(2013, 3, 1)


def test_the_pointer_never_steps_back_to_an_older_session(make_edition: Callable[..., Edition], tmp_path: Path) -> None:
    publisher.publish(make_edition(as_of=DAY), Folder(tmp_path))
    publisher.publish(make_edition(as_of=DAY_BEFORE), Folder(tmp_path))
    assert pointed_at(tmp_path) == "as_of=2013-03-01"
    assert reader.latest(Folder(tmp_path)).name == "as_of=2013-03-01"


def test_the_pointer_steps_forward(make_edition: Callable[..., Edition], tmp_path: Path) -> None:
    publisher.publish(make_edition(as_of=DAY_BEFORE), Folder(tmp_path))
    publisher.publish(make_edition(as_of=DAY), Folder(tmp_path))
    assert pointed_at(tmp_path) == "as_of=2013-03-01"


def test_a_pointer_lost_in_a_crash_is_written_by_the_same_publication_again(
    make_edition: Callable[..., Edition], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Folder.write

    def crash(self: Folder, name: str, data: bytes) -> None:
        if name == "latest.json":
            raise KeyboardInterrupt
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", crash)
        with pytest.raises(KeyboardInterrupt):
            publisher.publish(make_edition(), Folder(tmp_path))
    assert not (tmp_path / "latest.json").exists()
    assert not publisher.publish(make_edition(), Folder(tmp_path)).changed
    assert pointed_at(tmp_path) == "as_of=2013-03-01"


@pytest.mark.parametrize("step", ["write_new", "sync", "move_into_place"])
def test_a_failure_at_any_step_leaves_the_old_edition_as_it_was(
    make_edition: Callable[..., Edition], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    publisher.publish(make_edition(), Folder(tmp_path))
    before = state(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, step, full)
    with pytest.raises(StoreError, match="No space left on device; what was published before is untouched"):
        publisher.publish(make_edition(exchange="XLON"), Folder(tmp_path))
    after = state(tmp_path)
    assert {path: after[path][1] for path in before} == {path: data for path, (_, data) in before.items()}
    assert not [path for path in set(after) - set(before) if Path(path).is_file()]


def test_a_folder_that_cannot_be_written_gives_one_clear_line(
    make_edition: Callable[..., Edition], tmp_path: Path
) -> None:
    (tmp_path / "published").write_text("a file in the way")
    with pytest.raises(StoreError, match="set PIPELINE_PUBLISH_URI"):
        publisher.publish(make_edition(), Folder(tmp_path / "published"))


def test_litter_of_a_killed_publication_is_removed_by_the_next(
    make_edition: Callable[..., Edition], tmp_path: Path
) -> None:
    (tmp_path / ".as_of=2013-02-28.0badcafe.aside" / "charts").mkdir(parents=True)
    publisher.publish(make_edition(), Folder(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "as_of=2013-03-01", "latest.json"]


def test_an_unfinished_folder_is_not_the_latest(make_edition: Callable[..., Edition], tmp_path: Path) -> None:
    publisher.publish(make_edition(), Folder(tmp_path))
    (tmp_path / "as_of=2013-03-04").mkdir()
    assert reader.latest(Folder(tmp_path)).name == "as_of=2013-03-01"


def test_nothing_published_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(MissingStep, match="python -m pipeline run"):
        reader.latest(Folder(tmp_path / "nowhere"))
    with pytest.raises(MissingStep, match="python -m pipeline run"):
        reader.read_published(Folder(tmp_path))


def test_an_unreadable_manifest_is_a_corrupt_file(make_edition: Callable[..., Edition], tmp_path: Path) -> None:
    folder = publisher.publish(make_edition(), Folder(tmp_path)).folder
    folder.write("manifest.json", b"{")
    with pytest.raises(CorruptFile, match=r"manifest\.json cannot be read"):
        reader.read_published(folder)


@pytest.mark.parametrize(
    ("symbol", "name"), [("BRK-B", "BRK-B"), ("^GSPC", "_5eGSPC"), ("EURUSD=X", "EURUSD_3dX"), ("../x", "_2e._2fx")]
)
def test_a_symbol_becomes_a_harmless_file_name(symbol: str, name: str) -> None:
    assert publisher.file_name(symbol) == name
