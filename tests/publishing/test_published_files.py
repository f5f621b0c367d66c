"""Published JSON as types: what this version writes is read back unchanged, and editions of older versions are read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import CorruptFile
from pipeline.publishing import publisher, reader
from pipeline.publishing.edition import Edition
from pipeline.publishing.published_files import SymbolReason
from pipeline.storage import Folder
from pipeline.storage.documents import to_document
from tests.editions import AS_OF


def test_what_is_published_is_read_back_unchanged(make_edition: Callable[..., Edition], tmp_path: Path) -> None:
    withheld = [{"symbol": "NEW", "reason": "31 sessions"}]
    fallbacks = [{"symbol": "FB", "reason": "too short"}]
    edition = make_edition(withheld=withheld, fallbacks=fallbacks)
    published = reader.read_published(publisher.publish(edition, Folder(tmp_path)).folder)
    assert to_document(published.forecasts) == json.loads(published.folder.read("forecasts.json"))
    manifest = json.loads(published.folder.read("manifest.json"))
    assert to_document(published.manifest.decision) == manifest["decision"]
    assert published.manifest.decision.fallbacks == (SymbolReason(symbol="FB", reason="too short"),)
    assert published.forecasts.reasons == {"NEW": "31 sessions"}
    low, high = published.forecasts.by_symbol["AAPL"].steps[0].range(80)
    assert low < published.forecasts.by_symbol["AAPL"].steps[0].median < high


def test_an_edition_of_an_older_version_is_read(make_edition: Callable[..., Edition], tmp_path: Path) -> None:
    folder = publisher.publish(make_edition(), Folder(tmp_path)).folder
    manifest = json.loads(folder.read("manifest.json"))
    for name in ("trial", "standing", "exchange", "withheld"):
        del manifest[name]
    manifest["decision"] = {"model": "garch", "reason": "No network was trained: too little history.", "champion": None}
    forecasts = json.loads(folder.read("forecasts.json"))
    for entry in forecasts["forecasts"]:
        del entry["last_session"], entry["recent_closes"]
        for step in entry["steps"]:
            del step["target_session_estimated"]
    folder.write("manifest.json", json.dumps(manifest).encode())
    folder.write("forecasts.json", json.dumps(forecasts).encode())
    published = reader.read_published(folder)
    assert (published.manifest.standing, published.manifest.decision.is_baseline) == (True, True)
    assert published.manifest.as_of == AS_OF
    assert not any(forecast.estimated for forecast in published.forecasts.forecasts)


def test_a_manifest_that_does_not_fit_is_refused_in_one_line(
    make_edition: Callable[..., Edition], tmp_path: Path
) -> None:
    folder = publisher.publish(make_edition(), Folder(tmp_path)).folder
    folder.write("manifest.json", b'{"as_of": "yesterday"}')
    with pytest.raises(CorruptFile, match=r"manifest\.json does not fit this version: as_of: .*; publish that session"):
        reader.read_manifest(folder)
