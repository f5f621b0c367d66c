"""Frozen dataclasses as JSON documents and back: the one place where that is done.

A document keeps the names of the fields, or the alias that a field declares (`Annotated[X, Field(alias="x")]`). Fields
that only the file has are ignored (a newer version wrote it); fields that it lacks take their defaults (an older
version wrote it).
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from pipeline.errors import CorruptFile

T = TypeVar("T")
# For a field of an optional type: Annotated[X | None, OMIT_NONE]. Its key is absent from the document if it is None.
OMIT_NONE = Field(exclude_if=lambda value: value is None)
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}  # building one takes a millisecond


def to_document(value: object) -> dict[str, JsonValue]:
    """Return a dataclass as JSON has it: dates as text, tuples as lists."""
    document: dict[str, JsonValue] = _adapter(type(value)).dump_python(value, mode="json", by_alias=True)
    return document


def from_document(kind: type[T], document: Mapping[str, JsonValue], *, where: str, remedy: str) -> T:
    """Return the dataclass that a document describes.

    Raises CorruptFile that names the file `where`, the field that does not fit, and the `remedy`, in one line.
    """
    try:
        value: T = _adapter(kind).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the document"
        raise CorruptFile(f"{where} does not fit this version: {field}: {first['msg'].lower()}; {remedy}") from None
    return value


def dump(value: object) -> bytes:
    """Return a dataclass or a mapping as the bytes of a JSON file. Raises ValueError for NaN and infinity."""
    document = value if isinstance(value, Mapping) else to_document(value)
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
