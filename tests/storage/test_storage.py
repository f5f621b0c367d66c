"""Files in a folder and in a bucket, by one interface: what one machine keeps another finds, or is told clearly."""

import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests
from s3fs import S3FileSystem

from pipeline.config import Settings
from pipeline.errors import BadSetting, BucketFailed, CorruptFile, StoreError
from pipeline.jobs import health_checks
from pipeline.storage import Bucket, Folder, Storage, open_storage
from pipeline.storage.urls import shown

Machine = Callable[[], Storage]
SECRET = "a-secret-of-the-bell"


@pytest.fixture(params=["folder", "bucket"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """Return a function that gives the same storage as the next machine sees it, with an empty disk of its own."""
    address = request.getfixturevalue("bucket") if request.param == "bucket" else str(tmp_path / "kept")
    machines: list[Storage] = []

    def another() -> Storage:
        machines.append(open_storage(address, tmp_path / f"machine{len(machines)}"))
        return machines[-1]

    return another


@pytest.fixture
def here(bucket: str, tmp_path: Path) -> Storage:
    """A bucket as one machine sees it."""
    return open_storage(bucket, tmp_path / "cache")


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def on_disk(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_one_machine_writes_another_reads(machine: Machine) -> None:
    one, other = machine(), machine()
    one.write("runs/x/scores.json", b"old")
    one.write("runs/x/scores.json", b"new")
    assert other.read("runs/x/scores.json") == (other / "runs/x").read("scores.json") == b"new"
    assert other.exists("runs/x/scores.json")
    assert not other.exists("runs/x")
    assert str(other / "runs/x").endswith("kept/runs/x")
    assert (other / "runs/x").name == "x"


def test_what_is_not_there_is_a_file_not_found(machine: Machine) -> None:
    place = machine()
    place.write("there", b"")
    for name in ("not", "there/not", "deep/er"):
        assert not place.exists(name)
    with pytest.raises(FileNotFoundError, match="kept/not"):
        place.read("not")
    with pytest.raises(FileNotFoundError, match="kept/not"):
        place.local("not", digest(b""))
    with pytest.raises(FileNotFoundError, match="kept/not"), place.reading("not"):
        pass
    assert (place / "not").names("*") == []


def test_a_file_is_removed_and_removing_it_again_is_nothing(machine: Machine) -> None:
    place = machine()
    place.write("a/b", b"1")
    place.remove("a/b")
    place.remove("a/b")
    assert not machine().exists("a/b")


def test_names_are_those_that_fit_in_order_and_no_deeper(machine: Machine) -> None:
    place = machine()
    for name in ("as_of=2013-03-01/a", "as_of=2013-02-28/b/c", "latest.json", "other/as_of=2013-03-04/a"):
        place.write(name, b"1")
    other = machine()
    assert other.names("as_of=????-??-??") == ["as_of=2013-02-28", "as_of=2013-03-01"]
    assert other.names("*") == ["as_of=2013-02-28", "as_of=2013-03-01", "latest.json", "other"]
    place.write("as_of=2013-03-04/a", b"1")  # an answer from before is not given again
    assert other.names("as_of=*")[-1] == "as_of=2013-03-04"


def test_replaced_files_are_exactly_these(machine: Machine) -> None:
    place = machine()
    place.replace("day", {"charts/a.png": b"1", "gone/b": b"1", "manifest": b"1"})
    place.replace("day", {"charts/a.png": b"2", "c": b"2", "manifest": b"2"})
    with machine().reading("day") as folder:
        found = {str(path.relative_to(folder)): path.read_bytes() for path in on_disk(folder)}
    assert found == {"charts/a.png": b"2", "c": b"2", "manifest": b"2"}


def test_a_file_and_a_folder_are_made_here_and_read_there(machine: Machine) -> None:
    one, other = machine(), machine()
    with one.making("run/frame.parquet") as path:
        path.write_bytes(b"frame")
    for content in (b"first", b"again"):
        with one.making("run/model") as folder:
            folder.mkdir(exist_ok=True)
            (folder / "weights").write_bytes(content)
        with other.reading("run/model") as folder:  # written again, it is read again
            assert (folder / "weights").read_bytes() == content
    with other.reading("run/frame.parquet") as path:
        assert path.read_bytes() == b"frame"
        assert path.name == "frame.parquet"
    with one.making("run/model") as folder:
        folder.mkdir(exist_ok=True)
        (folder / "card").write_bytes(b"next to it")
    with other.reading("run/model") as folder:
        assert {path.name for path in folder.iterdir()} == {"weights", "card"}


def test_a_bucket_leaves_nothing_on_this_disk_but_what_has_a_digest(bucket: str, tmp_path: Path) -> None:
    one = open_storage(bucket, tmp_path / "cache")
    with one.making("run/model") as folder:
        folder.mkdir()
        (folder / ".lock").write_bytes(b"")
        (folder / "weights").write_bytes(b"1")
    with one.reading("run/model") as folder:
        assert [path.name for path in folder.iterdir()] == ["weights"]
    assert on_disk(tmp_path / "cache") == []
    path = one.local("run/model/weights", digest(b"1"))
    assert on_disk(tmp_path / "cache") == [path]


def test_what_was_not_made_to_its_end_is_not_kept(here: Storage) -> None:
    with suppress(KeyboardInterrupt), here.making("run/model") as folder:
        folder.mkdir()
        (folder / "weights").write_bytes(b"half")
        raise KeyboardInterrupt
    assert here.names("*") == []


def test_files_of_a_folder_are_kept_in_the_order_in_which_they_were_written(
    here: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, call = [], S3FileSystem._call_s3

    async def told(self: S3FileSystem, method: str, *words: Any, **more: Any) -> Any:
        if method == "put_object":
            kept.append(more["Key"].rpartition("/")[2])
        return await call(self, method, *words, **more)

    monkeypatch.setattr(S3FileSystem, "_call_s3", told)
    with here.making("model") as folder:
        folder.mkdir()
        for name in ("weights", "card", "a"):
            (folder / name).write_bytes(b"1")
    assert kept == ["weights", "card", "a"]


def test_a_copy_with_a_digest_is_fetched_once_and_checked(bucket: str, tmp_path: Path) -> None:
    one, other = (open_storage(bucket, tmp_path / name) for name in ("one", "other"))
    one.write("snapshot", b"prices")
    path = other.local("snapshot", digest(b"prices"))
    one.write("snapshot", b"others")
    assert other.local("snapshot", digest(b"prices")) == path
    assert other.local("snapshot", digest(b"others")).read_bytes() == b"others"
    path.write_bytes(b"broken")
    assert other.local("snapshot", digest(b"others")).read_bytes() == b"others"
    with pytest.raises(CorruptFile, match="s3://bell/kept/snapshot is damaged"):
        other.local("snapshot", digest(b"none of them"))


def test_a_bucket_that_is_not_there_is_said_in_one_line(bucket: str, tmp_path: Path) -> None:
    nowhere = open_storage("s3://nowhere/kept", tmp_path)
    for ask in (
        lambda: nowhere.write("a", b"1"),
        lambda: nowhere.read("a"),
        lambda: nowhere.exists("a"),
        lambda: nowhere.names("*"),
        lambda: nowhere.remove("a"),
        lambda: nowhere.replace("a", {"b": b"1"}),
        lambda: nowhere.local("a", digest(b"1")),
    ):
        with pytest.raises(BucketFailed, match=r"s3://nowhere/kept.*bucket does not exist") as caught:
            ask()
        assert_clear(caught.value)


def test_refused_credentials_are_said_in_one_line_without_them(here: Storage, s3: str) -> None:
    requests.post(f"{s3}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
    try:
        for ask in (lambda: here.write("a", b"1"), lambda: here.read("a"), lambda: here.names("*")):
            with pytest.raises(BucketFailed, match=r"s3://bell/kept.*(Access Key Id you provided|Forbidden)") as caught:
                ask()
            assert_clear(caught.value)
    finally:
        requests.post(f"{s3}/moto-api/reset-auth", data="inf", timeout=10)


def test_a_server_that_does_not_answer_is_said_in_one_line(here: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://bell:{SECRET}@127.0.0.1:9")
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(BucketFailed, match="s3://bell/kept/a cannot be written") as caught:
            open_storage(str(here), Path("unused")).write("a", b"1")
    finally:
        S3FileSystem.clear_instance_cache()
    assert_clear(caught.value)


def assert_clear(error: Exception) -> None:
    assert isinstance(error, StoreError)
    assert isinstance(error, OSError)
    assert "\n" not in str(error)
    assert SECRET not in str(error)
    assert "credentials" in str(error)
    assert error.__suppress_context__  # a log shows no more than this


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("s3://bell/kept", "s3://bell/kept"),
        ("sftp://me:secret@host:22/x", "sftp://me:***@host:22/x"),
        ("abfs://box@account.dfs/x", "abfs://box@account.dfs/x"),
        ("no answer from http://me:se@cret@host/x?sig=secret today", "no answer from http://me:***@host/x today"),
    ],
)
def test_a_message_shows_no_password(text: str, fit: str) -> None:
    assert shown(text) == fit


def test_a_path_is_a_folder_and_a_url_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ("kept", tmp_path / "kept", f"file://{tmp_path}/kept"):
        assert open_storage(address, tmp_path) == Folder(tmp_path / "kept")
    assert isinstance(open_storage("s3://bell/kept", tmp_path), Bucket)


def test_the_settings_say_where(home: Path) -> None:
    settings = Settings.load()
    assert (settings.store, settings.published) == (Folder(home), Folder(home / "published"))
    settings = Settings.load(store_uri="s3://bell/store", publish_uri="s3://bell/published")
    assert (str(settings.store), str(settings.published)) == ("s3://bell/store", "s3://bell/published")
    assert not home.exists()


def test_a_url_that_nothing_can_reach_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match=r"PIPELINE_STORE_URI='nfs4://me:\*\*\*@host/x': nfs4:// is unknown"):
        Settings.load(store_uri="nfs4://me:secret@host/x")
    known = import_module("fsspec.registry")
    monkeypatch.setattr(known, "registry", {})  # as in a process that has not used it yet
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(BadSetting, match=r"PIPELINE_PUBLISH_URI='s3://bell': .*Install s3fs to access S3"):
        Settings.load(publish_uri="s3://bell")


def test_the_doctor_writes_to_both_places(
    empty_home: Path, home: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(empty_home, home)
    monkeypatch.setenv("PIPELINE_STORE_URI", bucket)
    monkeypatch.setenv("PIPELINE_PUBLISH_URI", "s3://nowhere")
    found = {row.what: row for row in health_checks.examine(now=datetime(2026, 11, 20, 23, tzinfo=UTC))}
    assert found["store"] == health_checks.Finding(what="store", ok=True, found="s3://bell/kept")
    assert not found["published"].ok
    assert found["published"].found.startswith("PIPELINE_PUBLISH_URI: s3://nowhere/.doctor cannot be written")
    assert open_storage(bucket, home).names("*") == []
    (home / "published").write_bytes(b"in the way")
    monkeypatch.delenv("PIPELINE_PUBLISH_URI")
    found = {row.what: row for row in health_checks.examine(now=datetime(2026, 11, 20, 23, tzinfo=UTC))}
    assert found["published"].found.startswith(f"PIPELINE_PUBLISH_URI: {home / 'published'} cannot be written")
