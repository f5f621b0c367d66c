"""Dataclasses as JSON documents: what was written is read again, and older and newer files still are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import pytest

from pipeline.errors import CorruptFile
from pipeline.storage.documents import dump, from_document, to_document


@dataclass(frozen=True, kw_only=True)
class Inner:
    level: float
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    first: date
    rows: tuple[Inner, ...] = ()
    models: Mapping[str, Inner] = field(default_factory=dict)


VALUE = Outer(
    first=date(2013, 2, 28), rows=(Inner(level=0.5), Inner(level=0.9, share=0.89)), models={"lstm": Inner(level=1)}
)


def read(document: Mapping[str, object]) -> Outer:
    return from_document(Outer, document, where="runs/x/outer.json", remedy="run `train` again")


def test_a_document_is_read_as_it_was_written() -> None:
    assert read(json.loads(dump(VALUE))) == VALUE
    assert to_document(VALUE)["first"] == "2013-02-28"


def test_a_field_of_a_newer_version_is_ignored_and_one_that_an_older_lacks_takes_its_default() -> None:
    assert read({"first": "2013-02-28", "rows": [{"level": 0.5, "new": 1}], "newer": True}) == Outer(
        first=date(2013, 2, 28), rows=(Inner(level=0.5),)
    )


@pytest.mark.parametrize(
    ("document", "words"),
    [({}, "first: field required"), ({"first": "2013-02-28", "rows": [{"level": "high"}]}, "rows.0.level: ")],
)
def test_a_document_that_does_not_fit_is_refused_in_one_line(document: Mapping[str, object], words: str) -> None:
    with pytest.raises(CorruptFile) as caught:
        read(document)
    assert str(caught.value).startswith(f"runs/x/outer.json does not fit this version: {words}")
    assert str(caught.value).endswith("; run `train` again")
    assert "\n" not in str(caught.value)


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump(Inner(level=float("nan")))
